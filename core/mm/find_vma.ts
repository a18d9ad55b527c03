/**
 * Looking an area up without mmap_lock.
 *
 * Both versions walk the tree as it stands, look at mm_seq again, and start over if the tree was changed meanwhile: a walk
 * in the middle of a rotation may answer with the wrong area, or none, though it always ends. A "none" too is only worth
 * something after that second look. Neither uses nor fills a cache: only mmap_lock says that a cached area is still there.
 *
 * - find_vma_srcu (2014): the caller is inside an SRCU section and may sleep; the area outlives the section.
 * - find_vma_rcu (v12): only the look-up is inside RCU; the area comes with a reference.
 *
 * Source: Peter Zijlstra, "SRCU free VMAs", 20 Oct 2014; v12 21/31. @kernel find_vma_srcu, find_vma_rcu
 */
import { type Proc, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { CacheLine } from '../sync/cache_line.ts'
import type { Mm } from './mm.ts'
import type { Vma } from './vma.ts'

/** The first area that ends above the page. The caller is inside kernel.vmaSrcu. @kernel find_vma_srcu */
export function* findVmaSrcu(k: Thread, mm: Mm, page: number): Proc<Vma | null> {
  const { treeSeq, tree } = mm
  if (!k.stepping) {
    treeSeq.readWait(k)
    return tree.walk(page)
  }
  for (;;) {
    const sequence = yield* treeSeq.readBegin(k)
    const vma = yield* look(k, mm, page)
    yield treeSeq.count.announce(k)
    if (treeSeq.count.sequence === sequence || !mm.kernel.has('mm-seq-retry')) return vma
  }
}

/** findVmaRcu in the clock gear, where nothing comes in between: what every fault asks, without a generator. */
export function findVmaRcuAtOnce(k: Thread, { treeSeq, tree, kernel }: Mm, page: number): Vma | null {
  treeSeq.readWait(k)
  const vma = tree.walk(page)
  if (vma === null || !vma.refs.getUnlessZero()) return null
  vma.refLine ??= new CacheLine(kernel.preset.lineTransferNs.value)
  vma.refLine.touch(k.clock)
  return vma
}

/** The same with a reference, which putVma drops; null where it is being freed. @kernel find_vma_rcu, get_vma */
export function* findVmaRcu(k: Thread, mm: Mm, page: number): Proc<Vma | null> {
  if (!k.stepping) return findVmaRcuAtOnce(k, mm, page)
  const { treeSeq, kernel } = mm
  for (;;) {
    const sequence = yield* treeSeq.readBegin(k)
    yield read(0, 'rcu.readers')
    kernel.rcu.readLock(k)
    let vma = yield* look(k, mm, page)
    if (vma !== null) {
      yield read(vma.id, 'vma.vm_ref_count')
      vma.use('find_vma_rcu')
      if (!vma.refs.getUnlessZero()) vma = null
    }
    kernel.rcu.readUnlock(k)
    yield treeSeq.count.announce(k)
    if (treeSeq.count.sequence === sequence || !kernel.has('mm-seq-retry')) return vma
    if (vma !== null) vma.refs.put()
  }
}

/** One walk of the tree, in steps. */
function look(k: Thread, mm: Mm, page: number): Proc<Vma | null> {
  return mm.kernel.has('lockless-no-cache') ? mm.tree.walkStep(k, page) : mm.tree.findStep(k, page)
}
