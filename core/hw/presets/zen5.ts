/**
 * AMD Zen 5, bare metal. TLB geometry from AMD's optimisation guide 58455 and confirmed by a pointer chase (knees at 96
 * pages and 4,096 pages); event costs from published measurements, each with its origin.
 */
import type { CpuPreset } from '../preset.ts'
import { BARE_METAL } from './event_costs.ts'
import { NESTED_WALK_CACHES, tableLines, ZEN_WALK_CACHES } from './walk_caches.ts'

const AMD = 'AMD 58455, software optimization guide for family 1Ah; jiegec, TLB measurements'

export const ZEN5: CpuPreset = {
  ...BARE_METAL,
  id: 'zen5',
  name: 'AMD Zen 5',
  clockGHz: { value: 4, kind: 'ours', source: 'a round sustained clock; latencies below are in cycles' },
  l1Entries: { value: 96, kind: 'vendor', source: AMD },
  l1Ways: { value: 96, kind: 'vendor', source: `${AMD}: fully associative` },
  l1HugeEntries: { value: 0, kind: 'vendor', source: `${AMD}: one L1 for all sizes` },
  l1HugeWays: { value: 0, kind: 'vendor', source: `${AMD}: one L1 for all sizes` },
  l2Entries: { value: 4096, kind: 'vendor', source: AMD },
  l2Ways: { value: 16, kind: 'vendor', source: AMD },
  l2PenaltyCycles: { value: 7, kind: 'measured', source: '4 to 11 cycles: 88 pages 1.04 ns, 104 pages 2.9 ns' },
  pwcEntries: ZEN_WALK_CACHES,
  ...NESTED_WALK_CACHES,
  nearTableLines: tableLines(2 ** 20, 'the 1 MiB L2 of a core'),
  nearReadCycles: { value: 14, kind: 'memory', source: 'a PTE line found in the L2 cache' },
  farTableLines: tableLines(2 ** 25, 'the 32 MiB L3 of a CCD'),
  farReadCycles: { value: 50, kind: 'memory', source: 'load-to-use of an L3 hit, 46 to 50 cycles' },
  memoryReadCycles: { value: 360, kind: 'ours', source: '90 ns of DRAM at 4 GHz' },
  accessCycles: { value: 4, kind: 'measured', source: 'load-to-use of an L1 hit' },
}
