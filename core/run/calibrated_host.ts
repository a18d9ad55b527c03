/**
 * The model on a host that was measured: its options there, and what the two programs of a migration take on it.
 *
 * What a page costs a thread that is written in JavaScript and has only just begun is not the sum of calls that were measured one by one. So
 * three guests are migrated on the real kernel, in fresh processes: a calm one, whose vCPUs are busy on one MiB of its memory, by each of
 * the ways there are; a sparse one, the same with the rest of its memory never touched; and by pre-copy and hybrid one that writes here and
 * there. The model is asked what a page, a zero page and a run of pages must cost the programs so that it takes the same time (`programCosts`). Everything else (faults, requests, what is written meanwhile, who waits for a
 * processor, when a pre-copy ends) follows from the guest and the model. No run that is predicted was measured for it.
 *
 *  1. setup is that of the post-copies; so is the downtime, beyond the model's own: what it takes to stop and start.
 *  2. savePageNs is a page's share of a long write() to the socket, by the processor time of the writer, as seen from here, since programs
 *     call from here. accessNs and sleepNs are processor time of a vCPU's thread, by its own clock.
 *  3. What a page costs its receiver in post-copy by COPY, by MOVE, and in pre-copy, then what a zero page costs in post-copy and in pre-copy,
 *     and then what each run of pages costs that is sent by itself, and that is placed by itself in post-copy: sought, since the time grows with it.
 *     Then those of post-copy once more: its pages, too, are placed in runs.
 */
import { median } from 'simple-statistics'
import { VCPU_SLICE_NS } from '../guest/workload.ts'
import type { Calibration, PipelineRuns, PipelineWay } from '../hw/calibration.ts'
import type { CpuPreset, ProgramCosts, Sourced } from '../hw/preset.ts'
import { bitsForPayload } from '../hw/wire.ts'
import { Recorder } from '../trace/recorder.ts'
import { type DriveHost, driveRun } from './drive.ts'
import type { Wire } from './kernel_report.ts'
import { MigrationRun } from './migration_run.ts'
import { DEFAULT_OPTIONS, type MigrateOptions } from './options.ts'
import { settleCapabilities } from './settings.ts'

/** All of its memory was written once. The rate is between those of kv and uniform. Ours. */
const CALM = 'uniform:set=1M,rate=500k/s,freed=127M'
/** The same, and nobody has touched the rest. */
const SPARSE = 'uniform:set=1M,rate=500k/s'
/** From one access of a vCPU to the next: an operation of uniform is one access. */
const CALM_THINK_NS = (DEFAULT_OPTIONS.vcpus * 1e9) / 500_000
/** What it writes while it is copied lies in runs of a page or two. Ours. */
const SCATTERED = 'uniform:set=64M,rate=200k/s,freed=64M'
const GUEST_BYTES = 128 * 2 ** 20

export const PIPELINE_WAYS: readonly PipelineWay[] = [
  { mode: 'postcopy', resolver: 'copy', guest: CALM },
  { mode: 'postcopy', resolver: 'move', guest: CALM },
  { mode: 'precopy', resolver: 'copy', guest: CALM },
  { mode: 'postcopy', resolver: 'copy', guest: SPARSE },
  { mode: 'precopy', resolver: 'copy', guest: SPARSE },
  { mode: 'precopy', resolver: 'copy', guest: SCATTERED },
  { mode: 'hybrid', resolver: 'move', guest: SCATTERED },
]

/** Whether a way is measured in a turn: what most pages cost in each, the rest in every other. */
export function isOfTurn({ guest }: PipelineWay, turn: number): boolean {
  return guest === CALM || turn % 2 === 0
}

/** Bytes that a Unix socket holds, and as many that its reader has taken and not looked at. */
const SOCKET_BYTES = 212_992
const PLACED_BY_A_CALL = 64
const STATE_BYTES = 64
/** Below this its own work fills the time. */
const HALT_NS = 1000
const TRIES = 8
const NEAR = 0.01
/** Of what lies between too low and too high, a guess goes no nearer to either end. */
const MOST_SHARE = 0.9
/** The model gives up when it has taken so many times as long as was measured: a pre-copy may never end. */
const FAR = 3

/** As the real kernel is told, to measure it. */
export function pipelineOptions({ mode, resolver, guest }: PipelineWay): MigrateOptions {
  const settled = settleCapabilities({ mode, capabilities: {}, parameters: DEFAULT_OPTIONS.parameters, dirtyTracking: null })
  if (!settled.ok) throw new Error(settled.message)
  const { capabilities } = settled
  return { ...DEFAULT_OPTIONS, guest, memBytes: GUEST_BYTES, durationNs: 0, mode, resolver, capabilities }
}

/**
 * What was asked of the real kernel, as the model is told: its socket is the link, unless a rate was given. What a page costs the programs
 * was measured over a Unix socket, and stands for TCP, too.
 */
export function optionsOnHost(
  options: MigrateOptions,
  calibration: Calibration,
  isPaced: boolean,
  wire: Wire = 'unix',
): MigrateOptions {
  const measured = (name: string) => calibration.measured.find((one) => one.name === name)?.value
  const socketBits =
    bitsForPayload(measured(`${wire}Throughput`) ?? measured('memory') ?? 0) || DEFAULT_OPTIONS.bandwidthBitsPerSec
  return {
    ...options,
    cpu: 'calibrated',
    faults: 'vma-lock',
    dirtyTracking: 'pagemap',
    bandwidthBitsPerSec: isPaced ? options.bandwidthBitsPerSec : Math.round(socketBits),
    rttNs: Math.round(measured(`${wire}RoundTrip`) ?? 0),
  }
}

/** Null: stopped. */
export async function programCosts(
  calibration: Calibration,
  preset: CpuPreset,
  host: DriveHost,
  stop: { readonly aborted: boolean },
): Promise<ProgramCosts | null> {
  const { pipeline } = calibration
  const calm = pipeline.filter(({ mode, guest }) => mode === 'postcopy' && guest === CALM)
  const because = (text: string) => `kernel calibrate on ${calibration.cpu.name}, Linux ${calibration.release}: ${text}`
  const made = (value: number, text: string): Sourced => ({
    value: Math.round(Math.max(0, value)),
    kind: 'measured',
    source: because(text),
  })
  const ours = (value: number, source: string): Sourced => ({ value, kind: 'ours', source })
  const those = `migrations of ${CALM}`
  const value = (name: string) => calibration.measured.find((one) => one.name === name)?.seen ?? 0
  const write = value('socketWrite')
  let costs: ProgramCosts = {
    // 1.
    setupNs: made(median(calm.map(({ setupNs }) => setupNs)), `${those} by post-copy: until the stream is connected`),
    // 2.
    savePageNs: made(write, 'processor time of a page in a write() of 64 pages to a Unix socket'),
    saveRunNs: ours(0, 'not yet found'),
    discardNs: made(
      value('madvise') - preset.syscallNs.value,
      "madvise(MADV_DONTNEED) of a page, beyond the model's system call",
    ),
    loadCopiedPageNs: ours(0, 'not yet found'),
    loadMovedPageNs: ours(0, 'not yet found'),
    loadPrecopyPageNs: ours(0, 'not yet found'),
    loadZeroNs: ours(0, 'not yet found'),
    loadPrecopyZeroNs: ours(0, 'not yet found'),
    loadRunNs: ours(0, 'not yet found'),
    deviceSaveNs: ours(0, 'not yet found'),
    deviceLoadNs: ours(0, 'not yet found'),
    deviceBytes: ours(STATE_BYTES, 'two vCPUs of 16 bytes, and a header'),
    haltNs: ours(HALT_NS, 'vCPU threads do what is due, and sleep until more is (main/kernel/migrate/vcpu_thread.ts)'),
    accessNs: made(
      median(calm.map(({ accessNs }) => accessNs)) - (value('sleep') * CALM_THINK_NS) / VCPU_SLICE_NS,
      `${those} by post-copy: processor time of a vCPU's thread for an access, less its share of a sleep`,
    ),
    sleepNs: made(value('sleep'), 'processor time of a sleep of 100 us on a busy CPU'),
    sendBufferBytes: ours(SOCKET_BYTES, 'net.core.wmem_default'),
    receiveBufferBytes: ours(SOCKET_BYTES, 'what one read takes of a socket that is full'),
    placeBatchPages: ours(PLACED_BY_A_CALL, 'main/kernel/migrate/area.ts'),
    processors: { value: calibration.cpu.cpus, kind: 'measured', source: because('the processors that it may run on') },
  }
  /** ns of the model's own run. */
  const ask = async (runs: PipelineRuns, program: ProgramCosts) => {
    const options = { ...optionsOnHost(pipelineOptions(runs), calibration, false), timeLimitNs: FAR * runs.totalNs }
    const run = new MigrationRun(options, new Recorder({ keep: false }), { lockdep: false }, null, { ...preset, program })
    if ((await driveRun(run, [], host, stop, () => undefined)) === 'interrupted') return null
    const { 'total-time': total, downtime } = run.report().migration
    return { totalNs: run.timedOut ? Number.POSITIVE_INFINITY : total * 1e6, downtimeNs: downtime * 1e6 }
  }
  const beyond: number[] = []
  for (const runs of calm) {
    const answer = await ask(runs, costs)
    if (answer === null) return null
    beyond.push(runs.downtimeNs - answer.downtimeNs)
  }
  const half = made(median(beyond) / 2, `half of the downtime of ${those} by post-copy, beyond the model's own`)
  costs = { ...costs, deviceSaveNs: half, deviceLoadNs: half }
  // 3.
  for (const runs of [...pipeline, ...pipeline.filter(({ mode }) => mode === 'postcopy')]) {
    const field = fieldOf(runs)
    const ns = await costThatTakes(runs.totalNs, (tried) => ask(runs, { ...costs, [field]: made(tried, 'tried') }))
    if (ns === null) return null
    costs = {
      ...costs,
      [field]: made(ns, `so that the model takes as long as migrations of ${runs.guest} by ${runs.mode} with ${runs.resolver}`),
    }
  }
  return costs
}

/** 3. What its time tells. */
function fieldOf({ mode, resolver, guest }: PipelineWay) {
  if (mode === 'hybrid') return 'loadRunNs'
  if (guest === SPARSE) return mode === 'postcopy' ? 'loadZeroNs' : 'loadPrecopyZeroNs'
  if (mode === 'postcopy') return resolver === 'copy' ? 'loadCopiedPageNs' : 'loadMovedPageNs'
  return guest === CALM ? 'loadPrecopyPageNs' : 'saveRunNs'
}

/**
 * 3. The cost with which the model takes so long; null: stopped. It is sought between one that is too low and one that is too high: where
 * time stands still or jumps with it (another pass of pre-copy), the middle is tried.
 */
async function costThatTakes(
  totalNs: number,
  ask: (ns: number) => Promise<{ readonly totalNs: number } | null>,
): Promise<number | null> {
  const pages = GUEST_BYTES / 4096
  const free = await ask(0)
  if (free === null) return null
  const low = { ns: 0, tookNs: free.totalNs }
  const high = { ns: Number.POSITIVE_INFINITY, tookNs: Number.POSITIVE_INFINITY }
  // At first as if each page's cost were the migration's.
  let ns = (totalNs - low.tookNs) / pages
  for (let n = 0; n < TRIES && totalNs - low.tookNs > NEAR * totalNs; n++) {
    const answer = await ask(ns)
    if (answer === null) return null
    const found = { ns, tookNs: answer.totalNs }
    if (Math.abs(totalNs - found.tookNs) < NEAR * totalNs) break
    const before = { ...low }
    Object.assign(found.tookNs < totalNs ? low : high, found)
    if (Number.isFinite(high.ns)) {
      const share = (totalNs - low.tookNs) / (high.tookNs - low.tookNs)
      ns = low.ns + (high.ns - low.ns) * Math.min(MOST_SHARE, Math.max(1 - MOST_SHARE, share))
    } else {
      const slope = (low.tookNs - before.tookNs) / (low.ns - before.ns)
      ns = slope > 0 ? Math.min(low.ns + (totalNs - low.tookNs) / slope, 8 * ns) : 8 * ns
    }
  }
  return Math.max(0, ns)
}
