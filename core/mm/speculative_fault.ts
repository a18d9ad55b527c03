/**
 * Page faults without mmap_lock: find the area, remember its count, do the work, and look again under the PTE lock.
 * Any doubt answers 'fallback', with a reason that is counted, and the classic path handles the fault.
 *
 * 2014 (handleSpeculativeFault2014), inside an SRCU section:
 *  1. enter. 2. find_vma_srcu. 3. dead, then the count. 4. odd or dead. 5. bounds; snapshot of flags.
 *  6. the count again: bounds and flags may have been a mixture. 6b. rights: the RFC had no such test. From here on the answer
 *  may be final. 7. interrupts off. 8. no table on the way: nothing is allocated.
 *  9. snapshot of table and PTE; interrupts on. 10. the ordinary PTE code, guarded by speculation.ts. 11. leave.
 *
 * v12 of 2019 (handleSpeculativeFault), with a reference on the area:
 *  0. one thread only. 2. find_vma_rcu. 3. odd. 4. vm_ops. 5. no anon_vma: preparing needs mmap_lock. 6. snapshot flags.
 *  7. userfault areas. 9. bounds. 11. rights. 12. policy. 13. interrupts off. 14. to 16. tables, PMD and PTE snapshot.
 *  18. interrupts on. 19. the count again. 20. the PTE code. 21. drop the reference.
 *  (1, 8, 10 and 17 concern what this model has not: retry flags, growing stacks, protection keys, gfp masks.)
 *
 * v12 answered SIGSEGV in step 11 from flags that step 19 has not confirmed; here that answer is a fall-back, too (R25).
 * Source: Peter Zijlstra, RFC 5/6, Oct 2014; Laurent Dufour, v12 22/31. @kernel handle_speculative_fault
 */
import { violate } from '../base/assert.ts'
import { type Proc, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ENTRIES } from '../hw/page_table.ts'
import { PTE_NONE, ptePresent } from '../hw/pte.ts'
import { loading, loadsFollow, seenBy, smpRmb } from '../sync/barriers.ts'
import { findVmaRcu, findVmaRcuAtOnce, findVmaSrcu } from './find_vma.ts'
import { chooseNode } from './mempolicy.ts'
import type { Mm } from './mm.ts'
import { pteAlloc } from './pgtable.ts'
import { handlePteFault } from './pte_fault.ts'
import { Speculation, walkBegin, walkEnd } from './speculation.ts'
import { userfaultfdMissing } from './uffd_fault.ts'
import { type Attempt, FAULT_USER, type FirstTry, INDEX_NOW, type Vmf } from './vm_fault.ts'
import { pageProtOf, VM_READ, VM_WRITE, type Vma } from './vma.ts'
import { putVma } from './vma_lifetime.ts'

/** What the count covers and a speculation reads. */
const COVERED = ['anonVma', 'flags', 'start', 'end', 'pgoff'] as const

/** Why a speculation was given up before or in its work. */
type Reason =
  | 'single-thread'
  | 'no-vma'
  | 'vma-odd'
  | 'vma-dead'
  | 'file'
  | 'no-anon-vma'
  | 'userfault'
  | 'bounds'
  | 'access'
  | 'policy'
  | 'no-page-table'
  | 'pte-not-supported'
  | 'vma-changed'

/** A signal that was decided here and is final. */
type Verdict = 'sigsegv'

function end(mm: Mm, outcome: Attempt | Verdict | Reason): FirstTry {
  const { faults } = mm.kernel
  switch (outcome) {
    case 'done':
      faults.speculative++
      return 'ok'
    case 'oom':
      // A speculation does not reclaim; the classic path does, and it alone may say that there is no memory.
      faults.countAbort('no-memory')
      return 'fallback'
    case 'changed':
      faults.countAbort('vma-changed')
      return 'fallback'
    case 'retry':
    case 'sigbus':
    case 'sigsegv':
      return outcome
    default:
      faults.countAbort(outcome)
      return 'fallback'
  }
}

/** The handler of v12. @kernel __handle_speculative_fault */
export function* handleSpeculativeFault(k: Thread, mm: Mm, page: number, store: boolean): Proc<FirstTry> {
  // 0.
  if (k.stepping) yield read(mm.id, 'mm.mm_users')
  if (!mm.isThreaded) return end(mm, 'single-thread')
  // Taking and dropping the reference: one atomic pair.
  k.cpu.nowNs += k.cpu.preset.lockNs.value
  // 2.
  const vma = k.stepping ? yield* findVmaRcu(k, mm, page) : findVmaRcuAtOnce(k, mm, page)
  if (vma === null) return end(mm, 'no-vma')
  const outcome = yield* speculate(k, mm, vma, page, store)
  // 21.
  if (!k.stepping) vma.refLine?.touch(k.clock)
  putVma(vma)
  return end(mm, outcome)
}

function* speculate(k: Thread, mm: Mm, vma: Vma, page: number, store: boolean): Proc<Attempt | Verdict | Reason> {
  const { kernel } = mm
  const hasSections = kernel.variants.vmaCount === 'seqcount'
  const area = seenBy(k, vma)
  // 3. Without the barrier behind it, what the count covers may be read before the count.
  const hasBarrier = kernel.has('seq-rmb')
  if (!hasBarrier) loadsFollow(k, vma, COVERED)
  const sinceNs = k.cpu.nowNs
  if (k.stepping) yield vma.sequence.announce(k)
  const { sequence } = seenBy(k, vma.sequence)
  if (kernel.has('spec-odd-check') && hasSections && vma.sequence.isOdd(k, sequence)) return 'vma-odd'
  if (hasBarrier) {
    smpRmb(k)
    loadsFollow(k, vma, COVERED)
  }
  // 4.
  if (!vma.isAnonymous) return 'file'
  // 5.
  if (k.stepping) yield loading(k, vma.id, 'vma.anon_vma')
  if (area.anonVma === null && kernel.has('spec-anon-vma')) return 'no-anon-vma'
  // 6.
  if (k.stepping) yield loading(k, vma.id, 'vma.vm_flags')
  const { flags } = area
  // The counter-proposal: "Back off the vma is dying".
  if (!hasSections && flags === 0) return 'vma-dead'
  // 7. Not tested again under the PTE lock: registering counts as a change.
  if (userfaultfdMissing({ flags })) return 'userfault'
  // 9.
  const index = k.stepping ? yield* indexIn(k, vma, page) : vma.contains(page) ? vma.indexOf(page) : -1
  if (index < 0) return 'bounds'
  // 11.
  if ((flags & (store ? VM_WRITE : VM_READ)) === 0) return kernel.has('spec-segv-recheck') ? 'access' : 'sigsegv'
  // 12.
  if (k.stepping) yield read(vma.id, 'vma.vm_policy')
  if (vma.policy !== null) return 'policy'
  const vmf = yield* snapshot(k, mm, vma, page, store, flags, index, sequence, sinceNs)
  if (typeof vmf === 'string') return vmf
  // 19.
  smpRmb(k)
  if (k.stepping) yield vma.sequence.announce(k)
  if (boundsMayBeOld(k, mm, vma, sequence, sinceNs)) return 'vma-changed'
  // 20.
  return yield* handlePteFault(k, vmf)
}

/** The page's index in the area, from three loads; -1: the page is not in the area. Step gear. @kernel linear_page_index */
function* indexIn(k: Thread, vma: Vma, page: number): Proc<number> {
  const area = seenBy(k, vma)
  yield loading(k, vma.id, 'vma.vm_start')
  const { start } = area
  yield loading(k, vma.id, 'vma.vm_end')
  if (page < start || page >= area.end) return -1
  yield loading(k, vma.id, 'vma.vm_pgoff')
  return page - start + area.pgoff
}

/** Steps 19 of v12, 6 of 2014. Announce the read of the count before asking. @kernel read_seqcount_retry */
function boundsMayBeOld(k: Thread, mm: Mm, vma: Vma, sequence: number, sinceNs: number): boolean {
  return mm.kernel.has('spec-bounds-recheck') && vma.sequence.isChanged(k, sequence, sinceNs)
}

/** Steps 13 to 18 of v12, 7 to 9 of 2014: the tables as they are now, walked with interrupts off; none is allocated. */
function* snapshot(
  k: Thread,
  mm: Mm,
  vma: Vma,
  page: number,
  store: boolean,
  vmFlags: number,
  index: number,
  sequence: number,
  sinceNs: number,
): Proc<Vmf | Reason> {
  const { kernel } = mm
  const isV12 = kernel.faultPath === 'speculative'
  walkBegin(k, kernel)
  if (k.stepping) yield read(mm.id, 'pmd')
  const leaf = mm.table.node(page, 1)
  const slot = leaf * ENTRIES + (page & (ENTRIES - 1))
  if (leaf !== 0 && k.stepping) yield read(slot, 'pte')
  if (leaf !== 0) kernel.tables.use(leaf, 'handle_speculative_fault')
  const pte = leaf === 0 ? PTE_NONE : kernel.tables.get(slot)
  walkEnd(k, kernel)
  if (leaf === 0) {
    if (kernel.has('spec-no-table')) return 'no-page-table'
    yield* pteAlloc(k, mm, page)
    return yield* snapshot(k, mm, vma, page, store, vmFlags, index, sequence, sinceNs)
  }
  if (pte !== PTE_NONE && !ptePresent(pte)) return 'pte-not-supported'
  const guard = new Speculation(vma, sequence, sinceNs, leaf, isV12, vmFlags)
  const kept = kernel.has('spec-index-snapshot') ? index : INDEX_NOW
  const prot = pageProtOf(vmFlags)
  return { mm, vma, page, store, slot, pte, prot, guard, index: kept, flags: FAULT_USER, offset: 0 }
}

/** The handler of the RFC. @kernel handle_speculative_fault */
export function* handleSpeculativeFault2014(k: Thread, mm: Mm, page: number, store: boolean): Proc<FirstTry> {
  const { vmaSrcu } = mm.kernel
  // 1.
  if (k.stepping) yield read(vmaSrcu.id, 'srcu.readers')
  k.cpu.nowNs += k.cpu.preset.lockNs.value
  const index = vmaSrcu.readLock(k)
  const outcome = yield* speculate2014(k, mm, page, store)
  // 11.
  vmaSrcu.readUnlock(k, index)
  return end(mm, outcome)
}

function* speculate2014(k: Thread, mm: Mm, page: number, store: boolean): Proc<Attempt | Verdict | Reason> {
  const { kernel } = mm
  // 2.
  const vma = yield* findVmaSrcu(k, mm, page)
  if (vma === null) return 'no-vma'
  // 3.
  const area = seenBy(k, vma)
  if (k.stepping) yield loading(k, vma.id, 'vma.vm_rb')
  vma.use('handle_speculative_fault')
  const dead = !area.linked
  const sinceNs = k.cpu.nowNs
  if (k.stepping) yield vma.sequence.announce(k)
  vma.use('handle_speculative_fault')
  const { sequence } = seenBy(k, vma.sequence)
  // 4.
  if (dead && kernel.has('spec-dead-check')) return 'vma-dead'
  if (kernel.has('spec-odd-check') && vma.sequence.isOdd(k, sequence)) return 'vma-odd'
  // 5.
  const index = k.stepping ? yield* indexIn(k, vma, page) : vma.contains(page) ? vma.indexOf(page) : -1
  if (index < 0) return 'bounds'
  if (k.stepping) yield loading(k, vma.id, 'vma.vm_flags')
  const { flags } = area
  if (userfaultfdMissing({ flags })) return 'userfault'
  if (k.stepping) yield loading(k, vma.id, 'vma.anon_vma')
  if (area.anonVma === null && vma.isAnonymous && kernel.has('spec-anon-vma')) return 'no-anon-vma'
  // 6.
  if (k.stepping) yield vma.sequence.announce(k)
  if (boundsMayBeOld(k, mm, vma, sequence, sinceNs)) return 'vma-changed'
  // 6b.
  if (kernel.has('spec-access-check') && (flags & (store ? VM_WRITE : VM_READ)) === 0) return 'sigsegv'
  // 7. to 9.
  const vmf = yield* snapshot(k, mm, vma, page, store, flags, index, sequence, sinceNs)
  if (typeof vmf === 'string') return vmf
  // 10.
  if (!vma.isAnonymous) return yield* callFaultMethod(k, vma)
  yield* chooseNode(k, vma)
  return yield* handlePteFault(k, vmf)
}

/**
 * The fault method of a file: it takes the file from the area and may sleep with it. This model has no page cache, so that
 * the method never has the page; what matters is that the file is still there to ask.
 */
function* callFaultMethod(k: Thread, vma: Vma): Proc<Reason> {
  if (k.stepping) yield read(vma.id, 'vma.vm_file')
  const { file } = vma
  if (file === null) return 'file'
  if (k.stepping) yield read(file.inode.id, 'inode.refs')
  if (file.inode.refs <= 0) violate('I-UAF', `use after free: the fault method uses file ${file.inode.id}, which was freed`)
  return 'file'
}
