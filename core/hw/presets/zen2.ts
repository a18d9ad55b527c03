/**
 * AMD Zen 2, bare metal. TLB geometry as WikiChip has it from AMD's presentations; sets must be a power of two, so 2,048 entries are
 * taken as 16 ways, where secondary pages also say 12. Event costs are those of other machines.
 */
import type { CpuPreset } from '../preset.ts'
import { BARE_METAL } from './event_costs.ts'
import { NESTED_WALK_CACHES, tableLines, ZEN_WALK_CACHES } from './walk_caches.ts'

const WIKICHIP = 'WikiChip, Zen 2'

export const ZEN2: CpuPreset = {
  ...BARE_METAL,
  id: 'zen2',
  name: 'AMD Zen 2',
  clockGHz: { value: 3.3, kind: 'ours', source: 'a round sustained clock' },
  l1Entries: { value: 64, kind: 'vendor', source: WIKICHIP },
  l1Ways: { value: 64, kind: 'vendor', source: `${WIKICHIP}: fully associative` },
  l1HugeEntries: { value: 0, kind: 'vendor', source: `${WIKICHIP}: one L1 for all sizes` },
  l1HugeWays: { value: 0, kind: 'vendor', source: `${WIKICHIP}: one L1 for all sizes` },
  l2Entries: { value: 2048, kind: 'vendor', source: WIKICHIP },
  l2Ways: { value: 16, kind: 'memory', source: 'sources differ between 12 and 16; 12 does not divide 2,048' },
  l2PenaltyCycles: { value: 7, kind: 'memory', source: 'about 7, as later Zens' },
  pwcEntries: ZEN_WALK_CACHES,
  ...NESTED_WALK_CACHES,
  nearTableLines: tableLines(2 ** 19, 'the 512 KiB L2 of a core'),
  nearReadCycles: { value: 12, kind: 'memory', source: 'load-to-use of an L2 hit' },
  farTableLines: tableLines(2 ** 24, 'the 16 MiB L3 of a CCX'),
  farReadCycles: { value: 39, kind: 'memory', source: 'load-to-use of an L3 hit' },
  memoryReadCycles: { value: 330, kind: 'ours', source: '100 ns of DRAM' },
  accessCycles: { value: 4, kind: 'memory', source: 'load-to-use of an L1 hit' },
}
