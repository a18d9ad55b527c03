/**
 * T1: what prepaging is worth: of the pages that a sequential program touches, how many had to be asked for over the network.
 *
 * Source: Hines, Deshpande and Gopalan, OSR 43(3), 2009, table 2. A first touch counts as core/run/first_touches.ts says: a page
 * that is still on its way counts as a network fault. The guest goes on after the migration until it has swept its set once.
 */
import { migrate } from './migration.ts'
import { type PublishedTable, type Values, within } from './table.ts'

const MIB = 2 ** 20
const SETS = [
  { mib: 8, prepaging: 2, pushOnly: 15 },
  { mib: 16, prepaging: 4, pushOnly: 13 },
  { mib: 32, prepaging: 4, pushOnly: 13 },
  { mib: 64, prepaging: 3, pushOnly: 10 },
  { mib: 128, prepaging: 3, pushOnly: 9 },
  { mib: 256, prepaging: 3, pushOnly: 10 },
]
const POLICIES = [
  { name: 'prepaging', policy: 'dual' },
  { name: 'push only', policy: 'push-only' },
] as const

/** T2 has the same link. */
export const LINK_BPS = 1e9
export const QUEUE = '4k'
/** 1 GbE, kernel TCP, 10 bytes each way, with interrupt coalescing: RAMCloud wiki. */
export const RTT_NS = 103_600
const SWEEP_MB_PER_SEC = 60
/** Where the sweep is when the guest moves, percent of its set: a value is the mean over these. */
const POSITIONS = [25, 75]
const BEHIND_NS = 100e6

const cellName = (way: string, mib: number) => `${way}, ${mib} MB`

export const PREPAGING_GAINS: PublishedTable = {
  id: 'T1',
  title: 'prepaging against pushing only: network faults of a sequential sweep',
  source: 'Hines, Deshpande and Gopalan, "Post-copy live migration of virtual machines", OSR 43(3), 2009, table 2',
  stated: ['1 GbE', 'one process that sweeps its working set', 'free memory is ballooned away', 'bubbling around one pivot'],
  ours: [
    `the sweep goes at ${SWEEP_MB_PER_SEC} MB/s, about half of what the link carries, chosen once for the table, and is a quarter or three quarters through its set when the guest moves`,
    'its memory lies in runs of 31 pages, the batch in which a Linux of that time takes frames from its free lists',
    'memory is the working set alone; a round trip of 103.6 us, as measured by others on 1 GbE with interrupt coalescing',
    `a request waits behind one page at most: the paper throws away what is queued for transmission; both ways alike`,
  ],
  band: 'a factor of 2 either way: the paper prints whole percents, of which 2 may be 1.5 or 2.5, and does not state how fast the sweep is',
  seeds: 1,
  cells: [
    ...within(
      2,
      '%',
      SETS.map(({ mib, prepaging }) => [cellName('prepaging', mib), prepaging] as const),
    ),
    ...within(
      2,
      '%',
      SETS.map(({ mib, pushOnly }) => [cellName('push only', mib), pushOnly] as const),
    ),
  ],
  measure,
}

function* measure(seed: number): Generator<string, Values, void> {
  const values: Record<string, number> = {}
  for (const { mib } of SETS) {
    for (const { name, policy } of POLICIES) {
      const cell = cellName(name, mib)
      let sum = 0
      for (const from of POSITIONS) {
        const { run } = yield* migrate(cell, {
          mode: 'postcopy',
          guest: `sweep:set=${mib}M,rate=${SWEEP_MB_PER_SEC}MB/s,from=${from}%,run=124k`,
          memBytes: mib * MIB,
          vcpus: 1,
          prepaging: `${policy}:queue=${QUEUE}`,
          bandwidthBitsPerSec: LINK_BPS,
          rttNs: RTT_NS,
          // Waiting for pages makes the sweep slower than its rate, but by less than another sweep.
          durationNs: BEHIND_NS + (mib * MIB * 1e9) / (SWEEP_MB_PER_SEC * 1e6),
          seed,
        })
        sum += networkShare(run.report().prepaging)
      }
      values[cell] = sum / POSITIONS.length
    }
  }
  return values
}

/** Percent of first touches. */
export function networkShare({ networkFaults, minorFaults }: { networkFaults: number; minorFaults: number }): number {
  return (100 * networkFaults) / (networkFaults + minorFaults)
}
