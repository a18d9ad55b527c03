/**
 * NUMA policies of areas: counted objects that an area holds a reference on, and mbind, which gives areas one.
 *
 *  mbind: 1. range and mode known -> EINVAL.   2. mmap_lock for writing; a hole -> EFAULT, nothing is done.
 *  3. each area, split at the edges, in its write section (or write-locked: CVE-2023-4611): the new policy, one reference an
 *  area; MPOL_DEFAULT is none.
 *  4. the old one is put: at once, or where a fault reads it without mmap_lock (2014), after a grace period, like the area's
 *     own when it is freed (vma_lifetime.ts).   5. merge: neighbours with equal policies are one area again.
 *
 * There is one node here, so a policy places nothing: it is modelled for what it does to the life of areas. A speculative
 * fault of v12 leaves an area with a policy to the classic path.
 *
 * Source: mm/mempolicy.c. @kernel mempolicy, mpol_get, mpol_put, mpol_equal, do_mbind, mbind_range, vma_replace_policy
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { Refcounted } from '../sync/refcount.ts'
import { ERRNO } from './errno.ts'
import type { Kernel } from './kernel.ts'
import { type Mm, pageOfAddress } from './mm.ts'
import { changeAreas } from './mmap.ts'
import type { Vma } from './vma.ts'

export const MPOL_DEFAULT = 0
export const MPOL_PREFERRED = 1
export const MPOL_BIND = 2
export const MPOL_INTERLEAVE = 3

export class Mempolicy extends Refcounted {
  constructor(readonly mode: number) {
    super(`policy of mode ${mode}`)
  }
}

/** @kernel mpol_equal */
export function mpolEqual(a: Vma['policy'], b: Vma['policy']): boolean {
  return a === b || (a instanceof Mempolicy && b instanceof Mempolicy && a.mode === b.mode)
}

/** 0 or an errno. Byte address and length. @kernel do_mbind */
export function* mbind(k: Thread, mm: Mm, address: number, length: number, mode: number): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  // 1.
  const start = pageOfAddress(address)
  if (!(start >= 0) || length < 0 || !Number.isInteger(mode) || mode < MPOL_DEFAULT || mode > MPOL_INTERLEAVE) return ERRNO.EINVAL
  const end = start + Math.ceil(length / 4096)
  if (end === start) return 0
  // 2.
  yield* mm.mmapLock.downWrite(k)
  let at = start
  for (const vma of mm.tree.overlapping(start, end)) if (vma.start <= at) at = vma.end
  if (at < end) {
    mm.mmapLock.upWrite(k)
    return ERRNO.EFAULT
  }
  // 3. to 5. The caller's own reference goes when each area has one.
  const policy = mode === MPOL_DEFAULT ? null : new Mempolicy(mode)
  const needs = (vma: Vma) => !mpolEqual(vma.policy, policy)
  const change = (part: Vma) => replacePolicy(k, mm.kernel, part, policy)
  yield* changeAreas(k, mm, start, end, needs, change, mm.kernel.has('mbind-area-lock'))
  policy?.put()
  mm.mmapLock.upWrite(k)
  return 0
}

/** @kernel vma_replace_policy */
function* replacePolicy(k: Thread, kernel: Kernel, vma: Vma, policy: Mempolicy | null): Proc<void> {
  const old = vma.policy
  policy?.get()
  if (k.stepping) yield write(vma.id, 'vma.vm_policy')
  vma.policy = policy
  if (old === null) return
  if (kernel.faultPath === 'speculative-2014' && kernel.has('vma-deferred-policy')) yield* kernel.vmaSrcu.call(k, () => old.put())
  else old.put()
}

/**
 * The policy says which node a new page comes from. There is one node, but the policy is read, without a reference of one's
 * own: whoever replaces it must keep away, or wait. @kernel get_vma_policy
 */
export function* chooseNode(k: Thread, vma: Vma): Proc<void> {
  if (k.stepping) yield read(vma.id, 'vma.vm_policy')
  const { policy } = vma
  if (policy === null) return
  if (k.stepping) yield read(vma.id, 'policy.mode')
  policy.use('the choice of a node')
}
