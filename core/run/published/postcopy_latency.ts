/**
 * T4: how long a vCPU waits for a page in post-copy today, with requested pages on a channel of their own.
 *
 * Source: QEMU 10.1, postcopy blocktime series (Peter Xu, 2025): mean and histogram of 73,618 remote faults.
 */
import { DEFAULT_OPTIONS } from '../options.ts'
import { migrate } from './migration.ts'
import type { PublishedTable, Values } from './table.ts'

const MIB = 2 ** 20
const MEAN = 'mean'
const SHARES = [
  { name: 'faults up to 128 us', upToNs: 128_000, expected: 13.8 },
  { name: 'faults up to 256 us', upToNs: 256_000, expected: 81.9 },
  { name: 'faults up to 512 us', upToNs: 512_000, expected: 99.4 },
]
const SHARE_POINTS = 20

export const POSTCOPY_LATENCY: PublishedTable = {
  id: 'T4',
  title: 'latency of remote faults in post-copy with postcopy-preempt',
  source: 'QEMU series "postcopy: blocktime", 2025: 232.67 us +-2.01 %, log2 histogram',
  stated: [
    '16 GB, of which 13 GB are dirtied at random as fast as one thread can (mig_mon mm_dirty)',
    'postcopy-preempt on',
    '4 KiB pages',
  ],
  ours: [
    'link and round trip are not stated: the defaults of migrate, 10 Gb/s and 150 us',
    'a quarter of the memory: 4 GiB, 3.25 of them dirtied; of a smaller memory more is in the sockets anyway when it is asked for',
    'the one busy vCPU of the 80; the others touch nothing',
  ],
  band: 'mean: a factor of 1.25, the round trip of the machines being unknown; shares: 20 points',
  seeds: 1,
  cells: [
    { name: MEAN, unit: 'us', expected: 232.67, low: 232.67 / 1.25, high: 232.67 * 1.25 },
    ...SHARES.map(({ name, expected }) => ({
      name,
      unit: '%',
      expected,
      low: Math.max(0, expected - SHARE_POINTS),
      high: Math.min(100, expected + SHARE_POINTS),
    })),
  ],
  measure,
}

function* measure(seed: number): Generator<string, Values, void> {
  const { run } = yield* migrate('post-copy', {
    mode: 'postcopy',
    capabilities: { ...DEFAULT_OPTIONS.capabilities, 'postcopy-preempt': true },
    guest: 'uniform:set=3328M,rate=10M/s,writes=100%',
    memBytes: 4096 * MIB,
    vcpus: 1,
    seed,
  })
  const { migration } = run.report()
  const buckets = migration['postcopy-latency-dist']
  const all = buckets.reduce((a, b) => a + b, 0)
  const values: Record<string, number> = { [MEAN]: migration['postcopy-latency'] / 1000 }
  // Bucket i ends at 2^(i+1) us; 128, 256 and 512 us are ends of buckets.
  for (const { name, upToNs } of SHARES) {
    const ends = Math.log2(upToNs / 1000)
    values[name] = (100 * buckets.slice(0, ends).reduce((a, b) => a + b, 0)) / all
  }
  return values
}
