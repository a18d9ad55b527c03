/**
 * The host's kernel behind a desk: asked by messages, for screens that reach it through a socket or a port.
 *
 *     screen: DeskKernel --ask, watch--> comlink over a WebSocket or MessagePort --> process with the kernel: KernelDesk --> HostKernel
 *
 * 1. `ask` names a call and hands over its argument; every word of it is checked here, whoever sent it. It is answered when the call
 *    is over, with its value or with the sentence and the exit code of what went wrong.
 * 2. `watch` is asked again and again meanwhile: it takes along whether somebody wants to stop, and brings back the news, each with the
 *    name of the listener that it is for. What nobody fetched comes with the answer. So no function crosses, which a socket could not carry.
 * 3. When the other end is gone, all that it asked for is stopped.
 *
 * What starts a program of the user's choice (capture -- COMMAND) is not to be had here: a page is no terminal.
 */
import { z } from 'zod'
import type { ConformCase } from '../conform/case.ts'
import { isFileGuest, parseGuest } from '../guest/catalog.ts'
import type { KernelMigrateOptions } from '../run/kernel_report.ts'
import { DEFAULT_OPTIONS } from '../run/options.ts'
import { parseArguments } from './arguments.ts'
import { CommandError } from './command.ts'
import { kernelCommandOf, kernelMigrateCommand, kernelOptions } from './commands/kernel_migrate.ts'
import { parseCpuFile } from './cpu_file.ts'
import { ExitCode, HostError } from './host.ts'
import type { HostKernel } from './host_kernel.ts'
import { parseLine } from './line.ts'

/** What crosses: two calls, whose arguments and answers are plain data. */
export interface KernelDeskApi {
  ask(id: number, call: string, argument: unknown): Promise<DeskAnswer>
  watch(id: number, wantsStop: boolean): Promise<readonly DeskNews[]>
}

export type DeskNews = readonly [listener: string, ...news: readonly unknown[]]

export type DeskAnswer =
  | { readonly ok: true; readonly value: unknown; readonly news: readonly DeskNews[] }
  | { readonly ok: false; readonly message: string; readonly exitCode: number }

/** A message to the desk, as comlink makes it for a call of KernelDeskApi: nothing else of comlink is answered. */
export const deskMessage = z.strictObject({
  id: z.string().max(100),
  type: z.literal('APPLY'),
  path: z.tuple([z.enum(['ask', 'watch'])]),
  argumentList: z.array(z.strictObject({ type: z.literal('RAW'), value: z.unknown() })).max(3),
})

/** One call under way. */
class Errand {
  readonly stop = { aborted: false }
  #news: DeskNews[] = []
  /** Listeners that a call is given. */
  readonly onProgress = (...news: readonly unknown[]) => void this.#news.push(['onProgress', ...news])
  readonly onEvents = (...news: readonly unknown[]) => void this.#news.push(['onEvents', ...news])

  takeNews(): readonly DeskNews[] {
    const news = this.#news
    this.#news = []
    return news
  }
}

const MOST_PASSES = 100
const MOST_WORDS = 10_000
const MOST_TEXT = 2 ** 20
const MOST_NS = 86_400e9
const ns = z.number().min(0).max(MOST_NS)

/** What a case may do is held by the process that runs it; here it need only be one. */
const conformCases = z.array(z.looseObject({ id: z.string(), steps: z.array(z.unknown()) })).max(100_000)

const captureRequest = z.strictObject({
  pid: z.number().int().min(1),
  command: z.array(z.never()).max(0),
  durationNs: ns,
  intervalNs: ns,
  output: z.string().endsWith('.pfguest').max(4096),
  withContents: z.boolean(),
  stdoutIsTaken: z.boolean(),
})

interface Call {
  run(kernel: HostKernel, argument: unknown, errand: Errand): Promise<unknown>
}

function call<T>(argument: z.ZodType<T>, run: (kernel: HostKernel, argument: T, errand: Errand) => Promise<unknown>): Call {
  return { run: (kernel, given, errand) => run(kernel, argument.parse(given), errand) }
}

const CALLS: Readonly<Record<keyof HostKernel, Call>> = {
  info: call(z.null(), (kernel) => kernel.info()),
  conform: call(conformCases, (kernel, cases, { stop }) => kernel.conform(cases as unknown as readonly ConformCase[], stop)),
  calibrate: call(
    z.strictObject({ passes: z.number().int().min(1).max(MOST_PASSES) }),
    (kernel, { passes }, { stop, onProgress }) => kernel.calibrate({ passes, stop, onProgress }),
  ),
  calibrationPath: call(z.null(), (kernel) => kernel.calibrationPath()),
  keptCalibration: call(z.null(), (kernel) => kernel.keptCalibration()),
  keepCalibration: call(z.string().max(MOST_TEXT), (kernel, text) => kernel.keepCalibration(cpuFile(text))),
  identity: call(z.null(), (kernel) => kernel.identity()),
  migrate: call(
    z.strictObject({ command: z.string().max(MOST_WORDS), keepsEvents: z.boolean() }),
    (kernel, { command, keepsEvents }, { stop, onProgress, onEvents }) =>
      kernel.migrate(kernelRunOf(command), { stop, onProgress, ...(keepsEvents ? { onEvents } : {}) }),
  ),
  capture: call(captureRequest, (kernel, request, { stop, onProgress }) => kernel.capture(request, { stop, onProgress })),
}

/** Nothing but such a file is kept. Throws CommandError. */
function cpuFile(text: string): string {
  parseCpuFile(text, 'what is to be kept')
  return text
}

/** A migration crosses as its command line, which says all of it and is checked as if it were typed here. */
function kernelRunOf(line: string): KernelMigrateOptions {
  const [step] = parseLine(line)
  const [kernel, migrate, ...words] = step?.pipeline[0]?.words ?? []
  if (`${kernel} ${migrate}` !== kernelMigrateCommand.name) throw new HostError('that is no migration')
  const given = parseArguments(kernelMigrateCommand, words)
  const guest = parseGuest(given.text('guest') ?? DEFAULT_OPTIONS.guest)
  if (guest.ok && isFileGuest(guest.guest))
    throw new HostError(
      "a guest from a file runs on the real kernel from a terminal only, where the files are this machine's: npm run -s pageferry -- kernel migrate",
    )
  return kernelOptions(given)
}

export class KernelDesk implements KernelDeskApi {
  readonly #errands = new Map<number, Errand>()

  constructor(readonly kernel: HostKernel) {}

  // 1.
  async ask(id: number, name: string, argument: unknown): Promise<DeskAnswer> {
    if (!Number.isSafeInteger(id) || this.#errands.has(id) || !Object.hasOwn(CALLS, name)) return refused('no such call')
    const errand = new Errand()
    this.#errands.set(id, errand)
    try {
      const value = await CALLS[name as keyof HostKernel].run(this.kernel, argument, errand)
      return { ok: true, value, news: errand.takeNews() }
    } catch (error) {
      if (error instanceof HostError || error instanceof CommandError)
        return { ok: false, message: error.message, exitCode: error.exitCode }
      if (error instanceof z.ZodError) return refused(wrong(name, error))
      return refused(`an unexpected error, ${error instanceof Error ? error.message : String(error)}`)
    } finally {
      this.#errands.delete(id)
    }
  }

  // 2.
  async watch(id: number, wantsStop: boolean): Promise<readonly DeskNews[]> {
    const errand = this.#errands.get(id)
    if (errand === undefined) return []
    if (wantsStop === true) errand.stop.aborted = true
    return errand.takeNews()
  }

  // 3.
  close(): void {
    for (const { stop } of this.#errands.values()) stop.aborted = true
  }
}

function refused(message: string): DeskAnswer {
  return { ok: false, message, exitCode: ExitCode.failed }
}

function wrong(name: string, { issues }: z.ZodError): string {
  const [issue] = issues
  if (name === 'capture' && issues.some(({ path }) => path[0] === 'command'))
    return 'a command is started and captured in a terminal only: npm run -s pageferry -- capture -- COMMAND'
  return `the call ${name} is given something wrong at ${issue?.path.join('.') || 'its argument'}: ${issue?.message}`
}

/** What the screen's side needs: the desk, and a way to wait a moment. */
export interface DeskLine {
  readonly desk: KernelDeskApi
  /** Rejects with a HostError when the line breaks. */
  readonly broken: Promise<never>
}

interface Watch {
  readonly stop: { readonly aborted: boolean }
  /** By the names that news come with. */
  readonly listeners: Readonly<Record<string, ((...news: never[]) => void) | undefined>>
}

/** The kernel as commands know it, at the other end of a line to its desk. */
export class DeskKernel implements HostKernel {
  #asked = 0

  constructor(
    /** Opens the line, or takes the one that is open. */
    readonly line: () => Promise<DeskLine>,
    /** A moment, in which the line can bring news. */
    readonly pause: () => Promise<void>,
  ) {}

  info: HostKernel['info'] = () => this.#ask('info', null)
  conform: HostKernel['conform'] = (cases, stop) => this.#ask('conform', cases, { stop, listeners: {} })
  calibrate: HostKernel['calibrate'] = ({ passes, onProgress, stop }) =>
    this.#ask('calibrate', { passes }, { stop, listeners: { onProgress } })
  calibrationPath: HostKernel['calibrationPath'] = () => this.#ask('calibrationPath', null)
  keptCalibration: HostKernel['keptCalibration'] = () => this.#ask('keptCalibration', null)
  keepCalibration: HostKernel['keepCalibration'] = (text) => this.#ask('keepCalibration', text)
  identity: HostKernel['identity'] = () => this.#ask('identity', null)
  capture: HostKernel['capture'] = (request, { stop, onProgress }) =>
    this.#ask('capture', request, { stop, listeners: { onProgress } })

  migrate: HostKernel['migrate'] = (run, { stop, onProgress, onEvents }) =>
    this.#ask(
      'migrate',
      { command: kernelCommandOf(run), keepsEvents: onEvents !== undefined },
      { stop, listeners: { onProgress, onEvents } },
    )

  async #ask<T>(name: keyof HostKernel, argument: unknown, watch: Watch | null = null): Promise<T> {
    const { desk, broken } = await this.line()
    const id = ++this.#asked
    let isOver = false
    const answering = desk.ask(id, name, argument).finally(() => {
      isOver = true
    })
    const hear = (news: readonly DeskNews[]) => {
      for (const [listener, ...words] of news) watch?.listeners[listener]?.(...(words as never[]))
    }
    const watching = async ({ stop }: Watch) => {
      while (!isOver) {
        await Promise.race([this.pause(), answering])
        if (!isOver) hear(await Promise.race([desk.watch(id, stop.aborted), broken]))
      }
    }
    const answer = await Promise.race([watch === null ? answering : watching(watch).then(() => answering), broken])
    if (!answer.ok) throw new HostError(answer.message, answer.exitCode)
    hear(answer.news)
    return answer.value as T
  }
}
