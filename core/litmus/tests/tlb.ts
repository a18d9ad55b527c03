/**
 * Litmus tests of when TLBs are flushed: before a page that can still be reached through them is given away, written out or
 * copied. Source: mm/mremap.c, mm/memory.c, mm/rmap.c.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import { MADV_DONTNEED, madvise } from '../../mm/madvise.ts'
import { migratePage } from '../../mm/migrate.ts'
import { MREMAP_FIXED, MREMAP_MAYMOVE, mremap } from '../../mm/mremap.ts'
import { answers, expectEqual, type Litmus } from '../litmus.ts'
import { contentOf, evict, reclaimAgainstStore, storeOrSignal } from '../scenes.ts'
import { at, P, type World } from '../world.ts'

/** Answers whether the page went to `to`. */
function* moveWithMremap(k: Thread, { mm }: World, old: number, to: number): Proc<boolean> {
  return (yield* mremap(k, mm, at(old), P, P, MREMAP_MAYMOVE | MREMAP_FIXED, at(to))) === at(to)
}

export const TLB: readonly Litmus[] = [
  {
    name: 'mremap-flushes-late',
    title: 'A store through the TLB entry of an address that mremap has emptied reaches a page that is free already',
    result: 'never',
    refs: ['R49'],
    protections: ['mremap-flush-before-unlock'],
    memoryModel: 'sc',
    start: `
      old -> page 1, writable in the TLB of CPU 1     new: nothing
      mover on CPU 0: mremap new <- old
      reclaim on CPU 0: swap the page out, from wherever it is mapped
      writer on CPU 1: store old = 2`,
    world: { swap: 2 },
    history: {
      story:
        'mremap moves pages from one part of a page table to another and puts none of them on a list of pages to be freed, so ' +
        'nothing but the page table locks keeps a moved page alive. Until October 2018 it flushed the TLBs once, after those ' +
        'locks were dropped. In between another task could take the page away at its new address (ftruncate does, and so does ' +
        'reclaim) and free it, while a third still wrote to it through an old TLB entry: a write to memory of whoever got ' +
        'the page next. Jann Horn found it and showed how to exploit it. Since then the flush comes before the locks of both ' +
        'tables are dropped.',
      sources: [
        'CVE-2018-18281',
        'Linus Torvalds, "mremap: properly flush TLB before releasing the page", commit eb66ae030829605d61fbef1909ce310e29f78821',
        'Jann Horn, "Taking a page from the kernel\'s book: A TLB issue in mremap()", Project Zero, January 2019, ' +
          'https://googleprojectzero.blogspot.com/2019/01/taking-page-from-kernels-book-tlb-issue.html',
      ],
    },
    build(world) {
      const { kernel, process } = world
      const old = world.map(1)
      const to = old + 8
      world.store(old, 1, 1)
      const pfn = world.frame(old)
      world.actor('mover', 0, (k) => moveWithMremap(k, world, old, to))
      world.actor('reclaim', 0, (k) => evict(k, kernel, pfn))
      const writer = world.actor('writer', 1, (k) => storeOrSignal(k, process, old, 2))
      return {
        // A store that did not end in a signal came before the move, and moved along.
        judge: () => expectEqual('I-LIN', 'the page at its new address', writer.value === true ? 2 : 1, world.load(to)),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'unmap-frees-before-the-flush',
    title: 'A store to an address that was unmapped lands in a page that somebody else was given',
    result: 'never',
    refs: ['R49'],
    protections: ['zap-flush-before-free'],
    memoryModel: 'sc',
    start: `
      a -> page 1, writable in the TLB of CPU 1     b -> none
      zapper on CPU 0: MADV_DONTNEED a
      owner on CPU 0: store b = 7, with the first free page
      writer on CPU 1: store a = 2`,
    world: { framesPerCpu: 4 },
    build(world) {
      const { mm, process } = world
      const a = world.map(2)
      const b = a + 1
      world.store(a, 1)
      world.store(a, 1, 1)
      world.actor('zapper', 0, (k) => madvise(k, mm, at(a), P, MADV_DONTNEED))
      world.actor('owner', 0, (k) => process.writePage(k, b, contentOf(7)))
      world.actor('writer', 1, (k) => process.writePage(k, a, contentOf(2)))
      return {
        judge: () => expectEqual('I-LIN', "the owner's page", 7, world.word(b)),
        outcome: () => `a=${world.word(a)} b=${world.word(b)}`,
      }
    },
  },
  {
    name: 'store-during-swap-out',
    title: 'A store through an old TLB entry is made after the page was written to swap, and is lost',
    result: 'never',
    refs: [],
    protections: ['unmap-tlb-flush'],
    memoryModel: 'sc',
    start: `
      a -> page 1, writable in the TLB of CPU 1
      reclaim on CPU 0: swap the page out
      writer on CPU 1: store a = 2`,
    world: { swap: 2 },
    build(world) {
      const a = world.map(1)
      world.store(a, 1, 1)
      return reclaimAgainstStore(world, a)
    },
  },
  {
    name: 'store-during-migration',
    title: 'A store through an old TLB entry goes to the frame that the page has left',
    result: 'never',
    refs: [],
    protections: ['unmap-tlb-flush'],
    memoryModel: 'sc',
    start: `
      a -> page 1, writable in the TLB of CPU 1
      migration on CPU 0: move the page to another frame
      writer on CPU 1: store a = 2`,
    world: {},
    build(world) {
      const { kernel } = world
      const a = world.map(1)
      world.store(a, 1, 1)
      const pfn = world.frame(a)
      kernel.pages.get(pfn)
      const migration = world.actor('migration', 0, (k) => migratePage(k, kernel, pfn))
      world.actor('writer', 1, (k) => storeOrSignal(k, world.process, a, 2))
      return {
        judge: () => expectEqual('I-LIN', 'the page', 2, world.word(a)),
        outcome: () => `migrated=${Number(migration.value) > 0}`,
      }
    },
  },
]
