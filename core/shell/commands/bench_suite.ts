/**
 * What the suites of `bench` have in common: they measure row after row and print them all (published has tables of its own), and a
 * job is driven in slices, with the host breathing and Ctrl-C obeyed at once.
 *
 * A job is a generator that yields what it is at, often; its value is the result. It knows no clock: the host's decides only
 * how often the host breathes and the line of progress is drawn.
 */
import type { CommandContext } from '../command.ts'
import { ExitCode } from '../host.ts'

export interface Suite {
  /** `published`, as in `bench published`. */
  readonly word: string
  readonly meaning: string
  run(context: CommandContext): Promise<number>
}

/** Measures a row for each of `asked` (null: interrupted), and prints them as JSON or as `text` has it. */
export async function benchRows<Asked, Row>(
  { arguments: given, terminal, program }: CommandContext,
  suite: string,
  asked: readonly Asked[],
  measure: (one: Asked) => Promise<Row | null>,
  text: (rows: readonly Row[]) => string,
): Promise<number> {
  const rows: Row[] = []
  for (const one of asked) {
    const row = await measure(one)
    if (row === null) {
      terminal.err(`${program}bench: interrupted after ${rows.length} of ${asked.length} rows.\n`)
      return ExitCode.interrupted
    }
    rows.push(row)
  }
  terminal.out(given.has('json') ? `${JSON.stringify({ schema: 'pageferry.bench/1', suite, rows }, null, 2)}\n` : text(rows))
  return ExitCode.good
}

export type Job<T> = Generator<string, T, void>

const BREATH_SECONDS = 0.01

/** Runs a job to its end; null: interrupted. */
export async function drive<T>({ host, stop, terminal }: CommandContext, job: Job<T>, before = ''): Promise<T | null> {
  let breathedAt = host.wallSeconds()
  for (;;) {
    const { done, value } = job.next()
    if (done === true) return value
    if (host.wallSeconds() - breathedAt < BREATH_SECONDS) continue
    terminal.status?.(before + value)
    await host.breathe()
    breathedAt = host.wallSeconds()
    if (stop.aborted) return null
  }
}
