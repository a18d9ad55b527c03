/**
 * Many translations in a row, without a call: what a vCPU does between two page faults.
 *
 * The usual outcomes of Mmu.translate stand here once more as straight code, because calls between them cost more than the
 * work (docs/performance.md; docs/decisions/0019). One access after the other:
 *
 * 1. L1 has an entry with the needed permissions: it becomes the newest of its ring.
 * 2. L2 has one: its way is marked as used; the entry goes to L1.
 * 3. A walk cache knows the leaf table, and the PTE there needs neither a fault nor an A or D bit: the entry goes to L1 and L2.
 * 4. Anything else (upper levels, nested walks, 2 MiB, A and D, faults) is Mmu.translate itself.
 *
 * A test runs both on the same streams: counters, contents, clock and frames are equal. Clock gear only: nothing is announced.
 * Pairs with tlb.ts, whose columns it works on, and mmu.ts.
 */
import type { Mmu } from './mmu.ts'
import { ENTRIES } from './page_table.ts'
import { PTE_A, PTE_D, PTE_P, PTE_W } from './pte.ts'
import { LINE_SHIFT } from './table_lines.ts'
import {
  ENTRY,
  L1_MASK,
  L1_ROW,
  L2_ROW,
  L2_SHIFT,
  NEWER,
  OLDER,
  SET_ROW,
  TLB_D,
  TLB_STORE,
  TLB_W,
  type TlbEntry,
  VALID,
} from './tlb.ts'

/** What a block of accesses runs on. */
export interface Accesses {
  /** A page, counted from `firstPage`, in bits 2 and up; a store if bit 0 is set; bit 1 is the caller's. */
  readonly list: Int32Array
  /** The frame that each was translated to. */
  readonly frames: Int32Array
  /** Window page of the list's page 0. */
  firstPage: number
  /** Time that passes with each access, beyond what its translation costs. */
  stepNs: number
  /** The access at the index that translateBlock returned is a page fault. */
  isFault: boolean
}

/**
 * Translates accesses `from` and on. Stops at `to`, before an access that is a page fault, and after the one that lets the clock
 * reach `untilNs`; returns the index of the first access that was not translated.
 */
export function translateBlock(mmu: Mmu, accesses: Accesses, from: number, to: number, untilNs: number): number {
  const { clock } = mmu
  accesses.isFault = false
  let i = from
  while (i < to) {
    const before = i
    if (!mmu.hasHuge) i = translateUsual(mmu, accesses, i, to, untilNs)
    if (i === to || (i > before && clock.nowNs >= untilNs)) return i
    // 4.
    const access = accesses.list[i]
    const pfn = mmu.translate(accesses.firstPage + (access >>> 2), (access & 1) !== 0)
    if (pfn < 0) {
      accesses.isFault = true
      return i
    }
    accesses.frames[i++] = pfn
    clock.nowNs += accesses.stepNs
    if (clock.nowNs >= untilNs) return i
  }
  return i
}

/**
 * Steps 1 to 3 for as long as they do. No call stands in the loop: behind one every column would have to be looked up anew.
 *
 * What a compiler knows of a value when it enters a loop is what it need not ask in each round: hence every number is made an
 * integer (`| 0`) or a double (`+`) before, and the accesses go in small parts. A loop that is replaced by compiled code while it
 * runs has forgotten all that; it recalls it with the next part.
 */
function translateUsual(mmu: Mmu, accesses: Accesses, from: number, to: number, until: number): number {
  let i = from | 0
  while (i < to) {
    const { list, frames } = accesses
    const { tlb, clock, counters, walked, leaves } = mmu
    const { near, far } = mmu.lines
    const { columns } = tlb
    const entries = mmu.space?.pool.entries ?? NO_TABLES
    const firstPage = accesses.firstPage | 0
    const newestAt = tlb.newestAt | 0
    const l2SetsAt = tlb.l2SetsAt | 0
    const l2At = tlb.l2At | 0
    const whereAt = tlb.whereAt | 0
    const l1SetMask = tlb.l1SetMask | 0
    const l2SetMask = tlb.l2SetMask | 0
    const l2Shift = tlb.l2Shift | 0
    const l2WayMask = tlb.l2WayMask | 0
    const l2Full = tlb.l2Full | 0
    const nearMask = mmu.lines.nearMask | 0
    const farMask = mmu.lines.farMask | 0
    const stepNs = +accesses.stepNs
    const l2PenaltyNs = +mmu.l2PenaltyNs
    const nearNs = +mmu.lines.nearNs
    const farNs = +mmu.lines.farNs
    const memoryNs = +mmu.lines.memoryNs
    const untilNs = +until
    const end = Math.min(to, i + PART) | 0
    let { nowNs } = clock
    let l1Hits = 0
    let l2Hits = 0
    let walks = 0
    while (i < end) {
      const access = list[i]
      const page = firstPage + (access >>> 2)
      // Without a branch: whether an access is a store cannot be predicted.
      const needed = -(access & 1) & TLB_STORE
      const slots = columns[whereAt + page]
      const slot = slots & L1_MASK
      const newest = newestAt + (page & l1SetMask)
      const first = columns[newest] & L1_MASK
      let entry: TlbEntry = columns[slot * L1_ROW + ENTRY]
      if (slot !== 0 && (entry & needed) === needed) {
        // 1. Out of its place in the ring, in between the oldest and the newest.
        l1Hits++
        if (slot !== first) {
          const oldest = columns[first * L1_ROW + NEWER] & L1_MASK
          if (oldest !== slot) {
            const newer = columns[slot * L1_ROW + NEWER] & L1_MASK
            const older = columns[slot * L1_ROW + OLDER] & L1_MASK
            columns[newer * L1_ROW + OLDER] = older
            columns[older * L1_ROW + NEWER] = newer
            columns[oldest * L1_ROW + OLDER] = slot
            columns[slot * L1_ROW + NEWER] = oldest
            columns[slot * L1_ROW + OLDER] = first
            columns[first * L1_ROW + NEWER] = slot
          }
          columns[newest] = slot
        }
      } else {
        let l2Slot = slots >>> L2_SHIFT
        if (slot !== 0) break
        if (l2Slot !== 0) {
          // 2.
          entry = columns[l2At + l2Slot * L2_ROW + ENTRY]
          if ((entry & needed) !== needed) break
          l2Hits++
          nowNs += l2PenaltyNs
          const way = 1 << ((l2Slot - 1) & l2WayMask)
          const row = l2SetsAt + ((l2Slot - 1) >>> l2Shift) * SET_ROW
          const used = columns[row] | way
          columns[row] = used === l2Full ? way : used
        } else {
          // 3.
          const leaf = leaves[page >>> 9]
          const slotOfPte = leaf * ENTRIES + (page & (ENTRIES - 1))
          const pte = entries[slotOfPte]
          const required = PTE_P | PTE_A | ((needed & TLB_W) << 1) | ((needed & TLB_D) << 5)
          if (leaf === 0 || (pte & required) !== required) break
          walks++
          const line = slotOfPte >>> LINE_SHIFT
          if (near[line & nearMask] === line) nowNs += nearNs
          else {
            near[line & nearMask] = line
            nowNs += far[line & farMask] === line ? farNs : memoryNs
            far[line & farMask] = line
          }
          if (walked !== null) walked[page] = 1
          const l2Set = page & l2SetMask
          const row = l2SetsAt + l2Set * SET_ROW
          const lately = columns[row]
          const valid = columns[row + VALID]
          const free = ~(valid === l2Full ? lately : valid) & l2Full
          const way = free === 0 ? 0 : 31 - Math.clz32(free & -free)
          l2Slot = (l2Set << l2Shift) + way + 1
          const l2Row = l2At + l2Slot * L2_ROW
          if (valid === l2Full) columns[whereAt + columns[l2Row]] &= L1_MASK
          else columns[row + VALID] = valid | (1 << way)
          entry = ((pte / 4096) << 2) | ((pte & PTE_W) >> 1) | ((pte & PTE_D) >> 5)
          columns[l2Row] = page
          columns[l2Row + ENTRY] = entry
          const used = lately | (1 << way)
          columns[row] = used === l2Full ? 1 << way : used
        }
        const oldest = columns[first * L1_ROW + NEWER] & L1_MASK
        const victim = columns[oldest * L1_ROW]
        if (victim >= 0) columns[whereAt + victim] &= ~L1_MASK
        columns[oldest * L1_ROW] = page
        columns[oldest * L1_ROW + ENTRY] = entry
        columns[newest] = oldest
        columns[whereAt + page] = (l2Slot << L2_SHIFT) | oldest
      }
      frames[i] = entry >>> 2
      i++
      nowNs += stepNs
      if (nowNs >= untilNs) break
    }
    clock.nowNs = nowNs
    counters.l1Hits += l1Hits
    counters.l2Hits += l2Hits
    counters.walks += walks
    counters.walkRefs += walks
    if (i < end || nowNs >= untilNs) return i
  }
  return i
}

/** Accesses of a part. */
const PART = 256
const NO_TABLES = new Float64Array(1)
