/**
 * Litmus tests of huge pages against remap_anon_pages: a split that goes by an old mapping, and the deposited page table.
 * Source: Andrea Arcangeli, "rmap preparation for remap_anon_pages", 6 May 2013; remap_anon_pages, 2014.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import { HUGE_PAGES } from '../../hw/pte.ts'
import { splitHugePage } from '../../mm/huge_split.ts'
import type { Kernel } from '../../mm/kernel.ts'
import { MADV_DONTFORK, MADV_DONTNEED, MADV_HUGEPAGE, madvise } from '../../mm/madvise.ts'
import { remapAnonPages } from '../../mm/remap_anon_pages.ts'
import { answers, type Litmus } from '../litmus.ts'
import { at, P, RW, type World } from '../world.ts'

const H = HUGE_PAGES

/** An area of 2 MiB at a multiple of `align` pages, mapped at once, and an empty one of the same size. */
function hugeSourceAndDestination(world: World, align = H): { src: number; dst: number } {
  const src = world.map(H, RW, world.process, H)
  world.call((k) => madvise(k, world.mm, at(src), H * P, MADV_HUGEPAGE))
  world.call((k) => madvise(k, world.mm, at(src), H * P, MADV_DONTFORK))
  world.store(src, 100)
  return { src, dst: world.map(H, RW, world.process, align) }
}

/** Splits with a reference of its own on the page. */
function* splitReferenced(k: Thread, kernel: Kernel, head: number): Proc<boolean> {
  kernel.pages.get(head)
  const split = yield* splitHugePage(k, kernel, head)
  kernel.pages.put(head)
  return split
}

export const HUGE: readonly Litmus[] = [
  {
    name: 'split-after-remap',
    title: 'A huge page is split by the areas of an anon_vma that it has left, under the PMD that maps it elsewhere',
    result: 'never',
    refs: ['R28'],
    protections: ['split-mapping-recheck'],
    memoryModel: 'sc',
    start: `
      src -> huge page (anon_vma A)     dst -> none (anon_vma B)
      splitter: split_huge_page(page), with a reference and no lock
      mover: remap dst <- src, 2 MiB by one PMD`,
    world: { hugePages: 1, windowPages: 4 * H },
    history: {
      story:
        'Until 4.5 a huge page was split without the page lock: split_huge_page took a reference on the anon_vma that ' +
        'page->mapping named, locked it, and marked every PMD that it found from there. The preparation for remap_anon_pages ' +
        'made it a loop: mapping is read again under the lock, and if it has changed, all is done again. Without the loop the ' +
        'walk can find no PMD at all, where the count of mappings says one.',
      sources: ['Andrea Arcangeli, "[PATCH 2/4] mm: rmap preparation for remap_anon_pages", 6 May 2013'],
    },
    build(world) {
      const { kernel, mm } = world
      const { src, dst } = hugeSourceAndDestination(world)
      const head = world.frame(src)
      world.actor('splitter', 0, (k) => splitReferenced(k, kernel, head))
      const mover = world.actor('mover', 1, (k) => remapAnonPages(k, mm, at(dst), at(src), H * P, 0))
      // A signal is pending: the call ends after its first step, 2 MiB or the first small page.
      mover.thread.fatalSignal = true
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'deposit-left-behind',
    title: 'A huge page is moved to another PMD table and the page table for its split stays behind',
    result: 'never',
    refs: ['R48'],
    protections: ['remap-deposit-move'],
    memoryModel: 'sc',
    start: `
      src -> huge page, one table deposited     dst, 1 GiB away -> none
      mover: remap dst <- src
      zapper: MADV_DONTNEED of the first page of dst, which splits whatever maps it`,
    world: { hugePages: 1, windowPages: (1 << 18) + H },
    build(world) {
      const { mm } = world
      const { src, dst } = hugeSourceAndDestination(world, 1 << 18)
      world.actor('mover', 0, (k) => remapAnonPages(k, mm, at(dst), at(src), H * P, 0))
      world.actor('zapper', 1, (k) => madvise(k, mm, at(dst), P, MADV_DONTNEED))
      return { outcome: () => answers(world) }
    },
  },
]
