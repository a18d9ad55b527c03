/**
 * Litmus tests of page faults under the lock of one area, which mainline took instead of speculation (6.4 and later).
 * Source: mm/memory.c; include/linux/mmap_lock.h; Suren Baghdasaryan, "per-VMA locks", 2023.
 */
import { MPOL_BIND, MPOL_DEFAULT, mbind } from '../../mm/mempolicy.ts'
import { mprotect, PROT_READ, PROT_WRITE } from '../../mm/mprotect.ts'
import { answers, type Litmus } from '../litmus.ts'
import { emptied, storeAgainstMprotect, storeAgainstMunmap, storeDuringFork, toucher } from '../scenes.ts'
import { at, P } from '../world.ts'

const AREA_LOCK = { faultPath: 'vma-lock' } as const

export const VMA_LOCK: readonly Litmus[] = [
  {
    name: 'area-lock-against-munmap',
    title: 'A page is mapped, under the lock of its area, into an area that munmap has taken away',
    result: 'never',
    refs: ['R01', 'R04', 'R06'],
    protections: ['vma-write-lock', 'vma-lock-second-look', 'vma-lock-recheck', 'vma-deferred-free'],
    memoryModel: 'sc',
    start: `
      area [a, a+1), its table there, no page
      toucher: store a            unmapper: munmap a`,
    world: AREA_LOCK,
    build: (world) => storeAgainstMunmap(world, false),
  },
  {
    name: 'area-lock-against-mprotect',
    title: 'A page mapped under the lock of its area stays writable after mprotect has made the area read-only',
    result: 'never',
    refs: ['R02'],
    protections: ['vma-write-lock', 'vma-lock-second-look'],
    memoryModel: 'sc',
    start: `
      area [a, a+1) writable, its table there, no page
      toucher: store a            protector: mprotect a, PROT_READ`,
    world: AREA_LOCK,
    build: storeAgainstMprotect,
  },
  {
    name: 'area-lock-against-a-merge',
    title: 'A fault under the lock of its area maps a page into an area that a merge has swallowed',
    result: 'never',
    refs: ['R21'],
    protections: ['vma-merge-next'],
    memoryModel: 'sc',
    start: `
      areas [a, a+1) read-only and [a+1, a+2) writable; one table, no page
      toucher: store a+1          protector: mprotect a, PROT_READ|PROT_WRITE: it swallows [a+1, a+2)`,
    world: AREA_LOCK,
    history: {
      story:
        'mprotect of one area can make its neighbour disappear, which nobody asked to change. Each design has to mark that neighbour too: ' +
        'the sequence counts of 2014 and v12 open a write section on it, the locks of areas write-lock whatever takes part in a merge. ' +
        'With sequence counts the section is not all: a fault asks besides whether its area is still in the tree, and without the section ' +
        'every interleaving of this scene stays clean. With locks of areas nothing makes up for it.',
      sources: [
        'Laurent Dufour, "[PATCH v12 09/31] mm: VMA sequence count", 16 Apr 2019, 20190416134522.17540-10-ldufour@linux.ibm.com',
        'e8f071350ea5 ("mm/mmap: write-lock VMAs in vma_prepare before modifying them"), 2023',
      ],
    },
    build(world) {
      const a = emptied(world, 2)
      world.call((k) => mprotect(k, world.mm, at(a), P, PROT_READ))
      toucher(world, a + 1)
      world.actor('protector', 1, (k) => mprotect(k, world.mm, at(a), P, PROT_READ | PROT_WRITE))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'area-lock-against-fork',
    title: 'A store through an old TLB entry is lost, because its page was copied under the lock of its area during fork',
    result: 'never',
    refs: ['R20'],
    protections: ['fork-seq'],
    memoryModel: 'sc',
    start: `
      a -> page of 1, writable, in the TLB of CPU 2
      forker: fork                toucher: store fault on a          writer: store 7 to a`,
    world: { ...AREA_LOCK, cpus: 3 },
    history: {
      story:
        'Linux 6.4 handled page faults under the lock of the area alone, while fork held mmap_lock alone. fork takes the right to ' +
        'store from each page that it shares and flushes the TLBs of the parent at the end; a fault in between copied a page for ' +
        'the parent, and another thread went on storing to the old one through its TLB. Multi-threaded programs that fork found ' +
        'their memory corrupted. Per-VMA locks were switched off until fork write-locked the areas of the parent first. ' +
        'Speculative faults had met the same race years before: copy-during-fork.',
      sources: [
        'commit fb49c455323f ("fork: lock VMAs of the parent process when forking"), July 2023',
        'Suren Baghdasaryan, "[PATCH v3 1/2] fork: lock VMAs of the parent process when forking", 5 July 2023, ' +
          '20230705171213.2843068-2-surenb@google.com',
        'https://bugzilla.kernel.org/show_bug.cgi?id=217624',
      ],
    },
    build: storeDuringFork,
  },
  {
    name: 'area-lock-against-mbind',
    title: 'A fault under the lock of its area goes by a policy that mbind has replaced and freed',
    result: 'never',
    refs: [],
    protections: ['mbind-area-lock'],
    memoryModel: 'sc',
    start: `
      area [a, a+1) with a policy; its table there, no page
      toucher: store a            binder: mbind a, MPOL_DEFAULT`,
    world: AREA_LOCK,
    history: {
      story:
        'mbind replaced and freed the policy of an area with mmap_lock held for writing. From 6.4 on a page fault reads that ' +
        'policy under the lock of the area alone, and so after it was freed: CVE-2023-4611, found by Jann Horn. Since ' +
        'then mbind write-locks the areas first.',
      sources: ['commit 6c21e066f925 ("mm/mempolicy: Take VMA lock before replacing policy"), July 2023', 'CVE-2023-4611'],
    },
    build(world) {
      const a = emptied(world, 1)
      world.call((k) => mbind(k, world.mm, at(a), P, MPOL_BIND))
      toucher(world, a)
      world.actor('binder', 1, (k) => mbind(k, world.mm, at(a), P, MPOL_DEFAULT))
      return { outcome: () => answers(world) }
    },
  },
]
