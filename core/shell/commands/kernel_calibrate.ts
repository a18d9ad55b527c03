/**
 * `kernel calibrate`: measures this host, and keeps it as a CPU preset that `--cpu FILE` takes.
 *
 * 1. to 3. Measure, find what the programs take, write the file (host_calibration.ts).
 * 4. Print a table, or all as JSON: each figure once more by its name, `faultNs`. Only then is told that the file could not be written.
 */
import { formatRate, formatTime } from '../../base/units.ts'
import type { Measured } from '../../hw/calibration.ts'
import type { Command, CommandContext } from '../command.ts'
import { ExitCode } from '../host.ts'
import { calibrateHost, type HostCalibration } from '../host_calibration.ts'
import { hostKernelOf } from '../host_kernel.ts'
import { columnsOf, sentence } from '../layout.ts'

const PASSES = 2
const PIPELINE_RUNS = 9

export const kernelCalibrateCommand: Command = {
  name: 'kernel calibrate',
  group: 'Real kernel',
  summary: 'measures what this host takes for what a migration does',
  description:
    'Faults, userfaults, UFFDIO_COPY, MOVE, ZEROPAGE and WRITEPROTECT, madvise, mprotect, munmap, switches, pipes, sockets, memory, ' +
    'TLB reach; then migrations of three guests, from which the model learns what a page costs the programs. Takes about a minute.\n\n' +
    `Everything is measured in several passes; the one with the lowest median counts, and low and high are the quartiles of its rounds. ` +
    'What a call from JavaScript into C takes is measured, too, and taken off: the kernel alone stands first, then what was seen.\n\n' +
    'The file is a CPU preset for --cpu. Without --output it is kept in $XDG_STATE_HOME/pageferry (~/.local/state/pageferry), ' +
    'where kernel migrate finds it, to predict by it.',
  positionals: [],
  options: [
    { name: 'output', kind: 'file', common: true, meaning: 'write the preset there' },
    {
      name: 'passes',
      kind: 'count',
      valueName: 'N',
      min: 1,
      max: 100,
      defaultText: String(PASSES),
      meaning: 'measure everything so often; about five seconds each',
    },
    { name: 'json', kind: 'flag', common: true, meaning: 'print everything as one JSON object' },
  ],
  examples: [
    { line: 'kernel calibrate', meaning: 'measure, keep and show' },
    { line: 'kernel calibrate --output ./here.json', meaning: 'then: migrate --cpu ./here.json' },
  ],
  run: calibrate,
}

async function calibrate(context: CommandContext): Promise<number> {
  const { arguments: given, terminal, host, stop, program } = context
  const output = given.text('output')
  const path = output ?? (await hostKernelOf(host).calibrationPath())
  // 1. to 3.
  const how = { passes: given.number('passes', PASSES), pipelineRuns: PIPELINE_RUNS }
  const found = await calibrateHost({ host, stop, terminal }, output, how)
  if (found === null) {
    terminal.err(sentence(`${program}kernel calibrate: interrupted; nothing was written`))
    return ExitCode.interrupted
  }
  // 4.
  terminal.out(given.has('json') ? `${JSON.stringify(json(found, path))}\n` : text(found, path, terminal.columns))
  if (found.unwritten !== null) throw found.unwritten
  return ExitCode.good
}

function json({ calibration, cpu, unwritten }: HostCalibration, path: string) {
  const numbers = calibration.measured.map(({ name, unit, value }) => [`${name}${unit === 'ns' ? 'Ns' : 'BytesPerSec'}`, value])
  return { ...calibration, file: unwritten === null ? path : null, ...Object.fromEntries(numbers), preset: cpu }
}

function text({ calibration, cpu: { program }, unwritten }: HostCalibration, path: string, columns: number): string {
  const { cpu, release, measured, reach, pipeline } = calibration
  const spell = ({ unit }: Measured, value: number) => (unit === 'ns' ? formatTime(value) : formatRate(value * 8))
  const rows = measured.map((one) => ({
    term: one.name,
    meaning: `${spell(one, one.value)} (seen ${spell(one, one.seen)}, ${spell(one, one.low)} to ${spell(one, one.high)}): ${one.what}`,
  }))
  const migrations = pipeline.map(({ mode, resolver, guest, totalNs, totals }) => {
    const [low, high] = [Math.min(...totals), Math.max(...totals)].map(formatTime)
    return { term: `${mode}, ${resolver}`, meaning: `${formatTime(totalNs)} (${low} to ${high}): ${guest}` }
  })
  const { savePageNs, saveRunNs, loadRunNs, accessNs, sleepNs, loadCopiedPageNs, loadMovedPageNs, loadPrecopyPageNs } =
    program ?? {}
  const zeros = [program?.loadZeroNs, program?.loadPrecopyZeroNs].map((cost) => formatTime(cost?.value ?? 0)).join(', ')
  const ours = [savePageNs, loadCopiedPageNs, loadMovedPageNs, loadPrecopyPageNs]
  const pages = ours.map((cost) => formatTime(cost?.value ?? 0)).join(', ')
  const programs = [
    { term: 'a page', meaning: `besides the kernel's work: to send; to receive by COPY, by MOVE, in pre-copy: ${pages}` },
    { term: 'a zero page', meaning: `besides the kernel's work, both programs: in post-copy, in pre-copy: ${zeros}` },
    {
      term: 'a run',
      meaning: `of pages: to send it by itself; to place it in post-copy: ${formatTime(saveRunNs?.value ?? 0)}, ${formatTime(loadRunNs?.value ?? 0)}`,
    },
    { term: 'a vCPU', meaning: `an access: ${formatTime(accessNs?.value ?? 0)}; a sleep: ${formatTime(sleepNs?.value ?? 0)}` },
  ]
  const chains = reach.map(({ pages, ns }) => `${pages}: ${ns.toFixed(1)}`).join(', ')
  return (
    `${cpu.name}, ${cpu.cpus} CPUs, Linux ${release}\n` +
    columnsOf(rows, columns, '') +
    columnsOf(migrations, columns, '') +
    columnsOf(programs, columns, '') +
    columnsOf([{ term: 'TLB reach', meaning: `pages in a chain and ns of a load: ${chains}` }], columns, '') +
    (unwritten === null ? sentence(`written to ${path}; use it with migrate --cpu ${path}`) : '')
  )
}
