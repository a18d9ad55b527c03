/**
 * Litmus tests of walks of the reverse map against remap_anon_pages, which changes under them what they go by.
 *
 * The walker is reclaim's question whether a page was used: it has a reference on the page and not its lock.
 * Source: Andrea Arcangeli, "rmap preparation for remap_anon_pages", 6 May 2013; UFFDIO_MOVE, 6.8.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import { munmap } from '../../mm/mmap.ts'
import { answers, expectEqual, type Litmus, type Scene } from '../litmus.ts'
import { countMappings, remap, sourceAndDestination } from '../scenes.ts'
import { type Actor, at, P, type World } from '../world.ts'

/** A walk while the page is moved, and its old area perhaps unmapped. The page is mapped once at any time. */
function walkDuringMove(world: World, unmaps: boolean): { walker: Actor<number>; scene: Scene } {
  const { src, dst } = sourceAndDestination(world)
  const pfn = world.frame(src)
  const walker = world.actor('walker', 1, (k) => countMappings(k, world.kernel, pfn))
  world.actor('mover', 0, (k) => (unmaps ? remapAndUnmap(k, world, dst, src) : remap(k, world, dst, src)))
  return { walker, scene: { outcome: () => answers(world) } }
}

function* remapAndUnmap(k: Thread, world: World, dst: number, src: number): Proc<number> {
  const moved = yield* remap(k, world, dst, src)
  yield* munmap(k, world.mm, at(src), P)
  return moved
}

/** The same, and the walk must find that mapping. */
function walkMustFind(world: World, unmaps: boolean): Scene {
  const { walker, scene } = walkDuringMove(world, unmaps)
  return { ...scene, judge: () => expectEqual('I-RMAP', 'mappings that the walk found', 1, walker.value) }
}

const START = `
      src -> page 100 (anon_vma A, index a)     dst -> none (anon_vma B, index b)
      mover: remap dst <- src`

export const RMAP: readonly Litmus[] = [
  {
    name: 'walk-after-remap',
    title: 'A walk of the reverse map searches an anon_vma that the page has left',
    result: 'never',
    refs: ['R26'],
    protections: ['rmap-mapping-recheck'],
    memoryModel: 'sc',
    start: `${START}
      walker: page_referenced(page), without the page lock`,
    world: {},
    build: (world) => walkMustFind(world, false),
  },
  {
    name: 'remap-under-a-walk',
    title: 'A page is moved while a walk of the reverse map looks for its mapping',
    result: 'never',
    refs: ['R30', 'R38'],
    protections: ['remap-anon-vma-lock', 'remap-index'],
    memoryModel: 'sc',
    start: `${START}
      walker: page_referenced(page), without the page lock`,
    world: {},
    build: (world) => walkMustFind(world, false),
  },
  {
    name: 'walk-after-remap-and-unmap',
    title: 'A walk of the reverse map locks an anon_vma that is freed already',
    result: 'never',
    refs: ['R27'],
    protections: ['rmap-mapping-recheck'],
    memoryModel: 'sc',
    start: `${START}; munmap src
      walker: page_referenced(page), without the page lock`,
    world: {},
    build: (world) => walkDuringMove(world, true).scene,
  },
  {
    name: 'walk-gives-up-on-a-moved-page',
    title: 'A walk finds the old anon_vma of a moved page on its way to the allocator, and gives up on the page',
    result: 'sometimes',
    breaks: 'I-RMAP',
    refs: ['R27'],
    protections: [],
    memoryModel: 'sc',
    start: `${START}; munmap src
      walker: page_referenced(page); cannot get the lock at once, and finds the count of A at zero`,
    world: {},
    build: (world) => walkMustFind(world, true),
  },
  {
    name: 'recheck-on-the-slow-path-only',
    title: 'The walk of the patch of 2013 searches an anon_vma that the page has left, if it need not sleep for the lock',
    result: 'sometimes',
    refs: ['R27'],
    protections: [],
    memoryModel: 'sc',
    start: `${START}; munmap src
      walker: page_referenced(page); reads mapping again only where it had to sleep`,
    world: { variants: { rmapRecheck: 'slow-path' } },
    breaks: 'I-RMAP',
    history: {
      story:
        'To make page->mapping change under mapped pages, the patches for remap_anon_pages made page_lock_anon_vma_read read ' +
        'it again once it has the lock. As posted in May 2013 it does so only where it had to sleep: where the lock is free at ' +
        'once, it trusts that a page still mapped still belongs to the anon_vma it read, which was true before pages could ' +
        'move. When UFFDIO_MOVE brought the idea into mainline (6.8), the commit said that mapping must be checked again ' +
        'whenever the lock was taken, and both paths do.',
      sources: [
        'Andrea Arcangeli, "[PATCH 2/4] mm: rmap preparation for remap_anon_pages", 6 May 2013',
        'Andrea Arcangeli, Suren Baghdasaryan, "[PATCH v4 1/5] mm/rmap: support move to different root anon_vma in ' +
          'folio_move_anon_rmap()", October 2023, https://lkml.iu.edu/hypermail/linux/kernel/2310.3/07363.html',
      ],
    },
    build: (world) => walkDuringMove(world, true).scene,
  },
]
