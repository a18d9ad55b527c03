/**
 * Litmus tests of khugepaged beside userfaultfd: a hole in watched memory is a page that is still to come, and no zeros. And beside a
 * fault without mmap_lock, which is on its way to a page table that is about to be replaced.
 * Source: mm/khugepaged.c.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import { HUGE_PAGES } from '../../hw/pte.ts'
import { MADV_DONTNEED, MADV_HUGEPAGE, MADV_NOHUGEPAGE, sys, type Userfaultfd } from '../../machine/syscall.ts'
import { scanAndCollapse } from '../../mm/khugepaged.ts'
import { answers, expectEqual, type Litmus } from '../litmus.ts'
import { toucher } from '../scenes.ts'
import { MISSING, openUffd } from '../uffd_scenes.ts'
import { at, P, type World } from '../world.ts'

const BYTES = HUGE_PAGES * P
const WORLD = { hugePages: 1, windowPages: 3 * HUGE_PAGES }

/** 2 MiB, aligned, that may become a huge page, of which the first `written` pages are there. Answers the first. */
function smallPages(world: World, written: number): number {
  // What else is mapped keeps away from it.
  const room = world.map(2 * HUGE_PAGES)
  const first = Math.ceil(room / HUGE_PAGES) * HUGE_PAGES
  for (let i = 0; i < written; i++) world.store(first + i, 100 + i)
  world.call((k) => sys.madvise(k, world.process, at(first), BYTES, MADV_HUGEPAGE))
  return first
}

/** Answers whether the second page is missing afterwards: a huge page that was made before has no holes. */
function* registerAndLook(k: Thread, world: World, uffd: Userfaultfd, first: number): Proc<boolean> {
  yield* sys.uffdioRegister(k, uffd, at(first), BYTES, MISSING)
  return world.frame(first + 1) < 0
}

function* discardAndRegister(k: Thread, world: World, uffd: Userfaultfd, first: number): Proc<number> {
  if (world.kernel.has('user-no-huge-pages')) yield* sys.madvise(k, world.process, at(first), BYTES, MADV_NOHUGEPAGE)
  yield* sys.madvise(k, world.process, at(first + 1), P, MADV_DONTNEED)
  return (yield* sys.uffdioRegister(k, uffd, at(first), BYTES, MISSING)).ret
}

export const COLLAPSE: readonly Litmus[] = [
  {
    name: 'collapse-of-a-hole',
    title: 'A page that is still to come reads as zeros',
    result: 'never',
    refs: ['R68'],
    protections: ['khugepaged-userfault', 'khugepaged-userfault-recheck'],
    memoryModel: 'sc',
    start: `
      2 MiB: page 0 -> 100, pages 1 to 511 -> none
      khugepaged: scan and collapse               manager: UFFDIO_REGISTER all of it`,
    history: {
      story:
        'khugepaged makes one huge page of 512 small ones and fills holes with zeros, as a program that never touched them expects. A program whose pages come from elsewhere does not: the page that was to be sent would read as zeros. The series of 2015 therefore kept khugepaged away from holes in watched memory, and asked again when the pages are isolated, because the area may have been registered after the scan.',
      sources: [
        'linux-mm, 14 May 2015, [PATCH 09/23] userfaultfd: prevent khugepaged to merge if userfaultfd is armed, <1431624680-20153-10-git-send-email-aarcange@redhat.com>',
      ],
    },
    world: WORLD,
    build(world) {
      const first = smallPages(world, 1)
      const uffd = openUffd(world)
      const collapser = world.actor('khugepaged', 0, (k) => scanAndCollapse(k, world.mm, first))
      const manager = world.actor('manager', 1, (k) => registerAndLook(k, world, uffd, first))
      return {
        judge: () =>
          manager.value ? expectEqual('I-ZERO', 'the frame of a page still to come', -1, world.frame(first + 1)) : null,
        outcome: () => `khugepaged=${collapser.value} missing=${manager.value}`,
      }
    },
  },
  {
    name: 'collapse-of-a-discarded-page',
    title: 'A page that was discarded, to be sent again, reads as zeros',
    result: 'never',
    refs: ['R67'],
    protections: ['user-no-huge-pages'],
    memoryModel: 'sc',
    start: `
      2 MiB: pages 0 and 1 -> 100, 101, the others -> none
      khugepaged: scan and collapse
      manager: MADV_NOHUGEPAGE, MADV_DONTNEED page 1, UFFDIO_REGISTER`,
    world: WORLD,
    build(world) {
      const first = smallPages(world, 2)
      const uffd = openUffd(world)
      world.actor('khugepaged', 0, (k) => scanAndCollapse(k, world.mm, first))
      world.actor('manager', 1, (k) => discardAndRegister(k, world, uffd, first))
      return {
        judge: () => expectEqual('I-ZERO', 'the frame of the discarded page', -1, world.frame(first + 1)),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'collapse-under-a-fault',
    title: 'A page is mapped in a page table that a huge page has replaced',
    result: 'never',
    refs: ['R16'],
    protections: ['spec-pmd-compare'],
    memoryModel: 'sc',
    start: `
      2 MiB: page 0 -> 100, pages 1 to 511 -> none
      toucher: store page 1, as in 2014           khugepaged: scan and collapse`,
    world: { ...WORLD, faultPath: 'speculative-2014' },
    history: {
      story:
        'The RFC of 2014 gave up on huge pages where it found one, but a collapse was no change that it counted: a fault that had walked ' +
        'to the old page table would have locked it and put its page there. Version 12 marks the area as changing during a collapse, and ' +
        'compares the PMD with interrupts off before it tries the lock: "to ensure that there is not a huge collapse operation in progress".',
      sources: [
        'Laurent Dufour, "[PATCH v12 22/31] mm: provide speculative fault infrastructure", 16 Apr 2019, ' +
          '20190416134522.17540-23-ldufour@linux.ibm.com',
      ],
    },
    build(world) {
      const first = smallPages(world, 1)
      toucher(world, first + 1)
      world.actor('khugepaged', 1, (k) => scanAndCollapse(k, world.mm, first))
      return { outcome: () => answers(world) }
    },
  },
]
