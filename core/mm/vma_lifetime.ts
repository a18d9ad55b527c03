/**
 * How long an area lives after it has left the tree, and its file and policy with it.
 *
 * | fault path | the area | its file | its policy |
 * |---|---|---|---|
 * | classic | freed at once | put at once | put at once |
 * | 2014 (S2) | freed by call_srcu: a fault sleeps inside the section | put in the callback | in the callback (S2: at once, R08) |
 * | v12 | the tree's reference dropped by call_rcu, freed with the last | put at once and set to NULL: such areas are refused | with the area |
 * | area locks | freed by call_rcu | put at once | put at once |
 *
 * A freed area is poisoned: whoever reads one of its fields without mmap_lock says `use` first, and is found.
 * unmount waits for the callbacks (srcu_barrier), or a file whose last reference waits there keeps the mount busy.
 *
 * Source: Peter Zijlstra, "SRCU free VMAs", 20 Oct 2014; v12 20/31, 21/31. @kernel free_vma, __free_vma, remove_vma, put_vma
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, NOTHING, type Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ERRNO } from './errno.ts'
import type { Kernel } from './kernel.ts'
import { putInode, type ShmemInode } from './shmem.ts'
import type { Vma } from './vma.ts'

/** A copy of an area maps the same file and goes by the same policy. @kernel vma_dup_policy, get_file */
export function shareBacking(copy: Vma, vma: Vma): void {
  copy.file = vma.file
  copy.policy = vma.policy
  if (copy.file !== null) copy.file.inode.refs++
  copy.policy?.get()
}

/** After the area has left the tree and its pages and anon_vmas are gone. @kernel remove_vma, free_vma */
export function freeVma(k: Thread, kernel: Kernel, vma: Vma): Proc<void> {
  const defers = kernel.has('vma-deferred-free')
  switch (kernel.faultPath) {
    case 'classic':
      putFile(kernel, vma)
      freeNow(vma)
      return NOTHING
    case 'vma-lock':
      putFile(kernel, vma)
      putPolicy(vma)
      return defers ? kernel.rcu.call(k, () => freeNow(vma)) : now(vma)
    case 'speculative-2014':
      if (!kernel.has('vma-deferred-fput')) putFile(kernel, vma, false)
      if (!kernel.has('vma-deferred-policy')) vma.policy?.put()
      return defers ? kernel.vmaSrcu.call(k, () => freeBySrcu(kernel, vma)) : nowBySrcu(kernel, vma)
    case 'speculative':
      putFile(kernel, vma)
      return defers ? kernel.rcu.call(k, () => putVma(vma)) : nowByPut(vma)
  }
}

function now(vma: Vma): Proc<void> {
  freeNow(vma)
  return NOTHING
}

function nowByPut(vma: Vma): Proc<void> {
  putVma(vma)
  return NOTHING
}

function nowBySrcu(kernel: Kernel, vma: Vma): Proc<void> {
  freeBySrcu(kernel, vma)
  return NOTHING
}

/** The SRCU callback: the file's reference kept the file alive for whoever faults on it. @kernel __free_vma */
function freeBySrcu(kernel: Kernel, vma: Vma): void {
  if (kernel.has('vma-deferred-fput')) putFile(kernel, vma)
  if (!kernel.has('vma-deferred-policy')) vma.policy = null
  freeNow(vma)
}

/** Drops a reference; the last frees the area with its policy. @kernel put_vma, __free_vma */
export function putVma(vma: Vma): void {
  if (!vma.refs.put()) return
  poison(vma)
}

function freeNow(vma: Vma): void {
  vma.refs.put()
  poison(vma)
}

/** @kernel vm_area_free */
function poison(vma: Vma): void {
  putPolicy(vma)
  vma.file = null
  vma.anonVma = null
  vma.uffd = null
}

/** @kernel fput */
function putFile(kernel: Kernel, vma: Vma, forgets = true): void {
  touch(vma.id, 'vma.vm_file', AccessMode.write)
  if (vma.file !== null) putInode(kernel, vma.file.inode)
  if (forgets) vma.file = null
}

function putPolicy(vma: Vma): void {
  vma.policy?.put()
  vma.policy = null
}

/** umount(2) of the files: EBUSY while one is open or mapped. The barrier makes areas that only wait to be freed not count. @kernel umount */
export function* unmount(k: Thread, kernel: Kernel, files: readonly ShmemInode[]): Proc<number> {
  if (kernel.has('umount-srcu-barrier')) yield* kernel.vmaSrcu.barrier(k)
  for (const inode of files) {
    touch(inode.id, 'inode.refs', AccessMode.read)
    if (inode.refs > 0) return ERRNO.EBUSY
  }
  return 0
}
