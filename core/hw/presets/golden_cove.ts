/**
 * Intel Golden Cove (Alder Lake, Sapphire Rapids), bare metal. TLB sizes and the penalty from jiegec's measurements and Intel's
 * manual. L1 is split by page size; the 16-entry TLB for stores and the 8 entries for 1 GiB pages are not modelled.
 */
import type { CpuPreset } from '../preset.ts'
import { BARE_METAL } from './event_costs.ts'
import { CHAMPSIM_WALK_CACHES, NESTED_WALK_CACHES, tableLines } from './walk_caches.ts'

const JIEGEC = 'jiegec, TLB measurements, after Intel optimization manual'

export const GOLDEN_COVE: CpuPreset = {
  ...BARE_METAL,
  id: 'golden-cove',
  name: 'Intel Golden Cove',
  clockGHz: { value: 3.5, kind: 'ours', source: 'a round sustained clock' },
  l1Entries: { value: 96, kind: 'vendor', source: JIEGEC },
  l1Ways: { value: 6, kind: 'vendor', source: JIEGEC },
  l1HugeEntries: { value: 32, kind: 'vendor', source: JIEGEC },
  l1HugeWays: { value: 4, kind: 'vendor', source: JIEGEC },
  l2Entries: { value: 2048, kind: 'vendor', source: `${JIEGEC}; data has its knee near 1,600, as code shares them` },
  l2Ways: { value: 16, kind: 'memory', source: '16-way per a secondary page' },
  l2PenaltyCycles: { value: 7, kind: 'measured', source: `${JIEGEC}: 5 to 12 cycles` },
  pwcEntries: CHAMPSIM_WALK_CACHES,
  ...NESTED_WALK_CACHES,
  nearTableLines: tableLines(2 ** 21, 'the 2 MiB L2 of a server core'),
  nearReadCycles: { value: 15, kind: 'memory', source: 'load-to-use of an L2 hit' },
  farTableLines: tableLines(2 ** 25, 'a round 32 MiB of L3'),
  farReadCycles: { value: 70, kind: 'memory', source: 'load-to-use of an L3 hit, server' },
  memoryReadCycles: { value: 350, kind: 'ours', source: '100 ns of DRAM' },
  accessCycles: { value: 5, kind: 'measured', source: `${JIEGEC}: 5 to 12 cycles` },
}
