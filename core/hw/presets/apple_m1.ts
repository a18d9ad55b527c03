/**
 * Apple M1, performance core, bare metal. Entries from Apple's optimisation guide, quoted by jiegec.
 *
 * macOS runs it with pages of 16 KiB. The model has pages of 4 KiB, a granule that the core has too (its guests use it), and so an
 * entry covers 4 KiB here: a quarter of the reach that macOS gets from the same entries.
 */
import type { CpuPreset } from '../preset.ts'
import { ARM_BARE_METAL } from './event_costs.ts'
import { CHAMPSIM_WALK_CACHES, NESTED_WALK_CACHES, tableLines } from './walk_caches.ts'

const APPLE = 'Apple silicon CPU optimization guide, quoted by jiegec'

export const APPLE_M1: CpuPreset = {
  ...ARM_BARE_METAL,
  id: 'apple-m1',
  name: 'Apple M1',
  clockGHz: { value: 3.2, kind: 'vendor', source: 'peak clock of a performance core' },
  l1Entries: { value: 160, kind: 'vendor', source: APPLE },
  l1Ways: { value: 160, kind: 'ours', source: 'unpublished; taken as fully associative' },
  l1HugeEntries: { value: 0, kind: 'ours', source: 'unpublished; taken as one L1 for all sizes' },
  l1HugeWays: { value: 0, kind: 'ours', source: 'unpublished; taken as one L1 for all sizes' },
  l2Entries: { value: 3072, kind: 'vendor', source: APPLE },
  l2Ways: { value: 12, kind: 'ours', source: 'unpublished; 256 sets of 12' },
  l2PenaltyCycles: { value: 7, kind: 'ours', source: 'unpublished; as other large cores' },
  pwcEntries: CHAMPSIM_WALK_CACHES,
  ...NESTED_WALK_CACHES,
  nearTableLines: tableLines(3 * 2 ** 20, "a core's part of the 12 MiB L2 of four"),
  nearReadCycles: { value: 16, kind: 'memory', source: 'load-to-use of an L2 hit, 15 to 18 cycles' },
  farTableLines: tableLines(2 ** 23, 'the 8 MiB system level cache'),
  farReadCycles: { value: 120, kind: 'ours', source: 'between L2 and DRAM' },
  memoryReadCycles: { value: 320, kind: 'memory', source: '97 ns of DRAM' },
  accessCycles: { value: 3, kind: 'memory', source: 'load-to-use of an L1 hit, pointer chase' },
}
