/**
 * Faults without mmap_lock: with every protection on, no schedule breaks the books; with one left out, a search finds one
 * that does. Scenarios follow the race catalogue (R01 to R23). Chance finds what is not too narrow; the museum's litmus tests of the same
 * races (core/litmus/tests/speculation.ts) are searched to the end.
 */
import { describe, expect, it } from 'vitest'
import { ptePresent, pteWritable } from '../../core/hw/pte.ts'
import { findVmaSrcu } from '../../core/mm/find_vma.ts'
import { fork } from '../../core/mm/fork.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import type { FaultPath } from '../../core/mm/kernel.ts'
import { mmapAnonymous, munmap } from '../../core/mm/mmap.ts'
import { mprotect, PROT_READ } from '../../core/mm/mprotect.ts'
import { MREMAP_FIXED, MREMAP_MAYMOVE, mremap } from '../../core/mm/mremap.ts'
import { handlePageFault } from '../../core/mm/page_fault.ts'
import { OpenFile, ShmemInode } from '../../core/mm/shmem.ts'
import { userfaultfdRegister } from '../../core/mm/uffd_register.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { VM_DONTCOPY, VM_WRITE } from '../../core/mm/vma.ts'
import { unmount } from '../../core/mm/vma_lifetime.ts'
import { Refcounted } from '../../core/sync/refcount.ts'
import { at, P, type Rig, RW } from './rig.ts'
import { breaks, holds, type Scenario } from './speculative_search.ts'

/** Four pages with an anon_vma and a page table; page 1 on is missing. */
function warm(rig: Rig, pages = 4): number {
  const a = rig.map(pages)
  rig.store(a, 1)
  return a
}

const fault = (rig: Rig, name: string, n: number, page: number, store = true) =>
  rig.spawn(name, n, (k) => handlePageFault(k, rig.mm, page, store))

const racesMunmap = (path: FaultPath, whole: boolean): Scenario => ({
  path,
  set(rig) {
    const a = warm(rig)
    // A neighbour that does not merge keeps the page table and the search honest.
    rig.map(1, RW | VM_DONTCOPY)
    fault(rig, 'fault', 1, a + 2)
    rig.spawn('munmap', 2, (k) => munmap(k, rig.mm, at(whole ? a : a + 2), (whole ? 4 : 1) * P))
    return () => null
  },
})

const racesMprotect: Scenario = {
  path: 'speculative',
  set(rig) {
    const a = warm(rig)
    fault(rig, 'fault', 1, a + 2)
    rig.spawn('mprotect', 2, (k) => mprotect(k, rig.mm, at(a), 4 * P, PROT_READ))
    return () => {
      const pte = rig.pte(a + 2)
      const may = (rig.vma(a + 2).flags & VM_WRITE) !== 0
      return ptePresent(pte) && pteWritable(pte) && !may ? 'a page of a read-only area may be written' : null
    }
  },
}

const withoutAnonVma = (path: FaultPath): Scenario => ({
  path,
  set(rig) {
    const a = warm(rig)
    const b = rig.map(2, RW | VM_DONTCOPY)
    if (b !== a + 4) return () => 'the areas are not in one table'
    fault(rig, 'fault', 1, b)
    fault(rig, 'other', 2, a + 1)
    return () => null
  },
})

/** One thread copies a page under the PTE lock and shoots it down; the other faults beside it. */
const besideShootdown: Scenario = {
  path: 'speculative',
  set(rig) {
    const a = warm(rig)
    // The zero page, mapped for reading: a store copies it.
    rig.load(a + 1)
    fault(rig, 'copy', 1, a + 1)
    fault(rig, 'fault', 2, a + 2)
    return () => null
  },
}

const lookup: Scenario = {
  path: 'speculative-2014',
  set(rig) {
    const pages = [4, 8, 12, 16, 20, 24, 28]
    for (const p of pages) rig.place(p, 2)
    const wanted = 16
    let wrong: string | null = null
    rig.spawn('look', 1, function* (k) {
      const { vmaSrcu } = rig.kernel
      for (let i = 0; i < 3; i++) {
        const index = vmaSrcu.readLock(k)
        const vma = yield* findVmaSrcu(k, rig.mm, wanted)
        if (vma?.contains(wanted) !== true) wrong = `the look-up of ${wanted} answered ${vma === null ? 'none' : vma.start}`
        vmaSrcu.readUnlock(k, index)
      }
    })
    rig.spawn('change', 2, function* (k) {
      for (const p of [4, 8, 24, 12]) yield* munmap(k, rig.mm, at(p), 2 * P)
      yield* mmapAnonymous(k, rig.mm, P)
    })
    return () => wrong
  },
}

const fileArea: Scenario = {
  path: 'speculative-2014',
  set(rig) {
    const a = warm(rig)
    const inode = new ShmemInode(rig.kernel.newId(), 4)
    const vma = rig.place(a + 8, 2, RW, 'file')
    vma.file = new OpenFile(inode, 'file', true)
    let answer = 0
    fault(rig, 'fault', 1, a + 8, false)
    rig.spawn('umount', 2, function* (k) {
      yield* munmap(k, rig.mm, at(a + 8), 2 * P)
      answer = yield* unmount(k, rig.kernel, [inode])
    })
    return () => (answer === 0 ? null : `umount answered ${answer}`)
  },
}

const policyArea: Scenario = {
  path: 'speculative-2014',
  set(rig) {
    const a = warm(rig)
    rig.vma(a).policy = new Refcounted('the policy')
    fault(rig, 'fault', 1, a + 2)
    rig.spawn('munmap', 2, (k) => munmap(k, rig.mm, at(a), 4 * P))
    return () => null
  },
}

/** CPU 3 has the page in its TLB, writable; fork takes that away; a speculative copy must not miss what CPU 3 writes. */
const copyDuringFork: Scenario = {
  path: 'speculative',
  skipsAudit: true,
  set(rig) {
    const a = warm(rig)
    rig.store(a, 1, 3)
    rig.spawn('fork', 1, (k) => fork(k, rig.mm))
    fault(rig, 'copy', 2, a)
    rig.spawn('writer', 3, (k) => rig.process.writePage(k, a, { word0: 7, word1: 7, version: 7 }))
    return () => {
      const pfn = rig.frame(a)
      const found = rig.kernel.phys.words[pfn * 2]
      return found === 7 ? null : `the store of 7 was lost, the page has ${found}`
    }
  },
}

const ontoMoved: Scenario = {
  path: 'speculative',
  set(rig) {
    const a = rig.map(1)
    rig.store(a, 5)
    const b = rig.map(1, RW | VM_DONTCOPY)
    rig.store(b, 6)
    rig.call((k) => munmap(k, rig.mm, at(b), P))
    fault(rig, 'fault', 1, a + 8)
    rig.spawn('mremap', 2, (k) => mremap(k, rig.mm, at(a), P, P, MREMAP_MAYMOVE | MREMAP_FIXED, at(a + 8)))
    return () => {
      const pfn = rig.frame(a + 8)
      const found = pfn < 0 ? -1 : rig.kernel.phys.words[pfn * 2]
      return found === 5 ? null : `the moved page has ${found}`
    }
  },
}

const racesRegister: Scenario = {
  path: 'speculative',
  maySleep: true,
  set(rig) {
    const a = warm(rig)
    const uffd = new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
    let missing = false
    fault(rig, 'fault', 1, a + 2, false)
    rig.spawn('register', 2, function* (k) {
      yield* userfaultfdRegister(k, uffd, at(a), 4 * P, 1)
      // As the next call would: a fault that has the PTE lock is over before it.
      const lock = rig.kernel.pteLock(rig.mm.table.walk(a + 2))
      yield* lock.lock(k)
      missing = rig.pte(a + 2) === 0
      lock.unlock(k)
    })
    return () => (missing && rig.pte(a + 2) !== 0 ? 'a page came that nobody was asked for' : null)
  },
}

const CASES: readonly [ProtectionName, string, Scenario][] = [
  ['spec-seq-recheck', 'fault against mprotect', racesMprotect],
  ['spec-odd-check', 'fault against mprotect', racesMprotect],
  ['spec-dead-check', 'fault against munmap, v12', racesMunmap('speculative', true)],
  ['spec-dead-check', 'fault against munmap, 2014', racesMunmap('speculative-2014', true)],
  ['vma-deferred-free', 'fault against munmap, 2014', racesMunmap('speculative-2014', true)],
  ['spec-anon-vma', 'first fault of an area, v12', withoutAnonVma('speculative')],
  ['spec-anon-vma', 'first fault of an area, 2014', withoutAnonVma('speculative-2014')],
  ['spec-trylock', 'fault beside a shootdown', besideShootdown],
  ['mm-seq-retry', 'look-up in a tree that turns', lookup],
  ['vma-deferred-fput', 'fault on a file that goes', fileArea],
  ['umount-srcu-barrier', 'umount after munmap', fileArea],
  ['vma-deferred-policy', 'fault under a policy that goes', policyArea],
  ['fork-seq', 'copy during fork', copyDuringFork],
  ['mremap-seq', 'fault on the target of mremap', ontoMoved],
  ['uffd-register-seq', 'fault against registration', racesRegister],
  ['vma-write-lock', 'fault against munmap, area locks', racesMunmap('vma-lock', true)],
  ['vma-lock-second-look', 'fault against munmap, area locks', racesMunmap('vma-lock', true)],
  ['vma-lock-recheck', 'fault against munmap, area locks', racesMunmap('vma-lock', true)],
]

describe('a fault without mmap_lock', () => {
  it.each(CASES)('without %s, some schedule breaks: %s', (name, _title, scenario) => {
    expect(breaks(scenario, name)).toBeGreaterThan(0)
  })

  const scenarios = new Map(CASES.map(([, title, scenario]) => [title, scenario]))
  it.each([...scenarios])('with all protections, no schedule of 1,000 breaks: %s', (_title, scenario) => {
    expect(holds(scenario)).toBeNull()
  })

  it('part of an area goes while another part is faulted: no schedule breaks on any path', () => {
    for (const path of ['speculative', 'speculative-2014', 'vma-lock'] as const) {
      expect(holds(racesMunmap(path, false), 400), path).toBeNull()
    }
  })
})
