/**
 * Litmus tests of what a move must take along or leave alone: the D bit, the page in the swap cache, pins, sharing through swap
 * entries, the destination's anon_vma. remap_anon_pages, 2014, and UFFDIO_MOVE, 6.8 and later.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import { pinUserPage } from '../../mm/pin.ts'
import { uffdMove } from '../../mm/uffd_move.ts'
import { Userfaultfd } from '../../mm/userfaultfd.ts'
import { answers, expectEqual, type History, type Litmus } from '../litmus.ts'
import { contentOf, evict, loadWord, remap, remapAndStore, sourceAndDestination, storeOrSignal, writeFrame } from '../scenes.ts'
import { at, P, type World } from '../world.ts'

const SWAP_CACHE: History = {
  story:
    'UFFDIO_MOVE moved a swap entry by its number alone. Where the page was still in the swap cache it stayed described as ' +
    'being at the source, and the fault at the destination mapped it so: kernel BUG. In March 2025 the page in the cache was ' +
    'moved along, found by a look-up without a lock. In June 2025 Kairui Song showed that this look-up can answer with a page ' +
    'of somebody else, or with none although there is one, when the slot is freed and used again in between: the PTE then ' +
    'holds the same number and its check passes. Since then the cached page is looked at again under its lock, and the slot ' +
    'under the page table locks. The code of 2014 has the first of these bugs too.',
  sources: [
    'Barry Song, "[PATCH RFC] mm: Fix kernel BUG when userfaultfd_move encounters swapcache", February 2025, ' +
      'https://lore.kernel.org/all/20250219112519.92853-1-21cnbao@gmail.com/',
    'Kairui Song, "mm: userfaultfd: fix race of userfaultfd_move and swap cache", commit ' +
      '0ea148a799198518d8ebab63ddd0bb6114a103bc; v4, June 2025, ' +
      'https://lore.kernel.org/all/20250604151038.21968-1-ryncsn@gmail.com/',
  ],
}

function* remapAndLoad(k: Thread, world: World, dst: number, src: number): Proc<number> {
  yield* remap(k, world, dst, src)
  return yield* loadWord(k, world.process, dst)
}

function* remapEvictAndLoad(k: Thread, world: World, dst: number, src: number, pfn: number): Proc<number> {
  yield* remap(k, world, dst, src)
  yield* evict(k, world.kernel, pfn)
  return yield* loadWord(k, world.process, dst)
}

/** Frees the slot of `src`, gives it to `other`, frees it again, and gives it back to `src`. */
function* useSlotAgain(k: Thread, world: World, src: number, other: number): Proc<string> {
  const { kernel, process } = world
  yield* process.writePage(k, src, contentOf(2))
  const pfn = world.frame(src)
  yield* evict(k, kernel, world.frame(other))
  yield* loadWord(k, process, other)
  yield* process.writePage(k, other, contentOf(8))
  if (pfn >= 0) yield* evict(k, kernel, pfn)
  return 'done'
}

function* moveByUffd(k: Thread, uffd: Userfaultfd, dst: number, src: number): Proc<number> {
  return (yield* uffdMove(k, uffd, at(dst), at(src), P, 0)).result
}

/** A device whose buffer is at `page`, and which keeps it. */
function* pinAndWrite(k: Thread, world: World, page: number): Proc<void> {
  yield* writeFrame(k, world.kernel, yield* pinUserPage(k, world.mm, page, true), 2)
}

export const MOVE: readonly Litmus[] = [
  {
    name: 'store-during-remap',
    title: 'A store made while its page is moved is forgotten, and reclaim drops the page for its old copy in swap',
    result: 'never',
    refs: ['R37'],
    protections: ['remap-dirty-bit'],
    memoryModel: 'sc',
    start: `
      src -> page 100, clean, with a copy in swap     dst -> none
      mover: remap dst <- src; swap the page out; load dst
      writer: store src = 2`,
    world: { swap: 2 },
    build(world) {
      const { src, dst } = sourceAndDestination(world)
      const { kernel, process } = world
      world.call((k) => evict(k, kernel, world.frame(src)))
      world.load(src)
      const pfn = world.frame(src)
      const mover = world.actor('mover', 0, (k) => remapEvictAndLoad(k, world, dst, src, pfn))
      world.actor('writer', 1, (k) => storeOrSignal(k, process, src, 2))
      return {
        // A store that found the page gone made a new one at src.
        judge: () => expectEqual('I-LIN', 'the moved page', world.frame(src) < 0 ? 2 : 100, mover.value),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'remap-during-swap-out',
    title: 'A swap entry is moved while its page is still in the swap cache, where it goes on being described as before',
    result: 'never',
    refs: ['R39'],
    protections: ['swap-move-cache'],
    memoryModel: 'sc',
    start: `
      src -> page 100     dst -> none
      reclaim: swap the page out
      mover: remap dst <- src; load dst`,
    world: { swap: 2 },
    history: SWAP_CACHE,
    build(world) {
      const { src, dst } = sourceAndDestination(world)
      const { kernel } = world
      const pfn = world.frame(src)
      world.actor('reclaim', 0, (k) => evict(k, kernel, pfn))
      const mover = world.actor('mover', 1, (k) => remapAndLoad(k, world, dst, src))
      return {
        judge: () => expectEqual('I-LIN', 'the moved page', 100, mover.value),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'swap-slot-used-again',
    title: 'A slot that is freed and used again lets a foreign page be described as being at the destination',
    result: 'never',
    refs: ['R40'],
    protections: ['swap-move-recheck'],
    memoryModel: 'sc',
    start: `
      src -> swap entry S     dst -> none     other -> page B
      mover: remap dst <- src
      swapper: store src, which frees S; swap B out, to S; load it; store to it, which frees S; swap out src, to S`,
    world: { swap: 1 },
    history: SWAP_CACHE,
    build(world) {
      const { src, dst } = sourceAndDestination(world)
      const { kernel } = world
      const other = world.map(1)
      world.store(other, 7)
      world.call((k) => evict(k, kernel, world.frame(src)))
      world.actor('mover', 0, (k) => remap(k, world, dst, src))
      world.actor('swapper', 1, (k) => useSlotAgain(k, world, src, other))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'move-of-a-pinned-page',
    title: 'A device writes to a buffer at the source, and the data appear in the guest at the destination',
    result: 'never',
    refs: ['R42', 'R32'],
    protections: ['move-pin-recheck'],
    memoryModel: 'sc',
    start: `
      src -> page 100     dst -> none, registered
      mover: UFFDIO_MOVE dst <- src
      device: pin src, and keep it; write 2 to the frame`,
    world: {},
    build(world) {
      const { kernel, mm } = world
      const { src, dst } = sourceAndDestination(world)
      const uffd = new Userfaultfd(mm, kernel.newId(), 'ioctl')
      world.vma(dst).uffd = uffd
      const mover = world.actor('mover', 0, (k) => moveByUffd(k, uffd, dst, src))
      world.actor('device', 1, (k) => pinAndWrite(k, world, src))
      return {
        judge: () =>
          expectEqual('I-LIN', 'the buffer of the device', 2, world.word(src)) ??
          expectEqual('I-LIN', 'the moved page', mover.value === 0 ? 100 : -1, world.word(dst)),
        outcome: () => `mover=${mover.value}`,
      }
    },
  },
  {
    name: 'remap-of-a-page-shared-through-swap',
    title: 'A page mapped once is moved and written though a child shares it through a swap entry',
    result: 'never',
    refs: ['R83'],
    protections: ['remap-swap-share'],
    memoryModel: 'sc',
    start: `
      parent: src -> page 100, read in from swap slot S     child: src -> swap entry S
      mover: remap dst <- src; if it went, store dst = 2
      child: load src`,
    world: { swap: 2 },
    build(world) {
      const { src, dst } = sourceAndDestination(world, 1, 'src')
      const { kernel } = world
      const child = world.fork()
      world.call((k) => evict(k, kernel, world.frame(src)))
      world.load(src)
      world.actor('mover', 0, (k) => remapAndStore(k, world, dst, src))
      const reader = world.actor('child', 1, (k) => loadWord(k, child, src), child)
      return {
        judge: () => expectEqual('I-LIN', 'what the child loads', 100, reader.value),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'remap-to-an-untouched-area',
    title: 'A page is moved to an area that was never touched, and belongs to no anon_vma',
    result: 'never',
    refs: ['R41'],
    protections: ['remap-dst-anon-vma'],
    memoryModel: 'sc',
    start: `
      src -> page 100     dst0, dst1 -> none: one area, no anon_vma
      mover: remap dst0 <- src
      toucher: store dst1 = 2, which needs an anon_vma too`,
    world: {},
    build(world) {
      const { src, dst } = sourceAndDestination(world, 2)
      const mover = world.actor('mover', 0, (k) => remap(k, world, dst, src))
      world.actor('toucher', 1, (k) => storeOrSignal(k, world.process, dst + 1, 2))
      return {
        judge: () => expectEqual('I-ERR', 'the move', P, mover.value),
        outcome: () => answers(world),
      }
    },
  },
]
