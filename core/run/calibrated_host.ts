/**
 * The model on a host that was measured: its options there, and what the two programs of a migration take on it.
 *
 * What a page costs a thread that is written in JavaScript, has only just begun and shares its CPUs with the guest's is not the sum of
 * calls that were measured one by one. So a guest whose vCPUs are busy, but on one MiB of its memory alone, is migrated on the real kernel,
 * in fresh processes, by each of the ways there are; and the model is asked what a page must cost its receiver so that it takes the same time
 * (`programCosts`). Everything else (faults, requests, what is written meanwhile, when a pre-copy ends) follows from the guest and the model. No
 * run that is predicted was measured for it.
 *
 *  1. setup is that of the post-copies; so is the downtime, beyond the model's own: what it takes to stop and start.
 *  2. savePageNs is a page's share of a long write() to the socket, by the processor time of the writer; saveRunNs what a short one takes more,
 *     and a look at which pages are mapped. Both as seen from here, since programs call from here.
 *  3. What a page costs its receiver in post-copy by COPY, by MOVE, and in pre-copy: found by the secant rule, the time grows with it.
 */
import { median } from 'simple-statistics'
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
const GUEST = 'uniform:set=1M,rate=500k/s,freed=127M'
const GUEST_BYTES = 128 * 2 ** 20

export const PIPELINE_WAYS: readonly PipelineWay[] = [
  { mode: 'postcopy', resolver: 'copy' },
  { mode: 'postcopy', resolver: 'move' },
  { mode: 'precopy', resolver: 'copy' },
]

/** Bytes that a Unix socket holds, and as many that its reader has taken and not looked at. */
const SOCKET_BYTES = 212_992
const PLACED_BY_A_CALL = 64
const STATE_BYTES = 64
/** Below this its own work fills the time. */
const HALT_NS = 1000
const TRIES = 5
const NEAR = 0.01

/** As the real kernel is told, to measure it. */
export function pipelineOptions({ mode, resolver }: PipelineWay): MigrateOptions {
  const settled = settleCapabilities({ mode, capabilities: {}, parameters: DEFAULT_OPTIONS.parameters, dirtyTracking: null })
  if (!settled.ok) throw new Error(settled.message)
  const { capabilities } = settled
  return { ...DEFAULT_OPTIONS, guest: GUEST, memBytes: GUEST_BYTES, durationNs: 0, mode, resolver, capabilities }
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
  const ways = (mode: PipelineWay['mode']) => pipeline.filter((runs) => runs.mode === mode)
  const because = (text: string) => `kernel calibrate on ${calibration.cpu.name}, Linux ${calibration.release}: ${text}`
  const made = (value: number, text: string): Sourced => ({
    value: Math.round(Math.max(0, value)),
    kind: 'measured',
    source: because(text),
  })
  const ours = (value: number, source: string): Sourced => ({ value, kind: 'ours', source })
  const those = `migrations of ${GUEST}`
  const value = (name: string) => calibration.measured.find((one) => one.name === name)?.seen ?? 0
  const write = value('socketWrite')
  let costs: ProgramCosts = {
    // 1.
    setupNs: made(median(ways('postcopy').map(({ setupNs }) => setupNs)), `${those} by post-copy: until the stream is connected`),
    // 2.
    savePageNs: made(write, 'processor time of a page in a write() of 64 pages to a Unix socket'),
    saveRunNs: made(
      value('socketWritePage') - write + value('pagemapScan'),
      'processor time of a write() of one page, beyond its share of a long one, and PAGEMAP_SCAN of a page',
    ),
    discardNs: made(
      value('madvise') - preset.syscallNs.value,
      "madvise(MADV_DONTNEED) of a page, beyond the model's system call",
    ),
    loadCopiedPageNs: ours(0, 'not yet found'),
    loadMovedPageNs: ours(0, 'not yet found'),
    loadPrecopyPageNs: ours(0, 'not yet found'),
    deviceSaveNs: ours(0, 'not yet found'),
    deviceLoadNs: ours(0, 'not yet found'),
    deviceBytes: ours(STATE_BYTES, 'two vCPUs of 16 bytes, and a header'),
    haltNs: ours(HALT_NS, 'vCPU threads do what is due, and sleep until more is (main/kernel/migrate/vcpu_thread.ts)'),
    sendBufferBytes: ours(SOCKET_BYTES, 'net.core.wmem_default'),
    receiveBufferBytes: ours(SOCKET_BYTES, 'what one read takes of a socket that is full'),
    placeBatchPages: ours(PLACED_BY_A_CALL, 'main/kernel/migrate/area.ts'),
  }
  /** ns of the model's own run. */
  const ask = async (runs: PipelineRuns, program: ProgramCosts) => {
    const options = optionsOnHost(pipelineOptions(runs), calibration, false)
    const run = new MigrationRun(options, new Recorder({ keep: false }), { lockdep: false }, null, { ...preset, program })
    if ((await driveRun(run, [], host, stop, () => undefined)) === 'interrupted') return null
    const { 'total-time': total, downtime } = run.report().migration
    return { totalNs: total * 1e6, downtimeNs: downtime * 1e6 }
  }
  const beyond: number[] = []
  for (const runs of ways('postcopy')) {
    const answer = await ask(runs, costs)
    if (answer === null) return null
    beyond.push(runs.downtimeNs - answer.downtimeNs)
  }
  const half = made(median(beyond) / 2, `half of the downtime of ${those} by post-copy, beyond the model's own`)
  costs = { ...costs, deviceSaveNs: half, deviceLoadNs: half }
  // 3.
  for (const runs of pipeline) {
    const field =
      runs.mode === 'precopy' ? 'loadPrecopyPageNs' : runs.resolver === 'copy' ? 'loadCopiedPageNs' : 'loadMovedPageNs'
    const ns = await costThatTakes(runs.totalNs, (tried) => ask(runs, { ...costs, [field]: made(tried, 'tried') }))
    if (ns === null) return null
    costs = { ...costs, [field]: made(ns, `so that the model takes as long as ${those} by ${runs.mode} with ${runs.resolver}`) }
  }
  return costs
}

/** 3. The cost of a page with which the model takes so long; null: stopped. */
async function costThatTakes(
  totalNs: number,
  ask: (ns: number) => Promise<{ readonly totalNs: number } | null>,
): Promise<number | null> {
  const pages = GUEST_BYTES / 4096
  let [before, ns] = [0, 0]
  let [took, last] = [0, 0]
  for (let n = 0; n < TRIES; n++) {
    const answer = await ask(ns)
    if (answer === null) return null
    ;[last, took] = [took, answer.totalNs]
    const missing = totalNs - took
    if (Math.abs(missing) < NEAR * totalNs || (n === 0 && missing < 0)) break
    // At first as if each page's cost were the migration's.
    const slope = n > 0 && ns !== before && took > last ? (took - last) / (ns - before) : pages
    ;[before, ns] = [ns, Math.max(0, ns + missing / slope)]
  }
  return ns
}
