/**
 * Intel Skylake-SP, bare metal. TLB sizes from Intel's manual and CPUID as an Intel forum quotes them; what is recalled only says so.
 * L1 is split by page size; 1 GiB pages (4 entries in L1, 16 in L2) are not modelled.
 */
import type { CpuPreset } from '../preset.ts'
import { BARE_METAL } from './event_costs.ts'
import { CHAMPSIM_WALK_CACHES, NESTED_WALK_CACHES, tableLines } from './walk_caches.ts'

const INTEL = 'Intel optimization manual and CPUID leaf 18h, quoted in an Intel forum'

export const SKYLAKE: CpuPreset = {
  ...BARE_METAL,
  id: 'skylake',
  name: 'Intel Skylake-SP',
  clockGHz: { value: 3, kind: 'ours', source: 'a round sustained clock' },
  l1Entries: { value: 64, kind: 'vendor', source: INTEL },
  l1Ways: { value: 4, kind: 'vendor', source: INTEL },
  l1HugeEntries: { value: 32, kind: 'memory', source: '32 entries for 2 MiB and 4 MiB' },
  l1HugeWays: { value: 4, kind: 'memory', source: '32 entries for 2 MiB and 4 MiB, 4-way' },
  l2Entries: { value: 1536, kind: 'vendor', source: INTEL },
  l2Ways: { value: 12, kind: 'vendor', source: `${INTEL}; 128 sets of 12` },
  l2PenaltyCycles: { value: 8, kind: 'memory', source: '7 to 9 cycles' },
  pwcEntries: CHAMPSIM_WALK_CACHES,
  ...NESTED_WALK_CACHES,
  nearTableLines: tableLines(2 ** 20, 'the 1 MiB L2 of a core'),
  nearReadCycles: { value: 14, kind: 'vendor', source: 'Intel optimization manual: L2 hit of Skylake server' },
  farTableLines: tableLines(2 ** 24, 'a round 16 MiB of L3'),
  farReadCycles: { value: 60, kind: 'memory', source: '50 to 70 cycles, by the distance in the mesh' },
  memoryReadCycles: { value: 270, kind: 'ours', source: '90 ns of DRAM' },
  accessCycles: { value: 4, kind: 'vendor', source: 'Intel optimization manual: L1 hit' },
}
