/**
 * What walks are served from, for presets whose maker has published nothing of it.
 *
 * Sizes of page-walk caches are a secret of every maker; simulators have settled on some. Of the data caches a part holds page
 * table lines; which part depends on the guest, and a quarter is our guess for all CPUs alike.
 */
import type { CpuPreset, Sourced } from '../preset.ts'

type WalkCaches = readonly [Sourced, Sourced, Sourced]

/** PML4E, PDPTE, PDE. */
export const CHAMPSIM_WALK_CACHES: WalkCaches = [
  { value: 4, kind: 'ours', source: 'unpublished; ChampSim default for PML4' },
  { value: 8, kind: 'ours', source: 'unpublished; ChampSim default for PDPT, 2 sets of 4' },
  { value: 32, kind: 'ours', source: 'unpublished; ChampSim default for PD, 4 sets of 8' },
]

export const ZEN_WALK_CACHES: WalkCaches = [
  { value: 4, kind: 'ours', source: 'unpublished; ChampSim default for PML4' },
  { value: 16, kind: 'ours', source: 'unpublished; Zen keeps PDEs in its L2 TLB, modelled as caches of their own' },
  { value: 64, kind: 'ours', source: 'unpublished; Zen keeps PDEs in its L2 TLB, modelled as caches of their own' },
]

const VIRTUOSO = 'unpublished; Virtuoso has 32 entries for each of the four host levels of a nested walk'

/** The host's side of nested walks. */
export const NESTED_WALK_CACHES: Pick<CpuPreset, 'nestedPwcEntries' | 'nestedTlbEntries'> = {
  nestedPwcEntries: [
    { value: 32, kind: 'ours', source: VIRTUOSO },
    { value: 32, kind: 'ours', source: VIRTUOSO },
    { value: 32, kind: 'ours', source: VIRTUOSO },
  ],
  nestedTlbEntries: { value: 32, kind: 'ours', source: `${VIRTUOSO}; the last of them` },
}

/** Lines of 64 bytes of a cache that hold page tables. */
export function tableLines(cacheBytes: number, of: string): Sourced {
  return { value: cacheBytes / 64 / 4, kind: 'ours', source: `a quarter of ${of}` }
}
