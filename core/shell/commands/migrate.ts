/**
 * `migrate`: one migration of one guest, from checked words to a report.
 *
 * 1. Check everything that can be checked: values, the guest, where files are to be written.
 * 2. Make the run and show it to the observer (a live view, a screen).
 * 3. Drive it in slices until it is done, stopped, or out of simulated time.
 * 4. Write the files asked for (trace_files.ts); then print the report.
 * The exit code says the worst that happened: inconsistent 3, before time limit 124, before good 0.
 */
import { formatCount, formatTime, spellSize } from '../../base/units.ts'
import type { Capture } from '../../guest/capture.ts'
import { GUESTS, parseGuest } from '../../guest/catalog.ts'
import { GuestError } from '../../guest/guest_kind.ts'
import { TraceError } from '../../guest/lackey.ts'
import type { CpuPreset } from '../../hw/preset.ts'
import { type Compressor, loadCompression } from '../../migration/compression.ts'
import type { ForeignPolicy } from '../../migration/prepaging/checked.ts'
import { PrepagingError } from '../../migration/prepaging/policy.ts'
import { parsePrepaging } from '../../migration/prepaging/registry.ts'
import { driveRun } from '../../run/drive.ts'
import { MigrationRun, RunError } from '../../run/migration_run.ts'
import { DEFAULT_OPTIONS, type MigrateOptions } from '../../run/options.ts'
import type { Progress, Report } from '../../run/report.ts'
import { Recorder } from '../../trace/recorder.ts'
import { ArgumentError } from '../arguments.ts'
import { type Command, type CommandContext, CommandError } from '../command.ts'
import { ownCpu } from '../cpu_file.ts'
import { ownGuest } from '../guest_file.ts'
import { ExitCode, type Host } from '../host.ts'
import { sentence } from '../layout.ts'
import { loadPolicyFile } from '../policy_file.ts'
import type { NewestRun, RunOutcome } from '../shell_state.ts'
import { Stopwatch } from '../stopwatch.ts'
import { didYouMean } from '../suggestion.ts'
import { detach } from './background.ts'
import { recoverCommand } from './control_commands.ts'
import { commandOf, migrateOptions } from './migrate_options.ts'
import { MIGRATE_OPTIONS } from './migrate_specs.ts'
import { reportText } from './report_text.ts'
import { TraceFiles } from './trace_files.ts'

export const migrateCommand: Command = {
  name: 'migrate',
  group: 'Migration',
  summary: 'one migration of one guest',
  description:
    'Boots a guest on the source, migrates it, lets it run on at the destination, and checks every load it makes on the way.\n\n' +
    'SIZE is 4k, 64M or 1G (powers of 1024); RATE is in bits (100Mbps, 10Gbps) or bytes (200MiB/s, 1.2GB/s); TIME is 150us, 300ms or 2s. ' +
    'The same options and seed make the same run. Exits 0 when all is well, 1 when it failed, 2 for a wrong option, 3 when a check broke, ' +
    '124 at the time limit, 130 when interrupted.',
  positionals: [],
  options: MIGRATE_OPTIONS,
  examples: [
    { line: 'migrate', meaning: 'a key-value store of 256 MiB by post-copy over 10 Gbps' },
    {
      line: 'migrate --guest sweep --mem 1G --bandwidth 25Gbps',
      meaning: 'a guest that writes all of its memory, over a faster link',
    },
    { line: 'migrate --guest program.lackey.gz --seed 7 --json', meaning: "a real program's memory trace, the report as JSON" },
    { line: 'migrate --without remap-tlb-flush', meaning: 'leave one protection out and watch the check fail' },
  ],
  run: migrate,
}

async function migrate(context: CommandContext): Promise<number> {
  const { arguments: given, host, state } = context
  if (given.has('resume')) return recoverCommand.run(context)
  if (state.newest?.outcome === 'running')
    throw new CommandError('a migration is under way; wait waits for its end, and migrate_cancel ends it')
  // 1. Nothing starts before all of this is known to be right.
  const capture = await ownGuest(given.text('guest') ?? DEFAULT_OPTIONS.guest, host)
  const options = migrateOptions(given, state.settings, capture)
  const paths = tracesOf(options)
  const files = await TraceFiles.asked(given, inputsOf(options), host)
  for (const path of paths) await checkReadable(path, host)
  const policy = await ownPolicy(options, host)
  const cpu = await ownCpu(options.cpu, host)
  const compressor = await compressorOf(options)

  // 2.
  const recorder = new Recorder({ keep: context.keepEvents || files.areWanted })
  const newest: NewestRun = {
    run: makeRun(options, recorder, policy, cpu, compressor, capture),
    recorder,
    command: commandOf(options),
    outcome: 'running',
  }
  const work = (own: CommandContext) => migrateNow(own, newest, paths, files)
  if (given.has('detach')) {
    newest.run.control.attended = true
    detach(context, work)
  }
  state.newest = newest
  return given.has('detach') ? ExitCode.good : work(context)
}

async function migrateNow(
  context: CommandContext,
  newest: NewestRun,
  paths: readonly string[],
  files: TraceFiles,
): Promise<number> {
  const { arguments: given, host, terminal, stop, observer } = context
  const { run, recorder } = newest
  const { options } = run
  const watch = new Stopwatch(host)
  observer.onRun?.(run, recorder, newest.command, given.has('quiet') || given.has('detach'))
  // 3.
  let outcome: RunOutcome = 'failed'
  try {
    outcome = await driveRun(run, paths, host, stop, (progress) => {
      watch.slice(progress)
      observer.onProgress?.(progress)
    })
  } catch (error) {
    throw forUser(error, options)
  } finally {
    newest.outcome = outcome
    observer.onEnd?.(outcome)
  }
  if (outcome === 'interrupted') return interrupted(run.progress(), context)

  // 4.
  const core = run.report()
  const report: Report = {
    ...core,
    host: watch.report(core.migration.ram.normal + core.migration.ram.duplicate, core.mmu.accesses),
  }
  await files.write(recorder, stop)
  if (stop.aborted) return interrupted(run.progress(), context)
  if (given.has('json')) terminal.out(`${JSON.stringify(report, null, 2)}\n`)
  else if (!given.has('quiet'))
    terminal.out(reportText(report, `${context.program}${newest.command}`, terminal.columns, terminal.colour))
  return files.exitCode(exitCodeOf(report, outcome, options, context), `${context.program}migrate: `, terminal)
}

/** The trace files of the guest, where it is made of some. Throws ArgumentError where there is no such guest. */
export function tracesOf(options: MigrateOptions): readonly string[] {
  const guest = parseGuest(options.guest)
  if (guest.ok) return guest.guest.paths
  const names = GUESTS.map((g) => g.name)
  throw new ArgumentError(`${guest.message}${guest.unknown === undefined ? '' : didYouMean(guest.unknown, names)}`)
}

/** Files that a run reads. */
export function inputsOf({ guest }: MigrateOptions): readonly string[] {
  const parsed = parseGuest(guest)
  if (!parsed.ok) return []
  const { captured, paths } = parsed.guest
  return captured === null ? paths : [captured]
}

/** A guest boots before it reads its trace; a file that is not there should not wait for that. */
export async function checkReadable(path: string, host: Host): Promise<void> {
  for await (const block of host.open(path)) if (block.length > 0) return
}

/** The file of a prepaging policy, loaded, if one is named. */
async function ownPolicy(options: MigrateOptions, host: Host): Promise<ForeignPolicy | null> {
  const parsed = parsePrepaging(options.prepaging)
  if (!parsed.ok || parsed.choice.path === null) return null
  try {
    return await loadPolicyFile(parsed.choice.path, host)
  } catch (error) {
    throw forUser(error, options)
  }
}

/** The library that compresses pages, loaded, where multifd is told to. */
export async function compressorOf({ capabilities, parameters }: MigrateOptions): Promise<(() => Compressor) | null> {
  const method = parameters['multifd-compression']
  if (!capabilities.multifd || method === 'none') return null
  return loadCompression(method, parameters[`multifd-${method}-level`])
}

export function makeRun(
  options: MigrateOptions,
  recorder: Recorder,
  policy: ForeignPolicy | null,
  cpu: CpuPreset | null,
  compressor: (() => Compressor) | null,
  capture: Capture | null,
): MigrationRun {
  try {
    return new MigrationRun(options, recorder, { lockdep: false }, policy, cpu, compressor, capture)
  } catch (error) {
    throw forUser(error, options)
  }
}

/** What the user can mend becomes a CommandError; a bug stays what it is. */
export function forUser(error: unknown, options: MigrateOptions): unknown {
  if (error instanceof RunError || error instanceof GuestError) return new CommandError(error.message, ExitCode.usage)
  if (error instanceof PrepagingError) return new CommandError(error.message, ExitCode.usage)
  if (error instanceof TraceError) return new CommandError(error.message)
  // A typed array that the host cannot hold is a RangeError; people chose the size.
  if (error instanceof RangeError && /alloc|array (buffer )?length/i.test(error.message)) {
    return new CommandError(`this host has not enough memory for a guest of ${spellSize(options.memBytes)}; try a smaller --mem`)
  }
  return error
}

function interrupted(progress: Progress, { terminal, program }: CommandContext): number {
  const { phase, pagesReceived, pagesTotal, nowNs, loadsChecked, mismatches } = progress
  const where = {
    boot: 'while the guest booted',
    before: 'before the migration began',
    during: `${formatCount(pagesReceived)} of ${formatCount(pagesTotal)} pages received`,
    after: 'after the migration',
    done: 'after the migration',
  }[phase]
  const verdict = mismatches === 0 ? 'no mismatch' : `${formatCount(mismatches)} mismatch${mismatches === 1 ? '' : 'es'}`
  terminal.err(
    sentence(
      `${program}migrate: interrupted after ${formatTime(nowNs)} of simulated time, ${where}; ${formatCount(loadsChecked)} loads checked, ${verdict}`,
    ),
  )
  return ExitCode.interrupted
}

function exitCodeOf(
  { consistency, migration }: Report,
  outcome: RunOutcome,
  options: MigrateOptions,
  { terminal, program }: CommandContext,
): number {
  if (consistency.verdict === 'inconsistent') return ExitCode.broken
  if (outcome === 'time-limit') {
    const { status, forecast = '' } = migration
    const never = forecast.includes('never')
    const remedy = never
      ? `try --mode hybrid, ${options.capabilities['auto-converge'] ? '' : '--capability auto-converge=on '}or a longer --downtime-limit`
      : timeLimitRemedy(options)
    const why = forecast === '' ? '' : `, a pre-copy that ${forecast}`
    terminal.err(
      sentence(
        `${program}migrate: the time limit of ${formatTime(options.timeLimitNs)} was reached in status ${status}${why}; ${remedy}`,
      ),
    )
    return ExitCode.timeLimit
  }
  if (migration.status === 'completed') return ExitCode.good
  const { 'error-desc': error } = migration
  terminal.err(
    sentence(`${program}migrate: the migration ended with status ${migration.status}${error === undefined ? '' : `: ${error}`}`),
  )
  return ExitCode.failed
}

/** What to do at the end of the time. */
export function timeLimitRemedy({ prepaging }: MigrateOptions): string {
  const parsed = parsePrepaging(prepaging)
  const isByDemand = parsed.ok && parsed.choice.kind === 'demand'
  return isByDemand
    ? 'by demand the guest gets only what it asks for; give a longer --time-limit or another --prepaging'
    : 'give a longer --time-limit or none'
}
