/**
 * The areas of one address space, by address: an augmented red-black tree (vma_rb.ts) and a list in order.
 *
 * Look-ups under mmap_lock use `find`, with the area found last as a cache. Look-ups without it use `walk`, which has no
 * cache: a cached area may be gone, and only mmap_lock says that it is not.
 *
 * Changes go through `link` and `unlink`, which write mm_seq around the tree (R05). The mark that an area has left the tree
 * is set strictly after that write section: who sees it knows that the removal is complete. `insert` and `remove` do the
 * same without a thread, where nobody else can look. An area's bounds change through `adjust`, which keeps the gaps right.
 *
 * Source: Peter Zijlstra, "SRCU free VMAs", 20 Oct 2014; mm/mmap.c. @kernel find_vma, vma_rb_insert, vma_rb_erase
 */
import { fail } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, NOTHING, type Proc, read, write } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import { loading, seenBy, storing } from '../sync/barriers.ts'
import type { Mm } from './mm.ts'
import type { Vma } from './vma.ts'
import { VmaRb } from './vma_rb.ts'

export class VmaTree {
  readonly #rb: VmaRb
  #first: Vma | null = null
  #last: Vma | null = null
  #count = 0

  constructor(readonly mm: Mm) {
    this.#rb = new VmaRb(mm.id)
  }

  /** The lowest area; the others follow by `next`. The list is whole after every step, also while the tree turns. */
  get first(): Vma | null {
    return this.#first
  }

  /** In order of address. */
  get areas(): readonly Vma[] {
    const out: Vma[] = []
    for (let vma = this.#first; vma !== null; vma = vma.next) out.push(vma)
    return out
  }

  get count(): number {
    return this.#count
  }

  /** The first area with end > page; it need not contain the page. Null if there is none. Under mmap_lock. @kernel find_vma */
  find(page: number): Vma | null {
    if (!this.mm.mmapLock.isHeld) fail(`an area is looked up at page ${page} without mmap_lock`)
    touch(this.mm.id, 'mm.mmap_cache', AccessMode.acquireShared)
    const last = this.#last
    if (last?.contains(page)) return last
    this.#last = this.walk(page)
    return this.#last
  }

  /** The same from the root, without the cache. @kernel __find_vma */
  walk(page: number): Vma | null {
    let found: Vma | null = null
    for (let at = this.#rb.root; at !== null; ) {
      if (at.end > page) {
        found = at
        if (at.start <= page) break
        at = at.rbLeft
      } else at = at.rbRight
    }
    return found
  }

  /** The same, one announced look at a time: the tree may turn under it. Step gear. */
  *walkStep(k: Task, page: number): Proc<Vma | null> {
    let found: Vma | null = null
    yield loading(k, this.mm.id, 'mm.mm_rb')
    for (let at = this.#rb.root; at !== null; ) {
      at.use('a look-up')
      touch(at.id, 'vma.vm_start', AccessMode.read)
      touch(at.id, 'vma.vm_end', AccessMode.read)
      const area = seenBy(k, at)
      const covers = area.start <= page
      if (area.end > page) {
        found = at
        if (covers) break
        yield loading(k, this.mm.id, 'mm.mm_rb')
        at = at.rbLeft
      } else {
        yield loading(k, this.mm.id, 'mm.mm_rb')
        at = at.rbRight
      }
    }
    return found
  }

  /** As `find`, in steps and without mmap_lock, which is a mistake: the area found last may be gone. Step gear. */
  *findStep(k: Task, page: number): Proc<Vma | null> {
    yield read(this.mm.id, 'mm.mmap_cache')
    const last = this.#last
    last?.use('a look-up')
    if (last?.contains(page)) return last
    const found = yield* this.walkStep(k, page)
    yield write(this.mm.id, 'mm.mmap_cache')
    this.#last = found
    return found
  }

  insert(vma: Vma): void {
    finish(this.#insert(null, vma))
  }

  remove(vma: Vma): void {
    finish(this.#erase(null, vma))
    vma.linked = false
  }

  /** Publishes an area. @kernel __vma_link_rb */
  link(k: Task, vma: Vma): Proc<void> {
    const { mm } = this
    if (!mm.kernel.countsSequences) {
      if (k.stepping && mm.kernel.faultPath === 'vma-lock') return this.#linkAtOnce(vma)
      this.insert(vma)
      return NOTHING
    }
    // Trap three of the 2014 patch: it initialised the count here, and an area that was linked odd became even.
    if (!mm.kernel.has('vma-seq-init-early')) vma.sequence.sequence = 0
    return this.#linkUnder(k, vma)
  }

  /** Look-ups under RCU see the tree before a change or after it, never in the middle. */
  *#linkAtOnce(vma: Vma): Proc<void> {
    yield write(this.mm.id, 'mm.mm_mt')
    this.insert(vma)
  }

  *#linkUnder(k: Task, vma: Vma): Proc<void> {
    const { treeSeq } = this.mm
    yield* treeSeq.writeLock(k)
    yield* this.#insert(k, vma)
    yield* treeSeq.writeUnlock(k)
  }

  /** Takes an area out, then marks it as gone. @kernel vma_rb_erase, RB_CLEAR_NODE */
  unlink(k: Task, vma: Vma): Proc<void> {
    if (this.mm.kernel.countsSequences) return this.#unlinkUnder(k, vma)
    if (k.stepping && this.mm.kernel.faultPath === 'vma-lock') return this.#unlinkAtOnce(vma)
    this.remove(vma)
    return NOTHING
  }

  *#unlinkAtOnce(vma: Vma): Proc<void> {
    yield write(this.mm.id, 'mm.mm_mt')
    touch(vma.id, 'vma.vm_rb', AccessMode.write)
    this.remove(vma)
  }

  *#unlinkUnder(k: Task, vma: Vma): Proc<void> {
    const { treeSeq } = this.mm
    yield* treeSeq.writeLock(k)
    yield* this.#erase(k, vma)
    yield* treeSeq.writeUnlock(k)
    if (k.stepping) yield storing(k, vma.id, 'vma.vm_rb')
    seenBy(k, vma).linked = false
  }

  *#insert(k: Task | null, vma: Vma): Proc<void> {
    if (vma.linked) fail(`area [${vma.start},${vma.end}) is linked twice`)
    let parent: Vma | null = null
    let asLeft = false
    let before: Vma | null = null
    for (let at = this.#rb.root; at !== null; ) {
      if (vma.start < at.end && at.start < vma.end) fail(`area [${vma.start},${vma.end}) overlaps [${at.start},${at.end})`)
      parent = at
      asLeft = vma.start < at.start
      if (!asLeft) before = at
      at = asLeft ? at.rbLeft : at.rbRight
    }
    const after: Vma | null = before === null ? this.#first : before.next
    vma.mm = this.mm
    vma.prev = before
    vma.next = after
    if (before === null) this.#first = vma
    else before.next = vma
    if (after !== null) after.prev = vma
    vma.linked = true
    this.#count++
    yield* this.#rb.insert(k, vma, parent, asLeft)
    if (after !== null) this.#rb.propagate(after)
  }

  *#erase(k: Task | null, vma: Vma): Proc<void> {
    if (!vma.linked || vma.mm !== this.mm) fail(`area [${vma.start},${vma.end}) is not in the tree`)
    const { prev, next } = vma
    if (prev === null) this.#first = next
    else prev.next = next
    if (next !== null) next.prev = prev
    touch(this.mm.id, 'mm.mmap_cache', AccessMode.write)
    this.#last = null
    this.#count--
    yield* this.#rb.erase(k, vma)
    if (next !== null) this.#rb.propagate(next)
    vma.prev = null
    vma.next = null
  }

  /** New bounds for a linked area, whose pages keep their indices; the caller is inside its write section. @kernel vma_gap_update */
  *adjust(k: Task, vma: Vma, start: number, end: number): Proc<void> {
    const area = seenBy(k, vma)
    const pgoff = vma.indexOf(start)
    if (start !== vma.start) {
      if (k.stepping) yield storing(k, vma.id, 'vma.vm_start')
      area.start = start
    }
    if (end !== vma.end) {
      if (k.stepping) yield storing(k, vma.id, 'vma.vm_end')
      area.end = end
    }
    if (pgoff !== vma.pgoff) {
      if (k.stepping) yield storing(k, vma.id, 'vma.vm_pgoff')
      area.pgoff = pgoff
    }
    touch(this.mm.id, 'mm.mm_mt', AccessMode.write)
    touch(this.mm.id, 'mm.mmap_cache', AccessMode.write)
    this.#last = null
    if (!vma.linked) return
    this.#rb.propagate(vma)
    if (vma.next !== null) this.#rb.propagate(vma.next)
  }

  /** The areas that overlap [start, end), in order. */
  overlapping(start: number, end: number): Vma[] {
    const out: Vma[] = []
    for (let vma = this.walk(start); vma !== null && vma.start < end; vma = vma.next) out.push(vma)
    return out
  }

  /**
   * Lowest start at or above `from` of a gap of `pages`, a multiple of `align`, or -1. Skips subtrees without a gap that
   * large; one that must be aligned is looked for with room to spare. @kernel unmapped_area
   */
  findGap(from: number, pages: number, limit: number, align = 1): number {
    const aligned = (page: number) => Math.ceil(page / align) * align
    const found = this.#gapIn(this.#rb.root, from, pages + align - 1)
    if (found >= 0) return aligned(found)
    let last = this.#rb.root
    while (last !== null && last.rbRight !== null) last = last.rbRight
    const at = aligned(Math.max(from, last?.end ?? 0))
    return at + pages <= limit ? at : -1
  }

  #gapIn(vma: Vma | null, from: number, pages: number): number {
    if (vma === null || vma.subtreeGap < pages) return -1
    const below = vma.start - pages < from ? -1 : this.#gapIn(vma.rbLeft, from, pages)
    if (below >= 0) return below
    const start = Math.max(from, vma.start - vma.gapBelow)
    if (vma.start - start >= pages) return start
    return this.#gapIn(vma.rbRight, from, pages)
  }

  before(vma: Vma): Vma | null {
    return vma.prev
  }

  after(vma: Vma): Vma | null {
    return vma.next
  }

  /** What is wrong with tree, list or gaps, or null. @kernel validate_mm */
  validate(): string | null {
    return this.#rb.validate()
  }
}

/** Runs a change that nobody can interleave with. */
function finish(change: Proc<void>): void {
  if (change.next().done !== true) fail('a change of the tree stopped halfway')
}
