/**
 * T11: dirty bits that were not really dirty: of the pages that a sync finds dirty, the share whose newest content was sent already.
 *
 * Source: Chunguang Li, qemu-devel, November 2016 (mail-archive.com/qemu-devel msg494648): twelve programs, passes 1 and 2.
 */
import { DEFAULT_CAPABILITIES } from '../../migration/capabilities.ts'
import { DEFAULT_PARAMETERS } from '../../migration/migration_parameters.ts'
import { falselyDirty } from './falsely_dirty.ts'
import type { PublishedTable, Values } from './table.ts'

const MIB = 2 ** 20
/** Of QEMU 2.5: MAX_THROTTLE. */
const MAX_BANDWIDTH = 32 * MIB
const PASSES = 2
const POINTS = 10

/** 100 x 100 x 130 cells of 20 doubles, twice: a time step reads one grid and writes the other. */
const LBM_GRID_MB = (100 * 100 * 130 * 20 * 8) / 1e6
/** A time step: 3,000 of them in about five minutes. */
const LBM_STEP_S = 0.1

const PROGRAMS = [
  { name: 'Memcached', guest: 'memcached', percent: [44.5, 47.8] },
  {
    name: 'lbm',
    guest: `sweep:set=${Math.round((2 * LBM_GRID_MB * 1e6) / MIB)}M,rate=${LBM_GRID_MB / LBM_STEP_S}MB/s`,
    percent: [9, 3.7],
  },
] as const

const cell = (name: string, pass: number) => `${name}, pass ${pass + 1}`

export const DIRTY_BITS: PublishedTable = {
  id: 'T11',
  title: 'dirty bits that were not really dirty',
  source: 'Chunguang Li, qemu-devel, November 2016, msg494648; QEMU 2.5.1',
  stated: ['Memcached; lbm of SPEC CPU2006', 'what KVM_GET_DIRTY_LOG names at a sync, and what of it had been sent'],
  ours: [
    '1 GiB, and the bandwidth that QEMU 2.5 keeps to unless told otherwise, 32 MiB/s; the mail states neither',
    'Memcached: the guest memcached with its own defaults, two vCPUs',
    `lbm: two grids of ${LBM_GRID_MB} MB, written by turns from first to last, ${1 / LBM_STEP_S} time steps a second`,
    'of the ten other programs, all of SPEC CPU2006, no guest is known here, and they are no cells',
  ],
  band: `${POINTS} points either way: memory and bandwidth are not stated, and decide how many pages a pass finds written`,
  seeds: 3,
  cells: PROGRAMS.flatMap(({ name, percent }) =>
    percent.map((expected, pass) => ({
      name: cell(name, pass),
      unit: '%',
      expected,
      low: Math.max(0, expected - POINTS),
      high: expected + POINTS,
    })),
  ),
  measure,
}

function* measure(seed: number): Generator<string, Values, void> {
  const values: Record<string, number> = {}
  for (const { name, guest } of PROGRAMS) {
    const shares = yield* falselyDirty(
      name,
      {
        mode: 'precopy',
        capabilities: DEFAULT_CAPABILITIES,
        guest,
        memBytes: 1024 * MIB,
        bandwidthBitsPerSec: 1e9,
        parameters: { ...DEFAULT_PARAMETERS, 'max-bandwidth': MAX_BANDWIDTH },
        downtimeLimitNs: 1e6,
        seed,
      },
      PASSES,
    )
    for (let pass = 0; pass < PASSES; pass++) values[cell(name, pass)] = shares[pass]
  }
  return values
}
