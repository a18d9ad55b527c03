/**
 * `capture`: the memory of a real process, and how it changes, as a guest file that `migrate --guest` runs.
 *
 * The host's kernel does the work (host_kernel.ts); here are the words, and what people read.
 */
import { formatCount, formatSize } from '../../base/units.ts'
import { GUEST_FILE_ENDING } from '../../guest/capture_file.ts'
import { ArgumentError, type Arguments } from '../arguments.ts'
import type { Command, CommandContext } from '../command.ts'
import { ExitCode } from '../host.ts'
import { type CaptureReport, type CaptureRequest, hostKernelOf } from '../host_kernel.ts'
import { columnsOf, sentence } from '../layout.ts'
import { quoteWord } from '../line.ts'

const USUAL_DURATION_NS = 1e9
const USUAL_INTERVAL_NS = 20e6

export const captureCommand: Command = {
  name: 'capture',
  group: 'Real kernel',
  summary: "a real process's memory as a guest",
  description:
    'Records which pages of private memory a process has, which are zero or alike, and which change from look to look, into a file that migrate --guest runs. ' +
    'The process runs on undisturbed. What the pages hold is not stored, and cannot be told from the file, unless --with-contents asks for it.\n\n' +
    'With a command instead of --pid, it is started without a shell and captured for its life; write -- before a command that has options. ' +
    'Ctrl-C ends the capture and keeps what was captured; a command that was started ends with it. ' +
    'Exits 1 where there is no such process, 126 where it may not be read.',
  positionals: [{ name: 'COMMAND', meaning: 'a program and its words, to be started and captured', repeatable: true }],
  options: [
    { name: 'pid', kind: 'count', common: true, min: 1, example: '4711', meaning: 'the process whose memory is captured' },
    {
      name: 'output',
      short: 'o',
      kind: 'file',
      common: true,
      defaultText: `capture-NAME${GUEST_FILE_ENDING}`,
      example: `redis${GUEST_FILE_ENDING}`,
      meaning: `the guest file; its name ends in ${GUEST_FILE_ENDING}`,
    },
    {
      name: 'duration',
      kind: 'time',
      common: true,
      defaultText: '1s; of a command, its life',
      example: '10s',
      min: 1e6,
      max: 86_400e9,
      meaning: 'how long its memory is looked at',
    },
    {
      name: 'interval',
      kind: 'time',
      defaultText: '20ms',
      example: '100ms',
      min: 1e6,
      max: 3600e9,
      meaning: 'from look to look; longer where looking would take more than half of a CPU',
    },
    { name: 'with-contents', kind: 'flag', meaning: 'store what the pages hold: secrets, too, if they are in memory' },
    { name: 'json', kind: 'flag', common: true, meaning: 'print what was captured as one JSON object' },
  ],
  examples: [
    { line: 'capture --pid 4711 --duration 10s --output redis.pfguest', meaning: 'ten seconds of a running server' },
    { line: 'migrate --guest redis.pfguest --mode precopy', meaning: 'how would it migrate?' },
    { line: 'capture --output sort.pfguest -- sort -R words.txt', meaning: 'a program from its start to its end' },
  ],
  run: capture,
}

async function capture(context: CommandContext): Promise<number> {
  const { arguments: given, terminal, host, stop, program } = context
  const request = requestOf(given)
  const report = await hostKernelOf(host).capture(request, {
    stop,
    onProgress: ({ seconds, pages, samples }) =>
      terminal.status?.(`${seconds.toFixed(1)} s: ${formatCount(pages)} pages, ${formatCount(samples)} samples`),
  })
  terminal.status?.('')
  if (given.has('json')) terminal.out(`${JSON.stringify({ schema: 'pageferry.capture/1', ...report })}\n`)
  else terminal.out(text(report, terminal.columns, `${program}migrate --guest ${quoteWord(report.output)}`))
  const early = earlyEnd(report, request)
  if (early !== '') terminal.err(sentence(`${program}capture: ${early}`))
  return report.ended === 'interrupted' ? ExitCode.interrupted : ExitCode.good
}

function requestOf(given: Arguments): CaptureRequest {
  const command = given.positionals
  const pid = given.has('pid') ? given.number('pid', 0) : null
  if (pid === null && command.length === 0)
    throw new ArgumentError('needs a process or a command, for example --pid 4711, or -- sort words.txt')
  if (pid !== null && command.length > 0)
    throw new ArgumentError(`takes --pid or a command, and has both; leave out --pid, or ${command[0]}`)
  const output = given.text('output') ?? `capture-${pid ?? nameOf(command[0])}${GUEST_FILE_ENDING}`
  if (!output.endsWith(GUEST_FILE_ENDING))
    throw new ArgumentError(`--output ${output} does not end in ${GUEST_FILE_ENDING}, by which migrate knows such a file; add it`)
  return {
    pid,
    command,
    durationNs: pid === null && !given.has('duration') ? null : given.number('duration', USUAL_DURATION_NS),
    intervalNs: given.number('interval', USUAL_INTERVAL_NS),
    output,
    withContents: given.has('with-contents'),
    stdoutIsTaken: given.has('json'),
  }
}

/** The last part of a path. */
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** Why it ended before its time, if it did. */
function earlyEnd({ ended, pid, duration, output }: CaptureReport, { durationNs }: CaptureRequest): string {
  const kept = `what was captured by then is in ${output}`
  if (ended === 'interrupted') return `interrupted after ${(duration / 1000).toFixed(1)} s; ${kept}`
  if (ended === 'full') return `a guest file holds no more samples; ${kept}; a longer --interval lasts longer`
  if (ended === 'exec')
    return `process ${pid} began to run another program, whose memory is not captured; ${kept}; name that program itself`
  return ended === 'exit' && durationNs !== null ? `process ${pid} ended before the time was over; ${kept}` : ''
}

function text(report: CaptureReport, columns: number, again: string): string {
  const { pid, command, pages, zeroPages, laterPages, distinctPages, vmas, samples } = report
  const share = (n: number) => `${formatCount(n)} (${Math.round((n * 100) / pages)} %)`
  return columnsOf(
    [
      { term: 'process', meaning: `${pid}, ${command}; ${formatCount(vmas)} areas` },
      {
        term: 'pages',
        meaning: `${formatCount(pages)} (${formatSize(pages * 4096)}): ${share(zeroPages)} zero, ${formatCount(distinctPages)} different contents, ${formatCount(laterPages)} came later`,
      },
      {
        term: 'samples',
        meaning: `${formatCount(samples)} in ${(report.duration / 1000).toFixed(2)} s, one each ${report.sampleInterval.toFixed(1)} ms`,
      },
      {
        term: 'changed',
        meaning: `${share(report.changedPages)} of the pages; ${formatCount(report.dirtyPagesRate)} pages a second`,
      },
      {
        term: 'file',
        meaning: `${report.output}, ${formatSize(report.bytes)}, ${report.withContents ? 'with what the pages hold' : 'without contents'}`,
      },
      { term: 'next', meaning: again },
    ],
    columns,
    '',
  )
}
