/**
 * `kernel calibrate`: measures this host, and keeps it as a CPU preset that `--cpu FILE` takes.
 *
 * 1. Measure, in another process (main/kernel/calibrate).   2. Make the preset (core/hw/calibration.ts).
 * 3. Write the file, under a temporary name first.   4. Print a table, or all as JSON: each figure once more by its name, `faultNs`.
 */
import { asciiJson } from '../../base/ascii.ts'
import { formatRate, formatTime } from '../../base/units.ts'
import type { Calibration, Measured } from '../../hw/calibration.ts'
import { calibrationFile } from '../calibration_file.ts'
import type { Command, CommandContext } from '../command.ts'
import { ExitCode } from '../host.ts'
import { hostKernelOf } from '../host_kernel.ts'
import { columnsOf, sentence } from '../layout.ts'

const PASSES = 3

export const kernelCalibrateCommand: Command = {
  name: 'kernel calibrate',
  group: 'Real kernel',
  summary: 'measures what this host takes for what a migration does',
  description:
    'Faults, userfaults, UFFDIO_COPY, MOVE, ZEROPAGE and WRITEPROTECT, madvise, mprotect, munmap, switches, pipes, sockets, memory, ' +
    'TLB reach. Takes about a quarter of a minute.\n\n' +
    `Everything is measured in several passes; the one with the lowest median counts, and low and high are the quartiles of its rounds. ` +
    'What a call from JavaScript into C takes is measured, too, and taken off: the kernel alone stands first, then what was seen.\n\n' +
    'The file is a CPU preset for --cpu. Without --output it is kept in $XDG_STATE_HOME/pageferry (~/.local/state/pageferry), ' +
    'where kernel migrate finds it.',
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
  const kernel = hostKernelOf(host)
  const path = given.text('output') ?? (await kernel.calibrationPath())
  await host.checkWritable?.(path)
  // 1.
  const onProgress = (share: number, what: string) => terminal.status?.(`measuring ${what}, ${Math.round(share * 100)} %`)
  const calibration = await kernel.calibrate({ passes: given.number('passes', PASSES), onProgress, stop })
  if (calibration === null) {
    terminal.err(sentence(`${program}kernel calibrate: interrupted; nothing was written`))
    return ExitCode.interrupted
  }
  // 2. and 3.
  const file = calibrationFile(calibration)
  await host.write(path, [asciiJson(file)])
  // 4.
  terminal.out(
    given.has('json') ? `${JSON.stringify(json(calibration, path, file))}\n` : text(calibration, path, terminal.columns),
  )
  return ExitCode.good
}

function json(calibration: Calibration, path: string, file: Record<string, unknown>) {
  const { calibration: _calibration, ...preset } = file
  const numbers = calibration.measured.map(({ name, unit, value }) => [`${name}${unit === 'ns' ? 'Ns' : 'BytesPerSec'}`, value])
  return { ...calibration, file: path, ...Object.fromEntries(numbers), preset }
}

function text(calibration: Calibration, path: string, columns: number): string {
  const { cpu, release, measured, reach } = calibration
  const spell = ({ unit }: Measured, value: number) => (unit === 'ns' ? formatTime(value) : formatRate(value * 8))
  const rows = measured.map((one) => ({
    term: one.name,
    meaning: `${spell(one, one.value)} (seen ${spell(one, one.seen)}, ${spell(one, one.low)} to ${spell(one, one.high)}): ${one.what}`,
  }))
  const chains = reach.map(({ pages, ns }) => `${pages}: ${ns.toFixed(1)}`).join(', ')
  return (
    `${cpu.name}, ${cpu.cpus} CPUs, Linux ${release}\n` +
    columnsOf(rows, columns, '') +
    columnsOf([{ term: 'TLB reach', meaning: `pages in a chain and ns of a load: ${chains}` }], columns, '') +
    sentence(`written to ${path}; use it with migrate --cpu ${path}`)
  )
}
