/**
 * Litmus tests of what an area keeps alive, and for how long: its file, its policy, itself; and of write sections that end or
 * begin where they must not.
 * Source: Peter Zijlstra, "VMA sequence count" and "SRCU free VMAs", RFC of 20 Oct 2014; Laurent Dufour, v12, 16 Apr 2019.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import { MPOL_BIND, mbind } from '../../mm/mempolicy.ts'
import { munmap } from '../../mm/mmap.ts'
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, mmap } from '../../mm/mmap_call.ts'
import { mprotect, PROT_READ, PROT_WRITE } from '../../mm/mprotect.ts'
import { MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, mremap } from '../../mm/mremap.ts'
import { handlePageFault } from '../../mm/page_fault.ts'
import { OpenFile, putInode, ShmemInode } from '../../mm/shmem.ts'
import { unmount } from '../../mm/vma_lifetime.ts'
import { answers, expectEqual, type Litmus } from '../litmus.ts'
import { emptied, storeAgainstMunmap, toucher } from '../scenes.ts'
import { at, P, type World } from '../world.ts'

const V12 = { faultPath: 'speculative' } as const
const RFC = { faultPath: 'speculative-2014' } as const

/** A page of a file behind an area, mapped and closed again: the area alone keeps the file. */
function fileMapped(world: World, page: number): ShmemInode {
  const { kernel, mm } = world
  const inode = new ShmemInode(kernel.newId(), 1)
  const file = new OpenFile(inode, 'file', true)
  const request = { address: at(page), length: P, prot: PROT_READ, flags: MAP_SHARED | MAP_FIXED, file, offset: 0 }
  world.call((k) => mmap(k, mm, request))
  putInode(kernel, inode)
  return inode
}

/** A page of anonymous memory at a place of one's own. */
const anonymousAt = (page: number) => ({
  address: at(page),
  length: P,
  prot: PROT_READ | PROT_WRITE,
  flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
  file: null,
  offset: 0,
})

function* unmapAndUnmount(k: Thread, world: World, page: number, inode: ShmemInode): Proc<number> {
  yield* munmap(k, world.mm, at(page), P)
  return yield* unmount(k, world.kernel, [inode])
}

function* touchTwice(k: Thread, { mm }: World, page: number): Proc<string> {
  const first = yield* handlePageFault(k, mm, page, true)
  return `${first},${yield* handlePageFault(k, mm, page, true)}`
}

export const VMA_LIFETIME: readonly Litmus[] = [
  {
    name: 'walk-of-a-table-that-goes',
    title: 'A page table is freed in the middle of a walk without any lock',
    result: 'never',
    refs: ['R15'],
    protections: ['spec-irq-off'],
    memoryModel: 'sc',
    start: `
      area [a, a+1), a table there for it alone, no page
      toucher: store a            unmapper: munmap a, which frees the table`,
    world: V12,
    build: (world) => storeAgainstMunmap(world, false),
  },
  {
    name: 'table-for-an-area-that-goes',
    title: 'A page table is allocated for an area whose tables have just been freed, and stays',
    result: 'never',
    refs: ['R17'],
    protections: ['spec-no-table'],
    memoryModel: 'sc',
    start: `
      area [a, a+600): a table for its first pages, none for its last
      toucher: store a+599        unmapper: munmap all of it`,
    world: { ...V12, windowPages: 1024 },
    build(world) {
      const a = emptied(world, 600)
      toucher(world, a + 599)
      world.actor('unmapper', 1, (k) => munmap(k, world.mm, at(a), 600 * P))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'fault-on-a-file-that-goes',
    title: 'A fault asks a file for its page after the last reference on it was put; or the file keeps its mount busy for ever',
    result: 'never',
    refs: ['R07'],
    protections: ['vma-deferred-fput', 'umount-srcu-barrier'],
    memoryModel: 'sc',
    start: `
      area [f, f+1) of a file that is open nowhere else; a table there, no page
      toucher: load f             unmapper: munmap f; umount`,
    world: RFC,
    build(world) {
      const f = emptied(world, 1) + 1
      const inode = fileMapped(world, f)
      world.actor('toucher', 0, (k) => handlePageFault(k, world.mm, f, false))
      const unmapper = world.actor('unmapper', 1, (k) => unmapAndUnmount(k, world, f, inode))
      return {
        judge: () => expectEqual('I-ERR', 'umount when nothing is mapped any longer', 0, unmapper.value),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'fault-under-a-policy-that-goes',
    title: 'A fault goes by a policy that was freed',
    result: 'never',
    refs: ['R08'],
    protections: ['vma-deferred-policy'],
    memoryModel: 'sc',
    start: `
      area [a, a+1) with a policy of its own, its table there for a neighbour's sake, no page
      toucher: store a            unmapper: munmap a`,
    world: RFC,
    build(world) {
      const a = emptied(world, 1, true)
      world.call((k) => mbind(k, world.mm, at(a), P, MPOL_BIND))
      toucher(world, a)
      world.actor('unmapper', 1, (k) => munmap(k, world.mm, at(a), P))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'look-up-in-the-cache',
    title: 'A look-up without mmap_lock answers with an area that was freed, because another one had left it in the cache',
    result: 'never',
    refs: ['R24'],
    protections: ['lockless-no-cache'],
    memoryModel: 'sc',
    start: `
      area [a, a+1), its table there for a neighbour's sake, no page
      toucher: store a, twice     unmapper: munmap a`,
    world: RFC,
    build(world) {
      const a = emptied(world, 1, true)
      world.actor('toucher', 0, (k) => touchTwice(k, world, a))
      world.actor('unmapper', 1, (k) => munmap(k, world.mm, at(a), P))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'fault-against-a-merge',
    title: 'A merge ends the write section of an area that it has freed, or begins one where there is none',
    result: 'never',
    refs: ['R22'],
    protections: ['vma-seq-end-before-free', 'vma-seq-null-next'],
    memoryModel: 'sc',
    start: `
      areas [a, a+1) writable and [a+1, a+2) read-only; nothing behind them
      toucher: store a            protector: mprotect a+1, PROT_READ|PROT_WRITE, which makes one area of the two`,
    world: RFC,
    history: {
      story:
        'The sequence count of 2014 came with a patch of vma_adjust that wrote the count of the next area around a merge. As ' +
        'posted, it ended that section after the merge had freed the area (the slab may have given it to somebody else, whose ' +
        'count is odd from then on, R22), and went on to the area after it without asking whether there is one. Laurent ' +
        'Dufour took the patch over; his version 12 leaves the count of a swallowed area odd and asks.',
      sources: [
        'Peter Zijlstra, "[RFC][PATCH 3/6] mm: VMA sequence count", 20 Oct 2014',
        'Laurent Dufour, "[PATCH v12 09/31] mm: VMA sequence count", 16 Apr 2019, 20190416134522.17540-10-ldufour@linux.ibm.com',
      ],
    },
    build(world) {
      const a = emptied(world, 2)
      world.call((k) => mprotect(k, world.mm, at(a + 1), P, PROT_READ))
      toucher(world, a)
      world.actor('protector', 1, (k) => mprotect(k, world.mm, at(a + 1), P, PROT_READ | PROT_WRITE))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'mremap-onto-a-neighbour',
    title: 'A count is even in the middle of a change, because one thread began two write sections on one area',
    result: 'never',
    refs: ['R11'],
    protections: ['vma-seq-once'],
    memoryModel: 'sc',
    start: `
      area [c, c+1); area [a, a+1) elsewhere, never touched; one table
      toucher: store c            mover: mremap c+1 <- a (DONTUNMAP), which merges with [c, c+1)`,
    world: V12,
    build(world) {
      const c = emptied(world, 1)
      const a = c + 4
      world.call((k) => mmap(k, world.mm, anonymousAt(a)))
      toucher(world, c)
      world.actor('mover', 1, (k) =>
        mremap(k, world.mm, at(a), P, P, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, at(c + 1)),
      )
      return {
        judge: () => expectEqual('I-ERR', 'areas', 2, world.mm.tree.count),
        outcome: () => answers(world),
      }
    },
  },
]
