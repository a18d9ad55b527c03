/**
 * anon_vma: who may map an anonymous page. Chains, the root, and their life.
 *
 *     page --mapping--> anon_vma --chains--> (edge) --> vma      each vma lists its edges, newest first
 *
 * - Locking anon_vma X means locking X.root.rwsem, always.
 * - The root is found through a direct pointer and outlives every child: each child holds a reference on it, and unlink
 *   goes from the newest edge to the oldest, so that the root's edge goes last.
 * - The order of the list is not enough once something other than an area holds a reference on a child (a page migration,
 *   KSM); hence also the count.
 * - Slabs are type-safe: a freed anon_vma stays an anon_vma, but may become another one. Hence the "still mapped" test
 *   and the counted reference in rmap.ts. Whoever frees one first waits for a reader that got in through an old mapping.
 * - A child whose ancestor has no area of its own left and at most one child takes that ancestor over instead of making a
 *   new anon_vma, so that a line of forks whose parents exit does not pile them up. The root counts itself as a child and
 *   so is never taken over.
 *
 * Source: Rik van Riel, "track the root (oldest) anon_vma", 12 May 2010; mm/rmap.c.
 * @kernel anon_vma, anon_vma_chain
 */
import { fail, violate } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, NOTHING, type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { Rwsem } from '../sync/rwsem.ts'
import type { Kernel } from './kernel.ts'
import type { Mm } from './mm.ts'
import type { Vma } from './vma.ts'

export class AnonVma {
  root: AnonVma = this
  parent: AnonVma = this
  refcount = 0
  /** Edges to the areas that may map its pages. @kernel rb_root (interval tree) */
  readonly chains: AnonVmaChain[] = []
  /** Used only if this is a root. */
  readonly rwsem: Rwsem
  /** Anon_vmas whose parent this is; a root counts itself. @kernel num_children */
  children = 0
  /** Areas whose new pages go here. @kernel num_active_vmas */
  activeVmas = 0
  /** In the allocator. Whoever still has a pointer may look at it, but nothing it says is true of the page that led here. */
  isFree = false
  /** Walks of `chains` in progress: the tree must not change under them. */
  walks = 0

  constructor(
    readonly index: number,
    lockNs: number,
    wakeupNs: number,
  ) {
    this.rwsem = new Rwsem(index, 'anon_vma.rwsem', lockNs, wakeupNs)
  }
}

/** One edge between an area and an anon_vma. */
export interface AnonVmaChain {
  readonly vma: Vma
  readonly anonVma: AnonVma
}

export class AnonVmaSlab {
  readonly #all: AnonVma[] = []
  readonly #free: AnonVma[] = []

  constructor(
    readonly lockNs: number,
    readonly wakeupNs: number,
  ) {}

  /** A new anon_vma, its own root, with one reference. @kernel anon_vma_alloc */
  allocate(): AnonVma {
    touch(0, 'anon_vma.slab', AccessMode.write)
    let av = this.#free.pop()
    if (av === undefined) {
      av = new AnonVma(this.#all.length + 1, this.lockNs, this.wakeupNs)
      this.#all.push(av)
    }
    if (av.chains.length !== 0) violate('I-UAF', `anon_vma ${av.index} allocated with ${av.chains.length} chains`)
    // Whoever came by an old mapping may be looking.
    touch(av.index, 'anon_vma.root', AccessMode.write)
    touch(av.index, 'anon_vma.refcount', AccessMode.write)
    av.root = av
    av.parent = av
    av.refcount = 1
    av.children = 0
    av.activeVmas = 0
    av.isFree = false
    return av
  }

  /** By the index that page->mapping carries; also a freed one (type-safe). */
  at(index: number): AnonVma {
    return this.#all[index - 1]
  }

  release(av: AnonVma): void {
    touch(0, 'anon_vma.slab', AccessMode.write)
    if (av.root === av && av.rwsem.isHeld) violate('I-UAF', `anon_vma ${av.index} goes back to the allocator while it is locked`)
    av.isFree = true
    this.#free.push(av)
  }

  /** Every one there ever was, the freed ones included. */
  get all(): readonly AnonVma[] {
    return this.#all
  }

  get live(): number {
    return this.#all.length - this.#free.length
  }
}

/** What to lock in order to lock this anon_vma: its root. */
function lockOf(kernel: Kernel, av: AnonVma): Rwsem {
  if (!kernel.has('anon-vma-root-lock')) return av.rwsem
  if (av.root.isFree) violate('I-UAF', `the root ${av.root.index} of anon_vma ${av.index} is freed, and about to be locked`)
  return av.root.rwsem
}

/** For an anon_vma that the caller keeps alive. @kernel anon_vma_lock_read */
export function anonVmaLockRead(k: Thread, kernel: Kernel, av: AnonVma): Proc<void> {
  return lockOf(kernel, av).downRead(k)
}

/** @kernel anon_vma_unlock_read */
export function anonVmaUnlockRead(k: Thread, kernel: Kernel, av: AnonVma): void {
  lockOf(kernel, av).upRead(k)
}

/** @kernel anon_vma_lock_write */
export function anonVmaLockWrite(k: Thread, kernel: Kernel, av: AnonVma): Proc<void> {
  return lockOf(kernel, av).downWrite(k)
}

/** @kernel anon_vma_unlock_write */
export function anonVmaUnlockWrite(k: Thread, kernel: Kernel, av: AnonVma): void {
  lockOf(kernel, av).upWrite(k)
}

/** One more reference; the caller knows that there is one. @kernel get_anon_vma */
export function getAnonVma(av: AnonVma): void {
  touch(av.index, 'anon_vma.refcount', AccessMode.write)
  av.refcount++
}

/** Drops a reference; the last one frees it. May sleep: not with the root's lock held. @kernel put_anon_vma */
export function putAnonVma(k: Thread, kernel: Kernel, av: AnonVma): Proc<void> {
  if (av.refcount <= 0) violate('I-UAF', `anon_vma ${av.index} refcount ${av.refcount} <= 0`)
  if (k.stepping || av.refcount === 1) return dropAnonVma(k, kernel, av)
  av.refcount--
  return NOTHING
}

function* dropAnonVma(k: Thread, kernel: Kernel, av: AnonVma): Proc<void> {
  if (k.stepping) yield write(av.index, 'anon_vma.refcount')
  if (--av.refcount === 0) yield* freeAnonVma(k, kernel, av)
}

/** The count is zero: frees it, and drops the reference on its root. @kernel __put_anon_vma */
export function* freeAnonVma(k: Thread, kernel: Kernel, av: AnonVma): Proc<void> {
  const root = av.root
  yield* waitAndRelease(k, kernel, av)
  if (root === av || !kernel.has('anon-vma-root-ref')) return
  if (root.refcount <= 0) violate('I-UAF', `root ${root.index} refcount ${root.refcount} <= 0`)
  touch(root.index, 'anon_vma.refcount', AccessMode.write)
  if (--root.refcount === 0) yield* waitAndRelease(k, kernel, root)
}

/**
 * Somebody may have locked the root on the strength of a mapping it read before: wait until it has seen that the page is
 * not mapped any more. The order that makes it safe: count to zero, then look at the lock; there: lock, then look at the page.
 * @kernel anon_vma_free
 */
function* waitAndRelease(k: Thread, kernel: Kernel, av: AnonVma): Proc<void> {
  const { rwsem } = av.root
  if (k.stepping) yield read(av.root.index, 'anon_vma.rwsem')
  if (rwsem.isHeld && kernel.has('anon-vma-free-wait')) {
    yield* rwsem.downWrite(k)
    rwsem.upWrite(k)
  }
  kernel.anonVmas.release(av)
}

/** New edges go to the head, so that the root's stays at the tail. @kernel anon_vma_chain_link */
function link(vma: Vma, av: AnonVma): void {
  if (av.walks > 0) violate('I-RMAP', `the tree of anon_vma ${av.index} changes under a walk`)
  const edge: AnonVmaChain = { vma, anonVma: av }
  vma.chain.unshift(edge)
  av.chains.push(edge)
}

/** Gives the area an anon_vma, if it has none, before its first page. Needs mmap_lock, for reading at least. @kernel anon_vma_prepare */
export function anonVmaPrepare(k: Thread, mm: Mm, vma: Vma): Proc<void> {
  touch(vma.id, 'vma.anon_vma', AccessMode.read)
  return vma.anonVma === null ? makeAnonVma(k, mm, vma) : NOTHING
}

/**
 * The area had no anon_vma when it was looked at.
 *
 * 1. A neighbour that could be merged with it lends its own.
 * 2. Else a new one, its own root.
 * 3. Under the root's lock and the page table lock: if somebody else was faster, keep theirs.
 *
 * @kernel __anon_vma_prepare
 */
function* makeAnonVma(k: Thread, mm: Mm, vma: Vma): Proc<void> {
  if (k.stepping) yield read(vma.id, 'vma.anon_vma')
  if (vma.anonVma !== null) return
  const kernel = mm.kernel
  // 1. Reuse keeps later merges possible.
  let av = findMergeableAnonVma(mm, vma)
  const fresh = av === null
  // 2. A root.
  if (av === null) av = kernel.anonVmas.allocate()
  // 3. Second look, under both locks.
  yield* av.root.rwsem.downWrite(k)
  yield* mm.pageTableLock.lock(k)
  if (vma.anonVma === null) {
    touch(vma.id, 'vma.anon_vma', AccessMode.write)
    vma.anonVma = av
    link(vma, av)
    av.activeVmas++
    if (fresh) av.children++
    else getAnonVma(av)
  } else if (fresh) {
    mm.pageTableLock.unlock(k)
    av.rwsem.upWrite(k)
    yield* putAnonVma(k, kernel, av)
    return
  }
  mm.pageTableLock.unlock(k)
  av.root.rwsem.upWrite(k)
}

/** @kernel find_mergeable_anon_vma */
function findMergeableAnonVma(mm: Mm, vma: Vma): AnonVma | null {
  for (const near of [mm.tree.after(vma), mm.tree.before(vma)]) {
    if (near === null || near.anonVma === null || near.flags !== vma.flags || near.uffd !== vma.uffd) continue
    const touches = near.start === vma.end || near.end === vma.start
    const linear = near.pgoff - near.start === vma.pgoff - vma.start
    // A neighbour that took part in a fork has a history of its own: one edge only may be lent.
    if (touches && linear && near.chain.length === 1) return near.anonVma
  }
  return null
}

/**
 * Links `to` to every anon_vma of `from`, oldest first, so that the order of the list is kept. Root locked once. If `to` has
 * no anon_vma yet (fork), it takes over the first that is fit for it.
 * The caller holds mmap_lock for writing. @kernel anon_vma_clone
 */
export function* anonVmaClone(k: Thread, to: Vma, from: Vma): Proc<void> {
  const oldest = from.chain[from.chain.length - 1]
  if (oldest === undefined) return
  const root = oldest.anonVma.root
  yield* root.rwsem.downWrite(k)
  for (let i = from.chain.length - 1; i >= 0; i--) {
    const av = from.chain[i].anonVma
    if (av.root !== root) fail(`anon_vma ${av.index} has root ${av.root.index} != ${root.index}`)
    link(to, av)
    getAnonVma(av)
    if (to.anonVma === null && from.anonVma !== null && av.children < 2 && av.activeVmas === 0) to.anonVma = av
  }
  if (to.anonVma !== null) to.anonVma.activeVmas++
  root.rwsem.upWrite(k)
}

/**
 * The child's area inherits the parent's edges and gets an anon_vma of its own for the pages it will copy.
 *
 * 1. No anon_vma in the parent: nothing to do.
 * 2. Clone the edges.
 * 3. One of theirs was fit for reuse: done. Else a new anon_vma; its root is the parent's root, on which it takes a reference.
 * 4. Link it at the head: newest.
 *
 * @kernel anon_vma_fork
 */
export function* anonVmaFork(k: Thread, kernel: Kernel, child: Vma, parent: Vma): Proc<void> {
  // 1.
  const from = parent.anonVma
  if (from === null) return
  // 2.
  child.anonVma = null
  yield* anonVmaClone(k, child, parent)
  // 3.
  if (child.anonVma !== null) return
  const av = kernel.anonVmas.allocate()
  touch(av.index, 'anon_vma.root', AccessMode.write)
  av.root = from.root
  av.parent = from
  if (kernel.has('anon-vma-root-ref')) getAnonVma(from.root)
  // 4.
  yield* av.root.rwsem.downWrite(k)
  from.children++
  child.anonVma = av
  link(child, av)
  av.activeVmas++
  av.root.rwsem.upWrite(k)
}

/**
 * Takes the area off every anon_vma, newest edge first, so that the root's goes last; then drops the references, without
 * the lock. The caller holds mmap_lock for writing, or is the last user. @kernel unlink_anon_vmas
 */
export function* unlinkAnonVmas(k: Thread, kernel: Kernel, vma: Vma): Proc<void> {
  if (vma.chain.length === 0) return
  const root = vma.chain[0].anonVma.root
  yield* root.rwsem.downWrite(k)
  // A step of its own: others may find the lock taken.
  if (k.stepping) yield write(root.index, 'anon_vma.rb_root')
  for (const edge of vma.chain) {
    const av = edge.anonVma
    if (av.walks > 0) violate('I-RMAP', `the tree of anon_vma ${av.index} changes under a walk`)
    av.chains.splice(av.chains.indexOf(edge), 1)
    if (av.chains.length === 0) av.parent.children--
  }
  if (vma.anonVma !== null) vma.anonVma.activeVmas--
  root.rwsem.upWrite(k)
  for (const { anonVma: av } of vma.chain) {
    if (av.chains.length === 0 && (av.children !== 0 || av.activeVmas !== 0))
      fail(`anon_vma ${av.index} without areas has ${av.children} children and ${av.activeVmas} active areas`)
    yield* putAnonVma(k, kernel, av)
  }
  // `anonVma` stays until the area is freed: a speculation that holds the PTE lock may still read it.
  vma.chain = []
}
