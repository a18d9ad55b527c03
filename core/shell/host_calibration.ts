/**
 * The calibration of this host: measured now, or kept from an earlier time; and what the model says of a run on it.
 *
 *  1. The host's kernel measures single operations (main/kernel/calibrate).
 *  2. It migrates guests by several ways in turn, `pipelineRuns` times by those that count most; medians count.
 *  3. The model finds what the programs take (core/run/calibrated_host.ts). The file has all of it.
 *
 * If the same migration took very different times, something else was at work, and the costs are its as well: that is said.
 *
 * A kept one is good for the kernel's release and the CPU that it was measured on; else `kernel migrate` measures anew, shortly, and keeps that.
 */
import { asciiJson } from '../base/ascii.ts'
import { formatTime } from '../base/units.ts'
import type { Capture } from '../guest/capture.ts'
import { parseGuest } from '../guest/catalog.ts'
import type { Calibration, PipelineRuns } from '../hw/calibration.ts'
import type { CpuPreset } from '../hw/preset.ts'
import { isOfTurn, optionsOnHost, PIPELINE_WAYS, pipelineOptions, programCosts } from '../run/calibrated_host.ts'
import { driveRun } from '../run/drive.ts'
import type { KernelMigrateOptions } from '../run/kernel_report.ts'
import { MigrationRun } from '../run/migration_run.ts'
import { quartiles, summary } from '../run/statistics.ts'
import type { Recorder } from '../trace/recorder.ts'
import { calibrationFile, isOf, presetOf } from './calibration_file.ts'
import type { CommandContext } from './command.ts'
import { troubleOf } from './complain.ts'
import { parseCpuFile } from './cpu_file.ts'
import { HostError } from './host.ts'
import { type HostKernel, hostKernelOf } from './host_kernel.ts'
import { sentence } from './layout.ts'
import type { PredictedRun } from './shell_state.ts'
import { Stopwatch } from './stopwatch.ts'

const WATCHDOG_NS = 10e9
/** Where nothing was kept, and a migration waits to be predicted. */
const SHORT = { passes: 1, pipelineRuns: 3 }

/** Between the quartiles of one migration's times: 1.1 to 1.3 on a quiet host, 1.6 and more beside other work. */
const MOST_SPREAD = 1.5

export interface HostCalibration {
  readonly calibration: Calibration
  readonly cpu: CpuPreset
  /** Why it is not in its file; null: it is. What was measured is good without. */
  readonly unwritten: HostError | null
}

type Context = Pick<CommandContext, 'host' | 'stop' | 'terminal'>

export interface Thoroughness {
  readonly passes: number
  readonly pipelineRuns: number
}

/** Written to `path`, or kept where the kernel is. Null: stopped before the end, and nothing is written. */
export async function calibrateHost(context: Context, path: string | null, how: Thoroughness): Promise<HostCalibration | null> {
  const { host, stop, terminal } = context
  const kernel = hostKernelOf(host)
  if (path !== null) await host.checkWritable?.(path)
  // 1.
  const onProgress = (share: number, what: string) => terminal.status?.(`measuring ${what}, ${Math.round(share * 100)} %`)
  const single = await kernel.calibrate({ passes: how.passes, onProgress, stop })
  if (single === null) return null
  // 2.
  const pipeline = await migrateToMeasure(context, kernel, how.pipelineRuns)
  if (pipeline === null) return null
  // 3.
  for (const { totals } of pipeline) {
    // The others are few, and short.
    if (totals.length < how.pipelineRuns) continue
    const [low, high] = quartiles(totals)
    if (high <= MOST_SPREAD * low) continue
    terminal.err(
      sentence(
        `This host was busy while it was measured: the same migration took ${formatTime(low)} and ${formatTime(high)}; measure it again with kernel calibrate when it is not`,
      ),
    )
    break
  }
  const calibration = { ...single, pipeline }
  const preset = presetOf(calibration)
  const program = await programCosts(calibration, preset, host, stop)
  if (program === null) return null
  const cpu = { ...preset, program }
  const text = asciiJson(calibrationFile(calibration, cpu))
  const unwritten = await troubleOf(path === null ? kernel.keepCalibration(text) : host.write(path, [text]))
  return { calibration, cpu, unwritten }
}

/** Of one way, each run's. */
type Figures = Record<'setup' | 'down' | 'total' | 'access', number[]>

async function migrateToMeasure({ terminal, stop }: Context, kernel: HostKernel, runs: number): Promise<PipelineRuns[] | null> {
  const all = new Map(PIPELINE_WAYS.map((way) => [way, { setup: [], down: [], total: [], access: [] } as Figures]))
  for (let turn = 0; turn < runs; turn++) {
    for (const [way, { setup, down, total, access }] of all) {
      if (!isOfTurn(way, turn)) continue
      terminal.status?.(`migrating a guest by ${way.mode} with ${way.resolver}`)
      const asked = { options: pipelineOptions(way), isPaced: false, wire: 'unix' as const, watchdogNs: WATCHDOG_NS }
      const report = await kernel.migrate(asked, { onProgress: () => undefined, stop })
      if (report === null || stop.aborted) return null
      const { migration } = report
      if (migration.status !== 'completed')
        throw new HostError(`a guest could not be migrated to measure it: ${migration['error-desc'] ?? migration.status}`)
      setup.push(migration['setup-time'] * 1e6)
      down.push(migration.downtime * 1e6)
      total.push(migration['total-time'] * 1e6)
      access.push(report.kernel.accessNs ?? 0)
    }
  }
  return [...all].map(([way, { setup, down, total, access }]) => ({
    ...way,
    setupNs: summary(setup).median,
    downtimeNs: summary(down).median,
    totalNs: summary(total).median,
    totals: total,
    accessNs: summary(access).median,
  }))
}

/** The kept one, or a short one, which is kept then. Null: stopped. */
export async function hostCalibration(context: Context): Promise<HostCalibration | null> {
  const kernel = hostKernelOf(context.host)
  const path = await kernel.calibrationPath()
  const kept = await keptCalibration(kernel, path)
  if (kept !== null && isOf(kept.calibration, await kernel.identity())) return kept
  context.terminal.err(`This host was not measured yet; that is done now, once, and kept in ${path}.\n`)
  const measured = await calibrateHost(context, null, SHORT)
  if (measured !== null && measured.unwritten !== null)
    context.terminal.err(sentence(`It will be measured again next time: ${measured.unwritten.message}`))
  return measured
}

/** One that an earlier version wrote, or that somebody has changed, counts as none. */
async function keptCalibration(kernel: HostKernel, path: string): Promise<HostCalibration | null> {
  const text = await kernel.keptCalibration()
  if (text === null) return null
  try {
    const { cpu, calibration } = parseCpuFile(text, path)
    return calibration === null || cpu.program === undefined ? null : { calibration, cpu, unwritten: null }
  } catch {
    return null
  }
}

/** The model's run of the same options on this host, with its events in `recorder` if that keeps them. Null: stopped. */
export async function predict(
  { host, stop, terminal }: Context,
  { options, isPaced, wire }: KernelMigrateOptions,
  capture: Capture | null,
  { calibration, cpu }: HostCalibration,
  recorder: Recorder,
): Promise<PredictedRun | null> {
  const watch = new Stopwatch(host)
  const told = optionsOnHost(options, calibration, isPaced, wire)
  const run = new MigrationRun(told, recorder, { lockdep: false }, null, cpu, null, capture)
  const guest = parseGuest(options.guest)
  const end = await driveRun(run, guest.ok ? guest.guest.paths : [], host, stop, (progress) => {
    watch.slice(progress)
    terminal.status?.(`predicting, ${formatTime(progress.nowNs)} of the model's time`)
  })
  if (end === 'interrupted') return null
  const core = run.report()
  const { ram } = core.migration
  return { report: { ...core, host: watch.report(ram.normal + ram.duplicate, core.mmu.accesses) }, recorder }
}
