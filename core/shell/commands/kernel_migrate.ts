/**
 * `kernel migrate`: one migration of one guest between two processes of this host, on its own userfaultfd.
 *
 *  1. The options of migrate, by the same names and checks; what a real kernel cannot be told is refused.
 *  2. The model says what it would be on the calibrated host (host_calibration.ts): before, as predictions are made.
 *  3. The host's kernel does it (main/kernel/migrate). Events are recorded meanwhile where a screen or a file is to have them.
 *  4. The same report, with what was predicted in it. Exit codes as migrate's.
 */
import { Prng } from '../../base/prng.ts'
import { formatCount, formatSize, formatTime, spellRate, spellSize, spellTime } from '../../base/units.ts'
import type { Capture } from '../../guest/capture.ts'
import { freedPages, makeWorkloads, parseGuest } from '../../guest/catalog.ts'
import type { GuestData } from '../../guest/guest_data.ts'
import { GuestError } from '../../guest/guest_kind.ts'
import { MOST_OWNERS } from '../../guest/own_words.ts'
import { CAPABILITY_NAMES, type CapabilityName } from '../../migration/capabilities.ts'
import { DEFAULT_PARAMETERS, PARAMETER_NAMES, type ParameterName } from '../../migration/migration_parameters.ts'
import { parsePrepaging } from '../../migration/prepaging/registry.ts'
import { type KernelEvents, KernelRecording } from '../../run/kernel_events.ts'
import { type KernelMigrateOptions, type KernelReport, WIRES, type Wire } from '../../run/kernel_report.ts'
import { DEFAULT_OPTIONS, type MigrateOptions, RESOLVERS } from '../../run/options.ts'
import type { OfTheModelAlone } from '../../run/options_used.ts'
import { endlessRefusal } from '../../run/prepaging.ts'
import { Recorder } from '../../trace/recorder.ts'
import { ArgumentError, type Arguments } from '../arguments.ts'
import type { Command, CommandContext, OptionSpec } from '../command.ts'
import { guestData } from '../guest_data.ts'
import { ownGuest } from '../guest_file.ts'
import { ExitCode, HostError } from '../host.ts'
import { hostCalibration, predict } from '../host_calibration.ts'
import { hostKernelOf, type KernelProgress } from '../host_kernel.ts'
import { sentence } from '../layout.ts'
import { NO_SETTINGS, type PredictedRun, type RunOutcome } from '../shell_state.ts'
import { forUser, inputsOf, timeLimitRemedy } from './migrate.ts'
import { commandOf, migrateOptions } from './migrate_options.ts'
import { MIGRATE_OPTIONS } from './migrate_specs.ts'
import { reportText } from './report_text.ts'
import { TraceFiles } from './trace_files.ts'

const WATCHDOG_NS = 10e9
/** One view of memory holds guest RAM and the buffers beside it. */
const MOST_MEMORY = 2 ** 31
const PAGE_BYTES = 4096

/** Why an option of migrate is none here. */
const REFUSED: Readonly<Record<string, string>> = {
  'dirty-tracking': 'it is always as pagemap in migrate, by PAGEMAP_SCAN and asynchronous write protection',
  'free-page-hints': 'the guest is threads, and has no balloon device to tell by',
  balloon: 'the guest is threads, and has no balloon device',
  faults: 'how the kernel finds its VMAs is its own',
  cpu: 'it is the one of this machine',
  devices: 'there are no devices',
  'page-size': 'memory is of 4 KiB pages here',
  nested: 'vCPUs are threads, with no page tables of their own',
  'guest-page-size': 'vCPUs are threads, with no page tables of their own',
  rtt: 'a socket of this host has the round trip that it has',
  without: 'nothing can be left out of a real kernel',
  detach: 'it runs in processes of its own already',
  resume: '--recover recovers it',
} satisfies Readonly<Record<OfTheModelAlone | 'detach' | 'resume', string>>

/** What of QEMU's capabilities and parameters is done here, besides those that a mode implies. */
const CAPABILITIES: readonly CapabilityName[] = ['postcopy-ram', 'return-path', 'postcopy-preempt', 'postcopy-blocktime']
const PARAMETERS: readonly ParameterName[] = ['max-bandwidth', 'max-postcopy-bandwidth', 'avail-switchover-bandwidth']
const INCIDENTS: readonly string[] = ['link-down', 'source-crash', 'destination-crash', 'cancel']

const WIRE_MEANING: Readonly<Record<Wire, string>> = {
  unix: 'Unix sockets with an abstract name',
  tcp: 'TCP on 127.0.0.1, at a port that is free, without delay',
}

const OPTIONS: readonly OptionSpec[] = [
  ...MIGRATE_OPTIONS.map((option) => own(option)),
  {
    name: 'watchdog',
    kind: 'time',
    defaultText: spellTime(WATCHDOG_NS),
    example: '10s',
    min: 1e6,
    max: 3600e9,
    meaning: 'give it up when nothing has moved for so long',
  },
  {
    name: 'wire',
    kind: 'enum',
    defaultText: WIRES[0],
    meaning: 'what the sockets between the two machines are',
    choices: WIRES.map((word) => ({ word, meaning: WIRE_MEANING[word] })),
  },
  { name: 'no-predict', kind: 'flag', meaning: 'do not ask the model what it would have said' },
]

function own(option: OptionSpec): OptionSpec {
  const refused = REFUSED[option.name]
  if (refused !== undefined) return { ...option, refused }
  switch (option.name) {
    case 'bandwidth': {
      const { defaultText: _none, ...rest } = option
      return { ...rest, meaning: 'most that goes over the socket; without it, as fast as that goes' }
    }
    case 'resolver':
      return { ...option, defaultText: 'move', choices: (option.choices ?? []).filter(({ word }) => word !== 'remap') }
    case 'vcpus':
      return { ...option, max: MOST_OWNERS }
    case 'mem':
      return { ...option, max: MOST_MEMORY }
    case 'seed':
      return { ...option, meaning: 'of what the guest does; how threads meet is not in anybody’s hand' }
    case 'duration':
      return { ...option, meaning: 'how long the guest runs on after completion, real time' }
    case 'time-limit':
      return { ...option, meaning: 'give up after so much time, and exit 124' }
    default:
      return option
  }
}

export const kernelMigrateCommand: Command = {
  name: 'kernel migrate',
  group: 'Real kernel',
  summary: "one migration on this host's own userfaultfd",
  description:
    'Source and destination are two processes, guest memory is real memory, vCPUs are threads that run the same guests as the simulation, ' +
    'and the stream is a socket. Pre-copy by PAGEMAP_SCAN, post-copy by UFFDIO_MOVE or UFFDIO_COPY. Every load is checked, and every page at the end.\n\n' +
    'The report is that of migrate, with times that were measured. What the kernel cannot tell is null in it. Exits as migrate does, and 126 where ' +
    'this host does not let it (see kernel info).',
  positionals: [],
  options: OPTIONS,
  examples: [
    { line: 'kernel migrate', meaning: 'a key-value store of 256 MiB by post-copy with UFFDIO_MOVE' },
    { line: 'kernel migrate --mode precopy --bandwidth 1Gbps', meaning: 'pre-copy over a socket that is held to 1 Gbps' },
    { line: 'kernel migrate --wire tcp', meaning: 'the post-copy over TCP on the loopback' },
    {
      line: 'kernel migrate --inject link-down@postcopy+5ms:200ms --recover',
      meaning: 'the socket is cut, and the post-copy recovered',
    },
  ],
  run: kernelMigrate,
}

async function kernelMigrate(context: CommandContext): Promise<number> {
  const { arguments: given, host, terminal, stop, program } = context
  // 1.
  const capture = await ownGuest(given.text('guest') ?? DEFAULT_OPTIONS.guest, host)
  const run = kernelOptions(given, capture)
  const files = await TraceFiles.asked(given, inputsOf(run.options), host)
  const data = await dataOf(context, run, capture)
  // 2.
  const predicted = data === null || given.has('no-predict') ? null : await predictedOf(context, run, capture)
  // 3.
  const events = new KernelRecording(run.options.vcpus, context.keepEvents || files.areWanted)
  const measured = data === null || stop.aborted ? null : await measure(context, run, data, events, predicted)
  terminal.status?.('')
  if (measured === null || stop.aborted) {
    terminal.err(
      sentence(`${program}kernel migrate: interrupted${measured === null ? ' before the migration began' : where(measured)}`),
    )
    return ExitCode.interrupted
  }
  // 4.
  const { recorder, missedFromNs } = events
  if (files.areWanted) await files.write(recorder, stop, { release: measured.kernel.release, missedFromNs })
  if (missedFromNs !== null)
    terminal.err(
      sentence(`${program}kernel migrate: events end after ${formatTime(missedFromNs)}; there was no room for more of them`),
    )
  if (given.has('json')) terminal.out(`${JSON.stringify(measured, null, 2)}\n`)
  else if (!given.has('quiet'))
    terminal.out(reportText(measured, `${program}${kernelCommandOf(run)}`, terminal.columns, terminal.colour))
  const code = files.exitCode(exitCodeOf(measured, run, context), `${program}kernel migrate: `, terminal)
  return stop.aborted ? ExitCode.interrupted : code
}

/** 3. The report; null: it was stopped before the migration began. */
async function measure(
  { arguments: given, host, terminal, stop, observer }: CommandContext,
  run: KernelMigrateOptions,
  data: GuestData,
  recording: KernelRecording,
  predicted: PredictedRun | null,
): Promise<KernelReport | null> {
  const { recorder } = recording
  let hasBegun = false
  const onEvents = (events: KernelEvents) => {
    if (!hasBegun) observer.onKernelRun?.({ command: kernelCommandOf(run), asked: run, recorder, predicted })
    hasBegun = true
    recording.add(events)
  }
  const onProgress = (progress: KernelProgress) => {
    if (!given.has('quiet')) terminal.status?.(progressLine(progress))
  }
  let outcome: RunOutcome = 'failed'
  let report: KernelReport | null = null
  try {
    const watcher = { onProgress, stop, ...(recorder.keep ? { onEvents } : {}) }
    const measured = await hostKernelOf(host).migrate(run, watcher, data)
    outcome = stop.aborted ? 'interrupted' : measured?.kernel.outcome === 'time limit' ? 'time-limit' : 'done'
    report = measured && { ...measured, predicted: predicted?.report ?? null }
  } finally {
    if (hasBegun) observer.onKernelEnd?.(outcome, outcome === 'interrupted' ? null : report)
  }
  return report
}

/** 2. What is measured is told even where this host cannot be calibrated, or somebody does not want to wait for that. */
async function predictedOf(
  context: CommandContext,
  run: KernelMigrateOptions,
  capture: Capture | null,
): Promise<PredictedRun | null> {
  const { terminal, program, host, keepEvents } = context
  try {
    // Who may not migrate is told that by the migration.
    if (!(await hostKernelOf(host).info()).permitted) return null
    const onHost = await hostCalibration(context)
    return onHost === null ? null : await predict(context, run, capture, onHost, new Recorder({ keep: keepEvents }))
  } catch (error) {
    if (!(error instanceof HostError) || error.exitCode === ExitCode.notPermitted) throw error
    terminal.err(sentence(`${program}kernel migrate: there is no prediction, since ${error.message}`))
    return null
  }
}

/** What the guest's files hold. Null: stopped while they were read. */
async function dataOf(
  context: CommandContext,
  { options }: KernelMigrateOptions,
  capture: Capture | null,
): Promise<GuestData | null> {
  const parsed = parseGuest(options.guest)
  if (!parsed.ok) throw new ArgumentError(parsed.message)
  try {
    return await guestData(context, parsed.guest, options, capture)
  } catch (error) {
    throw forUser(error, options)
  }
}

/** Checked. `capture`: what the guest's file holds, where it names one. Throws ArgumentError. */
export function kernelOptions(given: Arguments, capture: Capture | null = null): KernelMigrateOptions {
  const resolver = RESOLVERS.find((word) => word === given.text('resolver')) ?? 'move'
  const options: MigrateOptions = { ...migrateOptions(given, NO_SETTINGS, capture), resolver }
  const refusal = refusalOf(options) ?? guestRefusal(options, capture)
  if (refusal !== null) throw new ArgumentError(refusal)
  return {
    options,
    isPaced: given.has('bandwidth'),
    wire: WIRES.find((word) => word === given.text('wire')) ?? WIRES[0],
    watchdogNs: given.number('watchdog', WATCHDOG_NS),
  }
}

function refusalOf({ capabilities, parameters, prepaging, inject, timeLimitNs }: MigrateOptions): string | null {
  const capability = CAPABILITY_NAMES.find((name) => capabilities[name] && !CAPABILITIES.includes(name))
  if (capability !== undefined)
    return `capability ${capability} is not done on a real kernel; ${CAPABILITIES.join(', ')} are, and migrate has all of them`
  const parameter = PARAMETER_NAMES.find((name) => parameters[name] !== DEFAULT_PARAMETERS[name] && !PARAMETERS.includes(name))
  if (parameter !== undefined)
    return `parameter ${parameter} is not done on a real kernel; ${PARAMETERS.join(', ')} and downtime-limit are, and migrate has all of them`
  const policy = parsePrepaging(prepaging)
  if (policy.ok && (policy.choice.path !== null || Number.isFinite(policy.choice.queueBytes)))
    return `--prepaging ${prepaging} does not run on a real kernel; take a policy by its name, without queue`
  const endless = policy.ok ? endlessRefusal(policy.choice, timeLimitNs) : null
  if (endless !== null) return endless
  const incident = inject.find(({ what }) => !INCIDENTS.includes(what))
  if (incident !== undefined) return `--inject ${incident.what} cannot be done to a real socket; ${INCIDENTS.join(', ')} can`
  return null
}

/** Keys of the guest and memory that do not go together. */
function guestRefusal({ guest, memBytes, vcpus, seed }: MigrateOptions, capture: Capture | null): string | null {
  const parsed = parseGuest(guest)
  if (!parsed.ok) return parsed.message
  if (memBytes > MOST_MEMORY)
    return `the captured process needs ${spellSize(memBytes)} of memory, and a guest on the real kernel has ${spellSize(MOST_MEMORY)} at most; migrate takes it`
  const pages = memBytes / PAGE_BYTES
  try {
    const workloads = makeWorkloads(parsed.guest, pages, vcpus, new Prng(seed), capture)
    freedPages(parsed.guest, Math.max(...workloads.map((workload) => workload?.bootPages ?? 0)), pages)
    return null
  } catch (error) {
    if (error instanceof GuestError) return error.message
    throw error
  }
}

/** The shortest command line that asks for the same. */
export function kernelCommandOf({ options, isPaced, wire, watchdogNs }: KernelMigrateOptions): string {
  const words = [`kernel ${commandOf({ ...options, bandwidthBitsPerSec: isPaced ? options.bandwidthBitsPerSec : 10e9 })}`]
  if (isPaced && options.bandwidthBitsPerSec === 10e9) words.push('--bandwidth', spellRate(10e9))
  if (wire !== WIRES[0]) words.push('--wire', wire)
  if (watchdogNs !== WATCHDOG_NS) words.push('--watchdog', spellTime(watchdogNs))
  return words.join(' ')
}

function progressLine({
  phase,
  status,
  pagesSent,
  pagesTotal,
  transferredBytes,
  loadsChecked,
  requests,
}: KernelProgress): string {
  const pages = `${formatCount(pagesSent)} pages sent of ${formatCount(pagesTotal)}, ${formatSize(transferredBytes)}`
  const what = phase === 'during' ? `${status}, ${pages}, ${formatCount(requests)} requests` : `${phase} the migration`
  return `${phase === 'boot' ? 'the guest boots' : what}; ${formatCount(loadsChecked)} loads checked`
}

function where({ migration, consistency }: KernelReport): string {
  const verdict = consistency.mismatches === 0 ? 'no mismatch' : `${formatCount(consistency.mismatches)} mismatches`
  return ` in state ${migration.status} after ${formatTime(migration['total-time'] * 1e6)}; ${formatCount(consistency.loadsChecked)} loads checked, ${verdict}`
}

function exitCodeOf(
  { consistency, migration, kernel }: KernelReport,
  { options }: KernelMigrateOptions,
  { terminal, program }: CommandContext,
): number {
  if (consistency.verdict === 'inconsistent') return ExitCode.broken
  if (migration.status === 'completed') return ExitCode.good
  const { 'error-desc': error, status } = migration
  if (kernel.outcome === 'time limit') {
    const limit = formatTime(options.timeLimitNs)
    terminal.err(
      sentence(
        `${program}kernel migrate: the time limit of ${limit} was reached in status ${status}; ${timeLimitRemedy(options)}`,
      ),
    )
    return ExitCode.timeLimit
  }
  terminal.err(
    sentence(`${program}kernel migrate: the migration ended with status ${status}${error === undefined ? '' : `: ${error}`}`),
  )
  return ExitCode.failed
}
