/**
 * Litmus tests of pages on their way to swap and back, and of what moves, copies or merges them meanwhile.
 * Source: mm/memory.c, mm/rmap.c, mm/ksm.c, mm/migrate.c.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import type { Process } from '../../machine/process.ts'
import { ksmMerge } from '../../mm/ksm.ts'
import { migratePage } from '../../mm/migrate.ts'
import { munmap } from '../../mm/mmap.ts'
import { pinUserPage, unpin } from '../../mm/pin.ts'
import { answers, expectEqual, type Litmus } from '../litmus.ts'
import {
  evict,
  loadWord,
  readFrame,
  reclaimAgainstStore,
  remapAndStore,
  sourceAndDestination,
  storeOrSignal,
  writeFrame,
} from '../scenes.ts'
import { at, P, type World } from '../world.ts'

/** A device that writes 2 to the page while it has it pinned. */
function* writePinned(k: Thread, { mm, kernel }: World, page: number): Proc<void> {
  const pinned = yield* pinUserPage(k, mm, page, true)
  yield* writeFrame(k, kernel, pinned, 2)
  unpin(kernel, pinned)
}

/** Reads a page through the reference that was taken before it was unmapped. */
function* readUnmapped(k: Thread, { mm, machine: { kernel } }: Process, page: number): Proc<number> {
  const pinned = yield* pinUserPage(k, mm, page, false)
  yield* munmap(k, mm, at(page), P)
  const word = yield* readFrame(k, kernel, pinned)
  unpin(kernel, pinned)
  return word
}

export const SWAP: readonly Litmus[] = [
  {
    name: 'store-to-a-page-with-a-copy',
    title: 'A page that has an old copy in swap is dropped though it was written since',
    result: 'never',
    refs: ['R37'],
    protections: ['unmap-dirty-bit'],
    memoryModel: 'sc',
    start: `
      a -> page 1, read in from swap, where its copy still is
      reclaim: swap the page out; it is written only if it is dirty
      writer: store a = 2`,
    world: { swap: 2 },
    build(world) {
      const a = world.map(1)
      world.store(a, 1)
      world.call((k) => evict(k, world.kernel, world.frame(a)))
      world.load(a)
      return reclaimAgainstStore(world, a)
    },
  },
  {
    name: 'two-faults-on-one-entry',
    title: 'Two threads that fault on one swap entry both map the page and drop the count of its slot',
    result: 'never',
    refs: [],
    protections: ['swapin-pte-recheck'],
    memoryModel: 'sc',
    start: `
      a -> swap entry S, count 1
      reader0: load a     reader1: load a`,
    world: { swap: 2 },
    build(world) {
      const a = world.map(1)
      world.store(a, 1)
      world.call((k) => evict(k, world.kernel, world.frame(a)))
      for (const n of [0, 1]) world.actor(`reader${n}`, n, (k) => loadWord(k, world.process, a))
      return {
        judge: () => expectEqual('I-LIN', 'what both loaded', 2, world.actors.filter((r) => r.value === 1).length),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'remap-of-a-page-being-merged',
    title: 'A page that KSM is merging is moved, made writable, and shared with a stranger',
    result: 'never',
    refs: ['R29'],
    protections: ['remap-page-lock'],
    memoryModel: 'sc',
    start: `
      src -> page 100     dst -> none     a stranger: its page -> another frame, also 100
      ksmd: merge src with the stranger's page
      mover: remap dst <- src; if it went, store dst = 2`,
    world: {},
    build(world) {
      const { kernel } = world
      const { src, dst } = sourceAndDestination(world)
      const stranger = world.newProcess()
      const its = world.map(1, undefined, stranger)
      world.store(its, 100, 0, stranger)
      world.actor('ksmd', 0, (k) => ksmMerge(k, kernel, { mm: world.mm, page: src }, { mm: stranger.mm, page: its }))
      world.actor('mover', 1, (k) => remapAndStore(k, world, dst, src))
      return {
        judge: () => expectEqual('I-LIN', "the stranger's page", 100, world.word(its, stranger.mm)),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'store-during-a-merge',
    title: 'KSM merges two pages one of which is written after they were compared',
    result: 'never',
    refs: [],
    protections: ['ksm-write-protect'],
    memoryModel: 'sc',
    start: `
      a -> page 5     a stranger: b -> page 5
      ksmd: merge a with b
      writer: the stranger stores b = 6`,
    world: {},
    build(world) {
      const { kernel } = world
      const a = world.map(1)
      world.store(a, 5)
      const stranger = world.newProcess()
      const b = world.map(1, undefined, stranger)
      world.store(b, 5, 1, stranger)
      world.actor('ksmd', 0, (k) => ksmMerge(k, kernel, { mm: world.mm, page: a }, { mm: stranger.mm, page: b }))
      world.actor('writer', 1, (k) => storeOrSignal(k, stranger, b, 6), stranger)
      return {
        judge: () =>
          expectEqual('I-LIN', "the stranger's page", 6, world.word(b, stranger.mm)) ??
          expectEqual('I-LIN', 'the other page', 5, world.word(a)),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'migration-of-a-pinned-page',
    title: 'A device goes on writing to the frame that a migrated page has left',
    result: 'never',
    refs: [],
    protections: ['migrate-refcount'],
    memoryModel: 'sc',
    start: `
      a -> page 1
      migration: move the page to another frame
      device: pin a; write 2 to the frame; unpin`,
    world: {},
    build(world) {
      const { kernel } = world
      const a = world.map(1)
      world.store(a, 1)
      const pfn = world.frame(a)
      kernel.pages.get(pfn)
      const migration = world.actor('migration', 0, (k) => migratePage(k, kernel, pfn))
      world.actor('device', 1, (k) => writePinned(k, world, a))
      return {
        judge: () => expectEqual('I-LIN', 'the page', 2, world.word(a)),
        outcome: () => `migrated=${Number(migration.value) > 0}`,
      }
    },
  },
  {
    name: 'copy-on-write-and-a-reference',
    title: 'A child that kept a reference on a page reads what its parent stores after the child has unmapped it',
    result: 'never',
    refs: [],
    protections: ['cow-references'],
    memoryModel: 'sc',
    start: `
      parent: a -> page 1, read-only     child: a -> the same page, read-only
      child: pin a for loads; munmap a; read the pinned frame
      parent: store a = 2`,
    world: {},
    history: {
      story:
        'After fork a store may take the page over without a copy if nobody else has it. "Nobody else" was for years: it is ' +
        'mapped once. A child that took a reference with vmsplice and unmapped the page was not counted: the parent took the ' +
        "page over, and the child read the parent's secrets from the pipe. Jann Horn reported it; 5.7.3 made whoever takes a " +
        'reference for reading copy the page first, and 5.9 made the store ask for references, not for mappings.',
      sources: [
        'CVE-2020-29374',
        'Jann Horn, https://bugs.chromium.org/p/project-zero/issues/detail?id=2045',
        'Linus Torvalds, commits 17839856fd58 ("gup: document and work around "COW can break either way" issue") and ' +
          '09854ba94c6a ("mm: do_wp_page() simplification"), 2020',
      ],
    },
    build(world) {
      const a = world.map(1)
      world.store(a, 1)
      const child = world.fork()
      const reader = world.actor('child', 1, (k) => readUnmapped(k, child, a), child)
      world.actor('parent', 0, (k) => storeOrSignal(k, world.process, a, 2))
      return {
        judge: () => expectEqual('I-LIN', 'what the child reads', 1, reader.value),
        outcome: () => answers(world),
      }
    },
  },
]
