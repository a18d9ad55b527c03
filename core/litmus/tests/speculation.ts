/**
 * Litmus tests of page faults without mmap_lock: what a speculation looks at, when it looks again, and what it must not decide.
 * Source: Peter Zijlstra, RFC of 20 Oct 2014; Laurent Dufour, "Speculative page faults" v12, 16 Apr 2019.
 */
import { findVmaSrcu } from '../../mm/find_vma.ts'
import { mmapAnonymous, munmap } from '../../mm/mmap.ts'
import { mprotect, PROT_READ, PROT_WRITE } from '../../mm/mprotect.ts'
import { MREMAP_FIXED, MREMAP_MAYMOVE, mremap } from '../../mm/mremap.ts'
import { handlePageFault } from '../../mm/page_fault.ts'
import { VM_DONTCOPY } from '../../mm/vma.ts'
import { answers, expectEqual, type Litmus } from '../litmus.ts'
import { contentOf, emptied, forkChild, toucher } from '../scenes.ts'
import { at, P, RW } from '../world.ts'

const V12 = { faultPath: 'speculative' } as const
const RFC = { faultPath: 'speculative-2014' } as const

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
    build(world) {
      const a = emptied(world, 2)
      toucher(world, a + 1)
      world.actor('unmapper', 1, (k) => munmap(k, world.mm, at(a + 1), P))
      return { outcome: () => answers(world) }
    },
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
    build(world) {
      const a = emptied(world, 1)
      toucher(world, a)
      world.actor('protector', 1, (k) => mprotect(k, world.mm, at(a), P, PROT_READ))
      return { outcome: () => answers(world) }
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
      world.actor('protector', 1, function* (k) {
        const first = yield* mprotect(k, world.mm, at(a), P, PROT_READ)
        return first === 0 ? yield* mprotect(k, world.mm, at(a), P, PROT_READ | PROT_WRITE) : first
      })
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
      area [a, a+1), its table there, no page
      toucher: store a            unmapper: munmap a`,
    world: V12,
    build(world) {
      const a = emptied(world, 1)
      toucher(world, a)
      world.actor('unmapper', 1, (k) => munmap(k, world.mm, at(a), P))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'fault-against-munmap-2014',
    title: 'A page is mapped into an area whose unmapping was complete before its count was read, in the RFC',
    result: 'never',
    refs: ['R04', 'R06'],
    protections: ['spec-dead-check', 'vma-deferred-free'],
    memoryModel: 'sc',
    start: `
      area [a, a+1), its table there, no page
      toucher: store a            unmapper: munmap a`,
    world: RFC,
    build(world) {
      const a = emptied(world, 1)
      toucher(world, a)
      world.actor('unmapper', 1, (k) => munmap(k, world.mm, at(a), P))
      return { outcome: () => answers(world) }
    },
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
      const looker = world.actor('looker', 0, function* (k) {
        const { vmaSrcu } = world.kernel
        const index = vmaSrcu.readLock(k)
        const vma = yield* findVmaSrcu(k, world.mm, b)
        vmaSrcu.readUnlock(k, index)
        return vma?.start
      })
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
    protections: ['mremap-seq'],
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
    build(world) {
      const a = world.map(1)
      world.store(a, 1, 2)
      world.actor('forker', 1, (k) => forkChild(k, world))
      toucher(world, a)
      world.actor('writer', 2, (k) => world.process.writePage(k, a, contentOf(7)))
      return {
        judge: () => expectEqual('I-LIN', 'the word that the parent stored last', 7, world.word(a)),
        outcome: () => `word=${world.word(a)}`,
      }
    },
  },
]
