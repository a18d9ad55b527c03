/**
 * Litmus tests of memory barriers: what is clean only because stores or loads are kept in order (core/sync/weak_memory.ts).
 *
 * In sequentially consistent memory no barrier is missed. Each test names the weakest memory in which it is clean. The first has no
 * barrier to leave out: it is the same race with every store and load in order.
 * Source: Peter Zijlstra, "VMA sequence count", 20 Oct 2014; Laurent Dufour, v12 09/31, 16 Apr 2019; fs/userfaultfd.c.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import { sys } from '../../machine/syscall.ts'
import { splitAt } from '../../mm/mmap.ts'
import { answers, expectEqual, type Litmus } from '../litmus.ts'
import { emptied, storeAgainstMprotect, storeAgainstMunmap, toucher } from '../scenes.ts'
import { watched } from '../uffd_scenes.ts'
import { at, P, type World } from '../world.ts'

const V12 = { faultPath: 'speculative' } as const

/** A store to the second page of an area while its first page is cut off: the rest starts a page later, and so does its index. */
function storeAgainstSplit(world: World): void {
  const a = emptied(world, 2)
  toucher(world, a + 1)
  world.actor('splitter', 1, (k) => cutOffFirst(k, world, a))
}

function* cutOffFirst(k: Thread, world: World, a: number): Proc<number> {
  yield* world.mm.mmapLock.downWrite(k)
  yield* splitAt(k, world.mm, world.vma(a), a + 1, a + 2)
  world.mm.mmapLock.upWrite(k)
  return 0
}

const SPLIT = `
      area [a, a+2), its table there, no page
      toucher: store a+1          splitter: split the area at a+1 (its vm_start and vm_pgoff go up by one)`

export const BARRIERS: readonly Litmus[] = [
  {
    name: 'fault-against-split',
    title: 'A page gets an index that is made of the old bounds of its area and the new ones',
    result: 'never',
    refs: ['R10'],
    protections: ['spec-odd-check', 'spec-index-snapshot'],
    memoryModel: 'sc',
    start: SPLIT,
    history: {
      story:
        'v12 of the speculative page faults knew that a split may come after the last look at the count: "the vma->vm_start and vm->vm_end fields may not match the address", and dropped the check of the bounds from the function that describes a new page. But that function goes on to compute the index of the page from vm_start and vm_pgoff, which a split changes one after the other without the PTE lock.',
      sources: ['linux-mm, 16 April 2019, [PATCH v12 17/31] mm: introduce __page_add_new_anon_rmap()'],
    },
    world: V12,
    build(world) {
      storeAgainstSplit(world)
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'fault-against-split-pso',
    title: 'A page gets such an index because the new bounds were visible before the odd count',
    result: 'never',
    refs: ['R12'],
    protections: ['seq-begin-wmb'],
    memoryModel: 'pso',
    start: SPLIT,
    world: V12,
    build(world) {
      storeAgainstSplit(world)
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'fault-against-split-rl',
    title: 'A page gets such an index because its bounds were loaded before the count',
    result: 'never',
    refs: ['R13'],
    protections: ['seq-rmb'],
    memoryModel: 'pso+rl',
    start: SPLIT,
    world: V12,
    build(world) {
      storeAgainstSplit(world)
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'fault-against-mprotect-pso',
    title: 'A page is writable in a read-only area: the new count was visible before the new rights',
    result: 'never',
    refs: ['R12'],
    protections: ['seq-end-wmb'],
    memoryModel: 'pso+rl',
    start: `
      area [a, a+1) writable, its table there, no page
      toucher: store a            protector: mprotect a, PROT_READ`,
    world: V12,
    build: storeAgainstMprotect,
  },
  {
    name: 'dead-mark-in-a-store-buffer',
    title: 'A page is mapped where an area was: the mark of its death was still in a store buffer',
    result: 'never',
    refs: ['R09'],
    protections: ['spec-dead-check'],
    memoryModel: 'pso',
    start: `
      area [a, a+1), its table there for a neighbour's sake, no page
      toucher: store a            unmapper: munmap a`,
    world: { faultPath: 'speculative-2014' },
    build: (world) => storeAgainstMunmap(world, true),
  },
  {
    name: 'fault-against-placing-tso',
    title: 'A thread sleeps on a page whose placer looked for waiters before the thread was seen to wait',
    result: 'never',
    refs: ['R54'],
    protections: ['uffd-sleep-mb'],
    memoryModel: 'tso',
    start: `
      dst -> none, registered     src -> page 100
      toucher: queue itself, look at dst          placer: UFFDIO_COPY dst <- src, look at the queue`,
    world: { variants: { mustWaitLook: 'lockless' } },
    build: placing,
  },
  {
    name: 'fault-against-placing-pso',
    title: 'A thread sleeps on a page whose placer looked for waiters before the page was seen to be there',
    result: 'never',
    refs: ['R54'],
    protections: ['uffd-wake-mb', 'uffd-sleep-mb'],
    memoryModel: 'pso',
    start: `
      dst -> none, registered     src -> page 100
      toucher: queue itself, look at dst          placer: UFFDIO_COPY dst <- src, look at the queue`,
    history: {
      story:
        'When userfaultfd was posted for the second last time, in May 2015, wake_userfault asked waitqueue_active without a barrier. Linus Torvalds objected that nearly every such use is a bug; Andrea Arcangeli found that neither leaving the PTE lock nor up_read keeps that look behind the store of the PTE, so that a wake-up could be lost, and put smp_mb in front of it. The waiter had its barrier already, in set_current_state. On x86 up_read happens to be a locked instruction, which is why tso does not show it.',
      sources: [
        'linux-mm, 15 May 2015, Re: [PATCH 10/23] userfaultfd: add new syscall to provide memory externalization, <20150515160426.GD19097@redhat.com>',
      ],
    },
    world: { variants: { mustWaitLook: 'lockless' } },
    build: placing,
  },
]

function placing(world: World) {
  const { uffd, src, dst } = watched(world)
  const loader = world.actor('toucher', 0, (k) => sys.load(k, world.process, at(dst)))
  const placer = world.actor('placer', 1, (k) => sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0))
  return {
    judge: () => expectEqual('I-LIN', 'what the toucher loads', 100, loader.value?.value),
    outcome: () => `toucher=${loader.value?.value} placer=${placer.value?.ret}`,
  }
}
