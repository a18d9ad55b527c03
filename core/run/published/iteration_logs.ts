/**
 * T12: logs of pre-copy pass by pass: the plateau of a guest that rewrites its memory, and an idle guest that converges at once.
 *
 * Sources: Cloud Hypervisor, pull request 7799, a log of 6 GiB; an `xl -v migrate` log of 512 MiB in use (pastebin AaSpWZdg).
 */
import { DEFAULT_CAPABILITIES } from '../../migration/capabilities.ts'
import { migrate } from './migration.ts'
import { type PublishedTable, type Values, within } from './table.ts'

const MIB = 2 ** 20
/** The plateau is run at this part of the published size. Pages and times shrink together. */
const SCALE = 4
const PLATEAU = [
  { mib: 6144, seconds: 3.09 },
  { mib: 5418, seconds: 2.97 },
  { mib: 5418, seconds: 2.92 },
  { mib: 5428, seconds: 3.02 },
]
/** Mean of the four passes' throughput. */
const PLATEAU_MIB_PER_SEC = 1866
const HOT_MIB = 5418

const XEN_PAGES = 131_072
const XEN_BPS = 547e6
/** 308 pages in 7,826 ms. */
const XEN_WRITES_PER_SEC = 39.4

export const ITERATION_LOGS: PublishedTable = {
  id: 'T12',
  title: 'pre-copy pass by pass: Cloud Hypervisor does not converge, Xen does',
  source: 'Cloud Hypervisor PR 7799; xl -v migrate log, pastebin AaSpWZdg',
  stated: [
    '6 GiB, about 5.4 GiB of it hot',
    'throughput of each pass',
    'Xen: 131,072 pages in use, 547 Mb/s, 308 pages dirtied in 7.8 s',
  ],
  ours: [
    `the plateau at a quarter of its size: ${6144 / SCALE} MiB; MiB and seconds are given times ${SCALE}`,
    'the hot set is swept by 8 vCPUs as fast as they can',
    'the link carries the mean throughput of the log',
    'Xen: the idle guest writes pages at random, at the mean rate of the log',
  ],
  band: 'a tenth either way: the throughput of the published passes differs by that much; a fifth for what the idle guest dirtied, a count of 308',
  seeds: 1,
  cells: [
    ...within(
      1.1,
      'MiB',
      PLATEAU.map(({ mib }, n) => [`Cloud Hypervisor, iteration ${n}`, mib] as const),
    ),
    ...within(
      1.1,
      's',
      PLATEAU.map(({ seconds }, n) => [`Cloud Hypervisor, time of iteration ${n}`, seconds] as const),
    ),
    ...within(1.1, 'ms', [['Xen, time of iteration 0', 7826]]),
    ...within(1.2, 'pages', [['Xen, dirtied in iteration 0', 308]]),
  ],
  measure,
}

function* measure(seed: number): Generator<string, Values, void> {
  const values: Record<string, number> = {}
  const common = { mode: 'precopy', capabilities: DEFAULT_CAPABILITIES, seed } as const
  const plateau = yield* migrate(
    'Cloud Hypervisor',
    {
      ...common,
      guest: `sweep:set=${HOT_MIB / SCALE}M,rate=32GB/s`,
      memBytes: (6144 / SCALE) * MIB,
      vcpus: 8,
      bandwidthBitsPerSec: PLATEAU_MIB_PER_SEC * MIB * 8,
      downtimeLimitNs: 1e6,
    },
    PLATEAU.length,
  )
  for (let n = 0; n < PLATEAU.length; n++) {
    const { pages, ns } = plateau.passes[n]
    values[`Cloud Hypervisor, iteration ${n}`] = (SCALE * pages * 4096) / MIB
    values[`Cloud Hypervisor, time of iteration ${n}`] = (SCALE * ns) / 1e9
  }
  const xen = yield* migrate(
    'Xen',
    {
      ...common,
      guest: `uniform:rate=${XEN_WRITES_PER_SEC}/s,writes=100%`,
      memBytes: XEN_PAGES * 4096,
      bandwidthBitsPerSec: XEN_BPS,
      downtimeLimitNs: 1e6,
    },
    2,
  )
  values['Xen, time of iteration 0'] = xen.passes[0].ns / 1e6
  values['Xen, dirtied in iteration 0'] = xen.passes[1].pages
  return values
}
