/**
 * anon_vma: who may map an anonymous page. Chains, the root, and their life.
 *
 *     page --mapping--> anon_vma --chains--> (edge) --> vma      each vma lists its edges, newest first
 *
 * - Locking anon_vma X means locking X.root.rwsem, always.
 * - The root is found through a direct pointer and outlives every child: each child holds a reference on it, and unlink
 *   goes from the newest edge to the oldest, so that the root's edge goes last.
 * - Slabs are type-safe: a freed anon_vma stays an anon_vma, but may become another one. Hence the "still mapped" test
 *   and the counted reference in rmap.ts.
 *
 * Source: Rik van Riel, "track the root (oldest) anon_vma", 12 May 2010; mm/rmap.c.
 * @kernel anon_vma, anon_vma_chain
 */
import { fail } from '../base/assert.ts'
import { type Proc, read } from '../engine/op.ts'
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
  children = 0
  activeVmas = 0

  constructor(
    readonly index: number,
    lockNs: number,
  ) {
    this.rwsem = new Rwsem(index, 'anon_vma.rwsem', lockNs)
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

  constructor(readonly lockNs: number) {}

  /** A new anon_vma, its own root, with one reference. @kernel anon_vma_alloc */
  allocate(): AnonVma {
    let av = this.#free.pop()
    if (av === undefined) {
      av = new AnonVma(this.#all.length + 1, this.lockNs)
      this.#all.push(av)
    }
    if (av.chains.length !== 0) fail(`anon_vma ${av.index} allocated with ${av.chains.length} chains`)
    av.root = av
    av.parent = av
    av.refcount = 1
    av.children = 0
    av.activeVmas = 0
    return av
  }

  /** By the index that page->mapping carries; also a freed one (type-safe). */
  at(index: number): AnonVma {
    return this.#all[index - 1]
  }

  release(av: AnonVma): void {
    this.#free.push(av)
  }

  get live(): number {
    return this.#all.length - this.#free.length
  }
}

/** Drops a reference; the last one frees it and drops its reference on the root. @kernel put_anon_vma, __put_anon_vma */
export function putAnonVma(kernel: Kernel, av: AnonVma): void {
  if (av.refcount <= 0) fail(`anon_vma ${av.index} refcount ${av.refcount} <= 0`)
  if (--av.refcount > 0) return
  const root = av.root
  kernel.anonVmas.release(av)
  if (root !== av) putAnonVma(kernel, root)
}

function link(vma: Vma, av: AnonVma): void {
  const edge: AnonVmaChain = { vma, anonVma: av }
  vma.chain.unshift(edge)
  av.chains.push(edge)
}

/**
 * Gives the area an anon_vma before its first page. Needs mmap_lock, for reading at least.
 *
 * 1. A neighbour that could be merged with it lends its own.
 * 2. Else a new one, its own root.
 * 3. Under the root's lock and the page table lock: if somebody else was faster, keep theirs.
 *
 * @kernel anon_vma_prepare
 */
export function* anonVmaPrepare(k: Thread, mm: Mm, vma: Vma): Proc<void> {
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
    vma.anonVma = av
    link(vma, av)
    av.activeVmas++
    if (!fresh) av.refcount++
  } else if (fresh) {
    mm.pageTableLock.unlock(k)
    av.rwsem.upWrite(k)
    putAnonVma(kernel, av)
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
 * Links `to` to every anon_vma of `from`, oldest first, so that the order of the list is kept. Root locked once.
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
    av.refcount++
  }
  if (to.anonVma !== null) to.anonVma.activeVmas++
  root.rwsem.upWrite(k)
}

/**
 * The child's area inherits the parent's edges and gets an anon_vma of its own for the pages it will copy.
 *
 * 1. No anon_vma in the parent: nothing to do.
 * 2. Clone the edges.
 * 3. A new anon_vma; its root is the parent's root, on which it takes a reference.
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
  const av = kernel.anonVmas.allocate()
  av.root = from.root
  av.parent = from
  from.root.refcount++
  from.children++
  // 4.
  yield* av.root.rwsem.downWrite(k)
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
  for (const edge of vma.chain) {
    const chains = edge.anonVma.chains
    chains.splice(chains.indexOf(edge), 1)
    if (chains.length === 0 && edge.anonVma !== root) edge.anonVma.parent.children--
  }
  if (vma.anonVma !== null) vma.anonVma.activeVmas--
  root.rwsem.upWrite(k)
  for (const edge of vma.chain) putAnonVma(kernel, edge.anonVma)
  vma.chain = []
  vma.anonVma = null
}
