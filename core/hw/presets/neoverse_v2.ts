/**
 * Arm Neoverse V2, bare metal (Graviton4, Grace). TLB sizes from Arm's manual, the penalty from Arm and jiegec.
 *
 * L1 holds any size from 4 KiB to 512 MiB. Instructions may take about half of L2; the model has no instructions.
 */
import type { CpuPreset } from '../preset.ts'
import { ARM_BARE_METAL } from './event_costs.ts'
import { CHAMPSIM_WALK_CACHES, NESTED_WALK_CACHES, tableLines } from './walk_caches.ts'

const ARM = 'Arm Neoverse V2 core technical reference manual'

export const NEOVERSE_V2: CpuPreset = {
  ...ARM_BARE_METAL,
  id: 'neoverse-v2',
  name: 'Arm Neoverse V2',
  clockGHz: { value: 3, kind: 'ours', source: 'a round sustained clock' },
  l1Entries: { value: 48, kind: 'vendor', source: ARM },
  l1Ways: { value: 48, kind: 'vendor', source: `${ARM}: fully associative` },
  l1HugeEntries: { value: 0, kind: 'vendor', source: `${ARM}: one L1 for all sizes` },
  l1HugeWays: { value: 0, kind: 'vendor', source: `${ARM}: one L1 for all sizes` },
  l2Entries: { value: 2048, kind: 'vendor', source: ARM },
  l2Ways: { value: 8, kind: 'vendor', source: ARM },
  l2PenaltyCycles: { value: 6, kind: 'vendor', source: `${ARM}; jiegec measured 5` },
  pwcEntries: CHAMPSIM_WALK_CACHES,
  ...NESTED_WALK_CACHES,
  nearTableLines: tableLines(2 ** 21, 'the 2 MiB L2 of a core'),
  nearReadCycles: { value: 10, kind: 'memory', source: 'load-to-use of an L2 hit' },
  farTableLines: tableLines(2 ** 25, 'a round 32 MiB of system cache'),
  farReadCycles: { value: 90, kind: 'ours', source: '30 ns over the mesh' },
  memoryReadCycles: { value: 330, kind: 'ours', source: '110 ns of DRAM' },
  accessCycles: { value: 4, kind: 'memory', source: 'load-to-use of an L1 hit' },
}
