/**
 * Litmus tests of the life of anon_vmas: type-safe slabs, references, the root, and who may free one when.
 * Source: mm/rmap.c; Rik van Riel, "track the root (oldest) anon_vma", 12 May 2010.
 */

import { violate } from '../../base/assert.ts'
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import type { Process } from '../../machine/process.ts'
import { anonVmaUnlockRead } from '../../mm/anon_vma.ts'
import type { Kernel } from '../../mm/kernel.ts'
import { migratePage } from '../../mm/migrate.ts'
import { munmap } from '../../mm/mmap.ts'
import { remapAnonPages } from '../../mm/remap_anon_pages.ts'
import { pageLockAnonVmaRead } from '../../mm/rmap.ts'
import type { Vma } from '../../mm/vma.ts'
import { answers, type Litmus } from '../litmus.ts'
import { contentOf, countMappings, forkChild, sourceAndDestination } from '../scenes.ts'
import { at, P, type World } from '../world.ts'

/** Asks for the anon_vma of the page that only `vma` maps; what it gets must not lead anywhere else. */
function* walkToAnonVma(k: Thread, kernel: Kernel, pfn: number, vma: Vma): Proc<boolean> {
  kernel.pages.get(pfn)
  const av = yield* pageLockAnonVmaRead(k, kernel, pfn)
  if (av !== null) {
    if (av.chains.some((edge) => edge.vma !== vma))
      violate('I-RMAP', `pfn ${pfn} led to anon_vma ${av.index}, which has areas that never mapped it`)
    anonVmaUnlockRead(k, kernel, av)
  }
  kernel.pages.put(pfn)
  return av !== null
}

/** A page of a child, with an anon_vma of the child's below that of the parent. */
function parentAndChild(world: World) {
  const page = world.map(1)
  world.store(page, 1)
  const child = world.fork()
  world.store(page, 2, 0, child)
  return { page, child, pfn: world.frame(page, child.mm) }
}

function* unmapAndStore(k: Thread, world: World, src: number, dst: number): Proc<void> {
  yield* munmap(k, world.mm, at(src), P)
  yield* world.process.writePage(k, dst, contentOf(2))
}

function* unmapAndFork(k: Thread, world: World, src: number): Proc<number> {
  const unmapped = yield* munmap(k, world.mm, at(src), P)
  yield* forkChild(k, world)
  return unmapped
}

function* unmapInBoth(k: Thread, world: World, child: Process, page: number): Proc<number> {
  yield* munmap(k, world.mm, at(page), P)
  return yield* munmap(k, child.mm, at(page), P)
}

function* forkGrandchild(k: Thread, world: World, child: Process): Proc<string> {
  yield* forkChild(k, world, child)
  return 'forked'
}

export const ANON_VMA: readonly Litmus[] = [
  {
    name: 'recycled-anon-vma',
    title: 'A walk takes an anon_vma that was freed and used again for that of its page',
    result: 'never',
    refs: ['R45', 'R47'],
    protections: ['rmap-mapped-recheck', 'anon-vma-free-wait'],
    memoryModel: 'sc',
    start: `
      src -> page 100 (anon_vma A)     dst -> none, no anon_vma yet
      walker: lock the anon_vma of the page
      unmapper: munmap src, which frees A; store dst, which needs an anon_vma and gets A`,
    world: {},
    build(world) {
      const { src, dst } = sourceAndDestination(world)
      const pfn = world.frame(src)
      const area = world.vma(src)
      world.actor('walker', 1, (k) => walkToAnonVma(k, world.kernel, pfn, area))
      world.actor('unmapper', 0, (k) => unmapAndStore(k, world, src, dst))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'root-read-twice',
    title: 'A walk leaves the lock of another root than the one that it took',
    result: 'never',
    refs: [],
    protections: ['rmap-root-once'],
    memoryModel: 'sc',
    start: `
      src -> page 100 (anon_vma A)     dst -> page 7 (anon_vma D)
      walker: page_referenced(page)
      unmapper: munmap src, which frees A; fork, whose child gets A for its dst, below the root D`,
    world: {},
    history: {
      story:
        'The memory of an anon_vma may become another one, with another root, as long as a reader has not found its page still ' +
        'mapped. In 2010 page_lock_anon_vma took the lock of anon_vma->root and left the lock of anon_vma->root, which need ' +
        "not be the same: kernel builds hung after hours, a new anon_vma's lock was taken and nobody held it. In 2011, when " +
        'the lock had become a mutex and the test a count of references, it came back and was mended by reading the root once.',
      sources: [
        'Hugh Dickins, "mm: fix hang on anon_vma->root->lock", August 2010, commit f18194275c39, ' +
          'https://lkml.iu.edu/hypermail/linux/kernel/1008.3/01466.html',
        'Hugh Dickins, "[PATCH] mm: fix page_lock_anon_vma leaving mutex locked", 28 May 2011, ' +
          'alpine.LSU.2.00.1105281317090.13319@sister.anvils',
      ],
    },
    build(world) {
      const { src, dst } = sourceAndDestination(world)
      world.store(dst, 7)
      const pfn = world.frame(src)
      world.actor('walker', 1, (k) => countMappings(k, world.kernel, pfn))
      world.actor('unmapper', 0, (k) => unmapAndFork(k, world, src))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'last-reference-under-the-lock',
    title: 'A walk that drops the last reference of an anon_vma waits for the lock that it holds itself',
    result: 'never',
    refs: ['R46'],
    protections: ['rmap-direct-free'],
    memoryModel: 'sc',
    start: `
      parent: src -> 100 (anon_vma R)     child: src -> 2 (anon_vma C, root R)
      walker: page_referenced(the child's page); the lock is taken, so with a reference
      unmapper: munmap in the child
      mover: remap dst <- src in the parent, which holds the root's lock for a while`,
    world: { cpus: 3 },
    build(world) {
      const { src, dst } = sourceAndDestination(world, 1, 'src')
      const child = world.fork()
      world.store(src, 2, 0, child)
      const pfn = world.frame(src, child.mm)
      world.actor('walker', 1, (k) => countMappings(k, world.kernel, pfn))
      world.actor('unmapper', 0, (k) => munmap(k, child.mm, at(src), P), child)
      world.actor('mover', 2, (k) => remapAnonPages(k, world.mm, at(dst), at(src), P, 0))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'root-of-a-family',
    title: 'A page migration locks the root of an anon_vma when the root is freed already',
    result: 'never',
    refs: ['R43'],
    protections: ['anon-vma-root-ref'],
    memoryModel: 'sc',
    start: `
      parent: page -> 1 (anon_vma R)     child: page -> 2 (anon_vma C, root R)
      migration: migrate_pages(the child's page): a reference on C, then C's lock, which is R's
      unmapper: munmap in the parent, munmap in the child`,
    world: {},
    build(world) {
      const { page, child, pfn } = parentAndChild(world)
      world.kernel.pages.get(pfn)
      world.actor('migration', 1, (k) => migratePage(k, world.kernel, pfn))
      world.actor('unmapper', 0, (k) => unmapInBoth(k, world, child, page))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'fork-under-a-walk',
    title: 'fork links an area into the tree of an anon_vma while a walk goes through it',
    result: 'never',
    refs: ['R44'],
    protections: ['anon-vma-root-lock'],
    memoryModel: 'sc',
    start: `
      parent: page -> 1 (anon_vma R)     child: page -> 2 (anon_vma C, root R)
      walker: page_referenced(the child's page)
      forker: fork of the child: links the grandchild's area into C and R`,
    world: {},
    build(world) {
      const { child, pfn } = parentAndChild(world)
      world.actor('walker', 1, (k) => countMappings(k, world.kernel, pfn))
      world.actor('forker', 0, (k) => forkGrandchild(k, world, child), child)
      return { outcome: () => answers(world) }
    },
  },
]
