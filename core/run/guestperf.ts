/**
 * QEMU's guestperf: its comparisons and scenarios by their names, as options of a run.
 *
 * Scenario's defaults: downtime limit 500 ms, no limit of bandwidth, 30 passes, 300 s; what a scenario turns on is in its row. Both times
 * are for upstream's 1 GiB and shrink with the memory, so that as many passes fit into them. The guest is stress.c: every vCPU rewrites its share of RAM in a loop, at
 * 1 GB/s, and a scenario without a limit has a link of 1 Gb/s (both ours). Two rows say what upstream runs, not what their names promise:
 * compr-xbzrle-cache-20 has a cache of 10 %, compr-multifd-channels-4 has 2 channels.
 *
 * Source: QEMU, tests/migration/guestperf/comparison.py and scenario.py, stress.c.
 */
import { payloadBytesPerNs } from '../hw/wire.ts'
import type { CapabilityName } from '../migration/capabilities.ts'
import { DEFAULT_PARAMETERS, type MigrationParameters } from '../migration/migration_parameters.ts'
import { DEFAULT_OPTIONS, type MigrateOptions } from './options.ts'
import { contradiction, settleCapabilities } from './settings.ts'

const MIB = 2 ** 20
const DOWNTIME_NS = 500e6
const UPSTREAM_BYTES = 2 ** 30
const WRITES_GB_PER_SEC = 1
/** @qemu Scenario max_iters, max_time */
export const MAX_ITERS = 30
const MAX_TIME_NS = 300e9
/** @qemu Scenario post_copy_iters, auto_converge_step */
const POST_COPY_ITERS = 5

export interface Scenario {
  readonly comparison: string
  readonly name: string
  readonly capabilities: readonly CapabilityName[]
  readonly parameters: Partial<MigrationParameters>
  /** MiB a second; without it, all that the link carries. */
  readonly bandwidth?: number
  /** Passes before post-copy is asked for. */
  readonly postCopyIters?: number
  /** Passes before the guest is stopped at the source. */
  readonly pauseIters?: number
  /** Percent of RAM. */
  readonly xbzrleCache?: number
  /** Why it cannot be run here, as half a sentence. */
  readonly absent?: string
}

const BANDWIDTHS: readonly (readonly [string, number])[] = [
  ['100mbs', 12],
  ['300mbs', 37],
  ['1gbs', 125],
  ['10gbs', 1250],
  ['100gbs', 12500],
]
const NO_COMPRESSION = 'multi-thread compression is gone from QEMU since 9.1; multifd compresses'

const plain = { capabilities: [], parameters: {} } as const

export const SCENARIOS: readonly Scenario[] = [
  ...[0, 1, 5, 20].map((n) => ({ ...plain, comparison: 'pause-iters', name: `pause-iters-${n}`, pauseIters: n })),
  ...BANDWIDTHS.map(([word, bandwidth]) => ({
    ...plain,
    comparison: 'post-copy-bandwidth',
    name: `post-copy-bw-${word}`,
    bandwidth,
    postCopyIters: POST_COPY_ITERS,
  })),
  ...[0, 1, 5, 20].map((n) => ({ ...plain, comparison: 'post-copy-iters', name: `post-copy-iters-${n}`, postCopyIters: n })),
  ...[5, 10, 20].map((step) => ({
    comparison: 'auto-converge-iters',
    name: `auto-converge-step-${step}`,
    capabilities: ['auto-converge' as const],
    parameters: { 'cpu-throttle-increment': step },
  })),
  ...BANDWIDTHS.map(([word, bandwidth]) => ({
    comparison: 'auto-converge-bandwidth',
    name: `auto-converge-bw-${word}`,
    capabilities: ['auto-converge' as const],
    parameters: {},
    bandwidth,
  })),
  ...[1, 2, 4].map((n) => ({ ...plain, comparison: 'compr-mt', name: `compr-mt-threads-${n}`, absent: NO_COMPRESSION })),
  ...[5, 10, 20, 50].map((percent) => ({
    comparison: 'compr-xbzrle',
    name: `compr-xbzrle-cache-${percent}`,
    capabilities: ['xbzrle' as const],
    parameters: {},
    xbzrleCache: percent === 20 ? 10 : percent,
  })),
  ...[4, 8, 32, 64].map((n) => ({
    comparison: 'compr-multifd',
    name: `compr-multifd-channels-${n}`,
    capabilities: ['multifd' as const],
    parameters: { 'multifd-channels': n === 4 ? 2 : n },
  })),
]

/** A scenario as a run's options, or why there is none, in one sentence. */
export function optionsOf(
  scenario: Scenario,
  memBytes: number,
  vcpus: number,
  linkBitsPerSec: number,
  seed: number,
  /** The guest writes no faster than so many times what the link carries: more rewrites within a pass would change little. */
  mostTimesTheLink = Number.POSITIVE_INFINITY,
): MigrateOptions | string {
  if (scenario.absent !== undefined) return scenario.absent
  const { postCopyIters } = scenario
  const mode = postCopyIters === undefined ? 'precopy' : postCopyIters === 0 ? 'postcopy' : 'hybrid'
  const cache = scenario.xbzrleCache === undefined ? {} : { 'xbzrle-cache-size': cacheBytes(memBytes, scenario.xbzrleCache) }
  // A link of that bandwidth of content, rather than a limit on a faster one: post-copy is limited by it as well, as upstream sets both.
  const asked = scenario.bandwidth === undefined ? linkBitsPerSec : (scenario.bandwidth * MIB * 8) / payloadBytesPerNs(8e9)
  const bytesPerSec = Math.min(WRITES_GB_PER_SEC * vcpus * 1e9, (mostTimesTheLink * asked) / 8)
  const parameters = { ...DEFAULT_PARAMETERS, ...scenario.parameters, ...cache }
  const capabilities = Object.fromEntries(scenario.capabilities.map((name) => [name, true]))
  const settled = settleCapabilities({ mode, capabilities, parameters, dirtyTracking: null })
  if (!settled.ok) return settled.message
  const options: MigrateOptions = {
    ...DEFAULT_OPTIONS,
    mode,
    postcopyAfter: { passes: postCopyIters ?? POST_COPY_ITERS },
    capabilities: settled.capabilities,
    dirtyTracking: settled.dirtyTracking,
    parameters,
    guest: `sweep:rate=${Math.round(bytesPerSec / 1e6)}MB/s`,
    memBytes,
    vcpus,
    bandwidthBitsPerSec: asked,
    downtimeLimitNs: (DOWNTIME_NS * memBytes) / UPSTREAM_BYTES,
    durationNs: 0,
    timeLimitNs: (MAX_TIME_NS * memBytes) / UPSTREAM_BYTES,
    seed,
  }
  return contradiction(options) ?? options
}

/** The largest power of two that is not more than so many percent of RAM: QEMU takes no other. */
function cacheBytes(memBytes: number, percent: number): number {
  return 2 ** Math.floor(Math.log2((memBytes * percent) / 100))
}
