/**
 * T2: of the pages that an application touches while it moves by post-copy with prepaging, how many come by request.
 *
 * Source: Hines, Deshpande and Gopalan, OSR 43(3), 2009, section 5 and figure 14: a virtual machine of 512 MB on 1 GbE, 20 runs.
 */
import { migrate } from './migration.ts'
import { LINK_BPS, networkShare, QUEUE, RTT_NS } from './prepaging_gains.ts'
import { type PublishedTable, type Values, within } from './table.ts'

const MIB = 2 ** 20
const APPLICATIONS = [
  { name: 'SPECweb2005', guest: 'web', percent: 21 },
  { name: 'kernel compile', guest: 'compile', percent: 59 },
  { name: 'NetPerf', guest: 'netperf', percent: 57 },
] as const

export const APPLICATION_FAULTS: PublishedTable = {
  id: 'T2',
  title: 'faults of applications that go over the network, in post-copy with prepaging',
  source: 'Hines, Deshpande and Gopalan, "Post-copy live migration of virtual machines", OSR 43(3), 2009, figure 14',
  stated: ['512 MB, 2 vCPUs, 1 GbE', 'bubbling', 'SPECweb2005, a kernel compile, NetPerf sending'],
  ours: [
    'the guests web, compile and netperf with their own defaults, whose sources stand in their files; link and queue as in T1',
    'first touches are counted until the migration is over',
    'BitTorrent (17 %) has no guest here and is no cell',
  ],
  band: 'a factor of 1.5 either way: the guests are models of the applications, made from other sources than this paper',
  seeds: 3,
  cells: within(
    1.5,
    '%',
    APPLICATIONS.map(({ name, percent }) => [name, percent] as const),
  ),
  measure,
}

function* measure(seed: number): Generator<string, Values, void> {
  const values: Record<string, number> = {}
  for (const { name, guest } of APPLICATIONS) {
    const { run } = yield* migrate(name, {
      mode: 'postcopy',
      guest,
      memBytes: 512 * MIB,
      vcpus: 2,
      prepaging: `dual:queue=${QUEUE}`,
      bandwidthBitsPerSec: LINK_BPS,
      rttNs: RTT_NS,
      seed,
    })
    values[name] = networkShare(run.report().prepaging)
  }
  return values
}
