/**
 * Litmus tests of page faults without mmap_lock: what a speculation looks at, when it looks again, and what it must not decide.
 * Source: Peter Zijlstra, RFC of 20 Oct 2014; Laurent Dufour, "Speculative page faults" v12, 16 Apr 2019.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import { ZERO_PFN } from '../../hw/phys_mem.ts'
import { sys, type Userfaultfd } from '../../machine/syscall.ts'
import { findVmaSrcu } from '../../mm/find_vma.ts'
import { mmapAnonymous, munmap } from '../../mm/mmap.ts'
import { mprotect, PROT_READ, PROT_WRITE } from '../../mm/mprotect.ts'
import { MREMAP_FIXED, MREMAP_MAYMOVE, mremap } from '../../mm/mremap.ts'
import { handlePageFault } from '../../mm/page_fault.ts'
import { VM_DONTCOPY } from '../../mm/vma.ts'
import { answers, expectEqual, type Litmus } from '../litmus.ts'
import { emptied, storeAgainstCut, storeAgainstMprotect, storeAgainstMunmap, storeDuringFork, toucher } from '../scenes.ts'
import { MISSING, openUffd } from '../uffd_scenes.ts'
import { at, P, RW, type World } from '../world.ts'

const V12 = { faultPath: 'speculative' } as const
const RFC = { faultPath: 'speculative-2014' } as const

function* protectAndAllow(k: Thread, { mm }: World, page: number): Proc<number> {
  const first = yield* mprotect(k, mm, at(page), P, PROT_READ)
  return first === 0 ? yield* mprotect(k, mm, at(page), P, PROT_READ | PROT_WRITE) : first
}

/** First page of the area that a look-up without mmap_lock finds. */
function* lookUp(k: Thread, { mm, kernel }: World, page: number): Proc<number | undefined> {
  const index = kernel.vmaSrcu.readLock(k)
  const vma = yield* findVmaSrcu(k, mm, page)
  kernel.vmaSrcu.readUnlock(k, index)
  return vma?.start
}

/** A manager that notes whether the page was missing when its registration returned, and then places it. */
function* registerAndPlace(
  k: Thread,
  world: World,
  manager: { sawMissing: boolean },
  uffd: Userfaultfd,
  dst: number,
  src: number,
): Proc<number> {
  yield* sys.uffdioRegister(k, uffd, at(dst), P, MISSING)
  manager.sawMissing = world.frame(dst) < 0
  return (yield* sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0)).ret
}

export const SPECULATION: readonly Litmus[] = [
  {
    name: 'fault-against-munmap-of-its-part',
    title: 'A page is mapped at an address that munmap has cut off the area',
    result: 'never',
    refs: ['R01'],
    protections: ['spec-seq-recheck'],
    memoryModel: 'sc',
    start: `
      area [a, a+2), its table there, no page
      toucher: store a+1          unmapper: munmap a+1`,
    world: V12,
    build: storeAgainstCut,
  },
  {
    name: 'fault-against-mprotect',
    title: 'A page stays writable after mprotect has made its area read-only',
    result: 'never',
    refs: ['R02', 'R10'],
    protections: ['spec-seq-recheck', 'spec-odd-check'],
    memoryModel: 'sc',
    start: `
      area [a, a+1) writable, its table there, no page
      toucher: store a            protector: mprotect a, PROT_READ`,
    world: V12,
    build: storeAgainstMprotect,
  },
  {
    name: 'fault-against-mprotect-2014',
    title: 'In the RFC, a page stays writable after mprotect has made its area read-only',
    result: 'sometimes',
    breaks: 'I-PERM',
    refs: ['R02'],
    protections: [],
    memoryModel: 'sc',
    start: `
      area [a, a+1) writable, its table there, no page
      toucher: store a            protector: mprotect a, PROT_READ`,
    world: RFC,
    history: {
      story:
        'The RFC of 2014 counted what vma_adjust and unmap_page_range change, and nothing else. mprotect of a whole area changes ' +
        'neither bounds nor mappings: a fault that had read the old rights found the count as it was and mapped its page with ' +
        'them. Laurent Dufour made every change of a field that a speculation reads a write section.',
      sources: [
        'Peter Zijlstra, "[RFC][PATCH 3/6] mm: VMA sequence count", 20 Oct 2014',
        'Laurent Dufour, "[PATCH v12 10/31] mm: protect VMA modifications using VMA sequence count", 16 Apr 2019',
      ],
    },
    build: storeAgainstMprotect,
  },
  {
    name: 'store-to-a-read-only-area',
    title: 'A store to a read-only area does not end in SIGSEGV',
    result: 'never',
    refs: [],
    protections: ['spec-access-check'],
    memoryModel: 'sc',
    start: `
      area [a, a+1) read-only, its table there for a neighbour's sake, no page
      toucher: store a            unmapper: munmap a`,
    world: RFC,
    build(world) {
      const a = emptied(world, 1, true)
      world.call((k) => mprotect(k, world.mm, at(a), P, PROT_READ))
      const store = world.actor('toucher', 0, (k) => sys.store(k, world.process, at(a), 7))
      world.actor('unmapper', 1, (k) => munmap(k, world.mm, at(a), P))
      return {
        judge: () => expectEqual('I-ERR', 'the signal for the store', 'SIGSEGV', store.value?.signal),
        outcome: () => `signal=${store.value?.signal}`,
      }
    },
  },
  {
    name: 'verdict-on-a-split-area',
    title: 'A store is answered by SIGSEGV because of the rights of an area that has been cut off from its address',
    result: 'never',
    refs: ['R03'],
    protections: ['spec-bounds-recheck'],
    memoryModel: 'sc',
    start: `
      area [a, a+2) writable, its table there, no page
      toucher: store a+1          protector: mprotect a, PROT_READ (of one page: the area is split)`,
    world: RFC,
    build(world) {
      const a = emptied(world, 2)
      const touch = toucher(world, a + 1)
      world.actor('protector', 1, (k) => mprotect(k, world.mm, at(a), P, PROT_READ))
      return {
        judge: () => expectEqual('I-ERR', 'the store to a page that was always writable', 'ok', touch.value),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'verdict-on-unconfirmed-flags',
    title: 'A store is answered by SIGSEGV although each state of its area, before and after, allows it',
    result: 'never',
    refs: ['R25'],
    protections: ['spec-segv-recheck'],
    memoryModel: 'sc',
    start: `
      area [a, a+2) writable, its table there, no page
      toucher: store a+1          protector: mprotect a, PROT_READ; mprotect a, PROT_READ|PROT_WRITE`,
    world: V12,
    build(world) {
      const a = emptied(world, 2)
      const touch = toucher(world, a + 1)
      world.actor('protector', 1, (k) => protectAndAllow(k, world, a))
      return {
        judge: () => expectEqual('I-ERR', 'the store to a page that was always writable', 'ok', touch.value),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'fault-against-munmap',
    title: 'A page is mapped into an area whose unmapping was complete before its count was read',
    result: 'never',
    refs: ['R04', 'R06'],
    protections: ['spec-dead-check', 'vma-deferred-free'],
    memoryModel: 'sc',
    start: `
      area [a, a+1), its table there for a neighbour's sake, no page
      toucher: store a            unmapper: munmap a`,
    world: V12,
    build: (world) => storeAgainstMunmap(world, true),
  },
  {
    name: 'fault-against-munmap-2014',
    title: 'A page is mapped into an area whose unmapping was complete before its count was read, in the RFC',
    result: 'never',
    refs: ['R04', 'R06'],
    protections: ['spec-dead-check', 'vma-deferred-free'],
    memoryModel: 'sc',
    start: `
      area [a, a+1), its table there for a neighbour's sake, no page
      toucher: store a            unmapper: munmap a`,
    world: RFC,
    build: (world) => storeAgainstMunmap(world, true),
  },
  {
    name: 'look-up-against-rotation',
    title: 'A look-up without mmap_lock does not find an area that was there all the time',
    result: 'never',
    refs: ['R05'],
    protections: ['mm-seq-retry'],
    memoryModel: 'sc',
    start: `
      tree: a with b to its right
      looker: find_vma_srcu b     mapper: mmap behind b, which makes b the root`,
    world: RFC,
    build(world) {
      const a = world.map(1)
      const b = world.map(1, RW | VM_DONTCOPY)
      const looker = world.actor('looker', 0, (k) => lookUp(k, world, b))
      world.actor('mapper', 1, (k) => mmapAnonymous(k, world.mm, P))
      return {
        judge: () => expectEqual('I-ERR', `the area found at page ${b}`, b, looker.value),
        outcome: () => `looker=${looker.value === b} a=${a}`,
      }
    },
  },
  {
    name: 'first-fault-of-an-area',
    title: 'A page is mapped that no reverse map leads to, because its area had no anon_vma yet',
    result: 'never',
    refs: ['R18'],
    protections: ['spec-anon-vma'],
    memoryModel: 'sc',
    start: `
      area [b, b+1) never touched; its table there, for a neighbour's sake
      toucher: store b            other: store b`,
    world: V12,
    build(world) {
      emptied(world, 1)
      const b = world.map(1, RW | VM_DONTCOPY)
      toucher(world, b)
      world.actor('other', 1, (k) => handlePageFault(k, world.mm, b, true))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'registration-returns-early',
    title: 'UFFDIO_REGISTER has returned, and then a fault without mmap_lock maps zeros that nobody was asked for',
    result: 'sometimes',
    breaks: 'I-ZERO',
    refs: ['R23'],
    protections: [],
    memoryModel: 'sc',
    start: `
      area [a, a+1), its table there, no page; src -> page 100
      toucher: load a             manager: UFFDIO_REGISTER a; UFFDIO_COPY a <- src`,
    world: V12,
    history: {
      story:
        'A fault that holds the PTE lock and has made its last comparison may still be about to store its PTE when a registration, ' +
        'which takes no PTE lock, begins, ends and returns. Version 12 says there that userfaultfd "may be set in our back once ' +
        'we have lock the pte. In such a case we can ignore it this time". Jerome Glisse asked whether the fault should not be given ' +
        'up; Laurent Dufour answered that it is up to the process to trigger no fault while it sets up the userfaultfd. For ' +
        'postcopy that is the difference between a page to be fetched and a page of zeros: UFFDIO_COPY answers EEXIST. Under ' +
        'mmap_lock, or the lock of the area, the registration waits for the fault.',
      sources: [
        'Jerome Glisse, "Re: [PATCH v12 22/31] mm: provide speculative fault infrastructure", 22 Apr 2019, ' +
          '20190422212623.GM14666@redhat.com',
        'Laurent Dufour, the same, 24 Apr 2019, a1e27d15-2890-28fc-d350-ca62fb77f508@linux.ibm.com',
      ],
    },
    build(world) {
      const a = emptied(world, 1)
      const src = world.map(1, RW | VM_DONTCOPY)
      world.store(src, 100)
      const uffd = openUffd(world)
      const manager = { sawMissing: false }
      world.actor('toucher', 0, (k) => handlePageFault(k, world.mm, a, false))
      world.actor('manager', 1, (k) => registerAndPlace(k, world, manager, uffd, a, src))
      const isZeros = () => manager.sawMissing && world.frame(a) === ZERO_PFN
      const message = `page ${a} was missing when UFFDIO_REGISTER returned, and is zeros now`
      return { watch: () => (isZeros() ? { invariant: 'I-ZERO', message } : null), outcome: () => answers(world) }
    },
  },
  {
    name: 'fault-beside-a-shootdown',
    title: 'A CPU waits with interrupts off for a lock whose holder waits for that CPU to answer an interrupt',
    result: 'never',
    refs: ['R14'],
    protections: ['spec-trylock'],
    memoryModel: 'sc',
    start: `
      area [a, a+2): a -> the zero page, a+1 -> none; one table, one lock
      toucher: store a+1          copier: store a, which copies under the lock and flushes`,
    world: V12,
    build(world) {
      const a = emptied(world, 2)
      world.load(a, 1)
      toucher(world, a + 1)
      world.actor('copier', 1, (k) => handlePageFault(k, world.mm, a, true))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'fault-where-mremap-moves-to',
    title: 'A page that mremap moves is lost, because a fresh one was mapped in its new place',
    result: 'never',
    refs: ['R19'],
    protections: ['mremap-seq', 'vma-seq-init-early'],
    memoryModel: 'sc',
    start: `
      a -> page of 5              b -> none, no area; a and b in one table
      toucher: store b            mover: mremap b <- a`,
    world: V12,
    build(world) {
      const a = world.map(1)
      world.store(a, 5, 1)
      const b = a + 8
      toucher(world, b)
      world.actor('mover', 1, (k) => mremap(k, world.mm, at(a), P, P, MREMAP_MAYMOVE | MREMAP_FIXED, at(b)))
      return {
        judge: () => expectEqual('I-LIN', 'the moved page', 5, world.word(b)),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'copy-during-fork',
    title: 'A store through an old TLB entry is lost, because its page was copied before the entry was flushed',
    result: 'never',
    refs: ['R20'],
    protections: ['fork-seq'],
    memoryModel: 'sc',
    start: `
      a -> page of 1, writable, in the TLB of CPU 2
      forker: fork                toucher: store fault on a          writer: store 7 to a`,
    world: { ...V12, cpus: 3 },
    history: {
      story:
        'Threads that locked and unlocked a mutex while another one forked stayed blocked for ever. fork had made the page of the mutex read-only and not yet flushed the TLBs; one ' +
        'thread faulted and copied it without mmap_lock, while another went on storing to the old page through its TLB. ' +
        'Vinayak Menon and Ganesh Mahendran reported it; since then fork keeps the counts of the areas odd until after the flush.',
      sources: [
        'Laurent Dufour, "[PATCH v12 18/31] mm: protect against PTE changes done by dup_mmap()", 16 Apr 2019, ' +
          '20190416134522.17540-19-ldufour@linux.ibm.com',
      ],
    },
    build: storeDuringFork,
  },
]
