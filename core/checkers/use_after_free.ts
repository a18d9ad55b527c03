/**
 * I-UAF: nothing names an object that was freed.
 *
 * Most uses are found where they happen: Refcounted.use, and the assertions of core/mm. This looks for what would be used next:
 * a PTE, a TLB entry or the swap cache that names a freed frame; a page that is mapped, or an area in the tree, whose anon_vma is
 * freed; an anon_vma without its root, or with an edge to a freed area; an area whose file is freed; a queue of userfaults with
 * an entry whose thread has left. All of it holds after every step: each keeps a reference, or goes before what it names.
 */
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { type Pte, ptePfn, ptePresent } from '../hw/pte.ts'
import { entryPfn, type Tlb } from '../hw/tlb.ts'
import type { AnonVma } from '../mm/anon_vma.ts'
import type { Kernel } from '../mm/kernel.ts'
import type { Mm } from '../mm/mm.ts'
import type { UserfaultWaiter } from '../mm/userfaultfd.ts'
import type { Vma } from '../mm/vma.ts'
import type { WaitQueue } from '../sync/wait_queue.ts'
import { visitAllEntries } from './entries.ts'
import { type Invariant, onEachKernel, type State } from './invariant.ts'
import { liveEntries } from './live_entries.ts'

export const USE_AFTER_FREE: Invariant = {
  id: 'I-UAF',
  claim: 'nothing names an object that was freed',
  inFlight: (state) => noLiveEntryNamesAFreedFrame(state) ?? onEachKernel(state, nothingFreedIsNamed),
  atRest: (state) => onEachKernel(state, (kernel) => visitAllEntries(kernel, mapsFreed) ?? nothingFreedIsNamed(kernel)),
}

function noLiveEntryNamesAFreedFrame(state: State): string | null {
  const { count, mm, page, pte } = liveEntries(state)
  for (let i = 0; i < count; i++) {
    const wrong = mapsFreed(mm[i], page[i], pte[i])
    if (wrong !== null) return wrong
  }
  return null
}

function nothingFreedIsNamed(kernel: Kernel): string | null {
  return (
    tlbsNameNoFreedFrame(kernel) ??
    cachesNameNoFreedFrame(kernel) ??
    mappedPagesHaveAnonVmas(kernel) ??
    anonVmasAreAlive(kernel) ??
    eachArea(kernel, areaIsAlive) ??
    eachArea(kernel, queuesAreAlive)
  )
}

function mapsFreed(mm: Mm, page: number, pte: Pte): string | null {
  if (!ptePresent(pte)) return null
  const pfn = ptePfn(pte)
  return pfn !== ZERO_PFN && mm.kernel.pages.refcount[pfn] === 0 ? `page ${page} is mapped to freed pfn ${pfn}` : null
}

function tlbsNameNoFreedFrame(kernel: Kernel): string | null {
  for (let i = 0; i < kernel.cpus.length; i++) {
    const { id, mmu, missedFlush } = kernel.cpus[i]
    // In lazy mode: nobody uses the entry before it is flushed.
    if (missedFlush) continue
    const page = stalePage(kernel, mmu.tlb)
    if (page !== null) return `CPU ${id} has an entry for page ${page}, whose frame was freed`
  }
  return null
}

function stalePage({ pages }: Kernel, tlb: Tlb): number | null {
  let stale: number | null = null
  tlb.entries((unit, entry) => {
    const pfn = entryPfn(entry)
    if (pfn !== ZERO_PFN && pages.refcount[pfn] === 0) stale = tlb.firstPage(unit)
  })
  return stale
}

function cachesNameNoFreedFrame({ swap, pages }: Kernel): string | null {
  for (let slot = 1; slot <= swap.slots; slot++) {
    const pfn = swap.cached(slot)
    if (pfn >= 0 && pages.refcount[pfn] === 0) return `swap slot ${slot} caches freed pfn ${pfn}`
  }
  return null
}

function mappedPagesHaveAnonVmas({ pages, anonVmas }: Kernel): string | null {
  const { highest, mapcount, mapping } = pages
  for (let pfn = ZERO_PFN + 1; pfn < highest; pfn++) {
    if (mapcount[pfn] === 0 || mapping[pfn] < 0 || (mapping[pfn] & 1) === 0) continue
    if (anonVmas.at(mapping[pfn] >>> 1).isFree) return `pfn ${pfn} is mapped, and its anon_vma ${mapping[pfn] >>> 1} was freed`
  }
  return null
}

function anonVmasAreAlive({ anonVmas }: Kernel): string | null {
  const { all } = anonVmas
  for (let i = 0; i < all.length; i++) {
    const wrong = all[i].isFree ? null : anonVmaIsAlive(all[i])
    if (wrong !== null) return wrong
  }
  return null
}

function anonVmaIsAlive({ index, root, chains }: AnonVma): string | null {
  if (root.isFree) return `the root ${root.index} of anon_vma ${index} was freed`
  for (let i = 0; i < chains.length; i++) {
    const { vma } = chains[i]
    if (vma.refs.freed) return `anon_vma ${index} leads to area [${vma.start},${vma.end}), which was freed`
  }
  return null
}

function eachArea({ mms }: Kernel, isAlive: (vma: Vma) => string | null): string | null {
  for (let i = 0; i < mms.length; i++) {
    for (let vma = mms[i].tree.first; vma !== null; vma = vma.next) {
      const wrong = isAlive(vma)
      if (wrong !== null) return wrong
    }
  }
  return null
}

function areaIsAlive(vma: Vma): string | null {
  const { start, end, anonVma, file } = vma
  if (vma.refs.freed) return `area [${start},${end}) is in the tree, and was freed`
  if (anonVma?.isFree === true) return `anon_vma ${anonVma.index} of area [${start},${end}) was freed`
  return file !== null && file.inode.refs <= 0 ? `file ${file.inode.id} of area [${start},${end}) was freed` : null
}

function queuesAreAlive({ uffd }: Vma): string | null {
  return uffd === null ? null : (queueIsAlive(uffd.pending) ?? queueIsAlive(uffd.fault))
}

/** An entry lives on its thread's stack. */
function queueIsAlive({ label, entries }: WaitQueue<UserfaultWaiter>): string | null {
  for (let i = 0; i < entries.length; i++) {
    const { gone, page, task } = entries[i]
    if (gone) return `${label} has an entry for page ${page} whose thread ${task.name} has left`
  }
  return null
}
