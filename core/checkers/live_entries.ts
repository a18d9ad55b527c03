/**
 * The entries of all page tables as they are after a step, gathered once for all invariants that look at them.
 *
 * A search asks after every step, so one walk has to serve: each entry that is not none, with its place and, where the areas stand
 * still, its area. The columns are used again and again; a look allocates nothing. At rest, where page tables may be large, the
 * invariants walk by themselves (entries.ts).
 */
import type { Slot } from '../hw/page_table.ts'
import type { Pte } from '../hw/pte.ts'
import type { Kernel } from '../mm/kernel.ts'
import type { Mm } from '../mm/mm.ts'
import type { Vma } from '../mm/vma.ts'
import { areaOf, visitEntries } from './entries.ts'
import type { State } from './invariant.ts'

class LiveEntries {
  count = 0
  readonly mm: Mm[] = []
  readonly page: number[] = []
  readonly pte: Pte[] = []
  readonly slot: Slot[] = []
  /** Pages that the entry covers: 1 or 512. */
  readonly pages: number[] = []
  /** Null where there is none, and where mmap_lock is written: then areas are not to be asked. */
  readonly vma: (Vma | null)[] = []

  gather(kernels: readonly Kernel[]): void {
    this.count = 0
    for (let i = 0; i < kernels.length; i++) {
      const { mms } = kernels[i]
      for (let j = 0; j < mms.length; j++) visitEntries(mms[j], note)
    }
  }
}

const LIVE = new LiveEntries()

function note(mm: Mm, page: number, pte: Pte, slot: Slot, pages: number): null {
  const i = LIVE.count++
  LIVE.mm[i] = mm
  LIVE.page[i] = page
  LIVE.pte[i] = pte
  LIVE.slot[i] = slot
  LIVE.pages[i] = pages
  LIVE.vma[i] = mm.mmapLock.writer === null ? areaOf(mm, page) : null
  return null
}

/** Whose entries are gathered and still good; null between two looks. */
let gatheredFor: State | null = null

/** Runs `look` with the entries gathered once. */
export function withLiveEntries<T>(state: State, look: (state: State) => T): T {
  LIVE.gather(state.kernels)
  gatheredFor = state
  const answer = look(state)
  gatheredFor = null
  return answer
}

/** The entries of the state as it is now. */
export function liveEntries(state: State): LiveEntries {
  if (gatheredFor !== state) LIVE.gather(state.kernels)
  return LIVE
}
