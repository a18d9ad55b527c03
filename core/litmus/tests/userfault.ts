/**
 * Litmus tests of sleeping on a missing page and being woken: no order of the two loses the wake-up.
 * Source: fs/userfaultfd.c.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import { sys, UFFD_MSG_BYTES, UFFDIO_WRITEPROTECT_MODE_WP, type Userfaultfd } from '../../machine/syscall.ts'
import { migratePage } from '../../mm/migrate.ts'
import { expectEqual, type Litmus } from '../litmus.ts'
import { loadWord } from '../scenes.ts'
import { isPresent, MISSING, openUffd, register, WP, watched } from '../uffd_scenes.ts'
import { at, P, type World } from '../world.ts'

const MISSING_PAGE = `
      dst -> none, registered     src -> page 100`

function* placeAndMigrate(k: Thread, world: World, uffd: Userfaultfd, dst: number, src: number): Proc<number> {
  const { kernel } = world
  yield* sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0)
  const pfn = world.frame(dst)
  // Whoever migrates a page has taken it off its list first, with a reference.
  kernel.pages.get(pfn)
  return yield* migratePage(k, kernel, pfn)
}

/** Registers a page and its neighbour, and places the page if pagemap says that it is missing. */
function* registerAndPlaceMissing(
  k: Thread,
  world: World,
  uffd: Userfaultfd,
  page: number,
  src: number,
): Proc<number | 'there before'> {
  yield* sys.uffdioRegister(k, uffd, at(page), 2 * P, MISSING)
  if (yield* isPresent(k, world, page)) return 'there before'
  return (yield* sys.uffdioCopy(k, world.process, uffd, at(page), at(src), P, 0)).ret
}

function* readAndPlace(k: Thread, world: World, uffd: Userfaultfd, dst: number, src: number): Proc<void> {
  yield* sys.uffdRead(k, uffd, UFFD_MSG_BYTES)
  yield* sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0)
}

/** What two loads of a protected page found. */
function* protectAndLoadTwice(k: Thread, world: World, uffd: Userfaultfd, page: number): Proc<string> {
  yield* sys.uffdioWriteprotect(k, uffd, at(page), P, UFFDIO_WRITEPROTECT_MODE_WP)
  const first = yield* loadWord(k, world.process, page)
  const second = yield* loadWord(k, world.process, page)
  yield* sys.uffdioWriteprotect(k, uffd, at(page), P, 0)
  return `${first} ${second}`
}

export const USERFAULT: readonly Litmus[] = [
  {
    name: 'fault-against-placing',
    title: 'A thread sleeps on a page that was placed while it went to sleep',
    result: 'never',
    refs: ['R50', 'R52', 'R55'],
    protections: ['uffd-must-wait', 'uffd-place-before-wake', 'uffd-waiter-removal'],
    memoryModel: 'sc',
    start: `${MISSING_PAGE}
      toucher: load dst           placer: UFFDIO_COPY dst <- src`,
    history: {
      story:
        'In the first versions of 2015 a page that was placed while somebody went to sleep on it woke nobody: user code had to notice, and QEMU kept three states a page and a mutex for it. Patch 17 of the series of May 2015 moved the answer into the kernel: whoever has queued itself looks at the page table once more before it sleeps.',
      sources: [
        'linux-mm, 14 May 2015, [PATCH 17/23] userfaultfd: solve the race between UFFDIO_COPY|ZEROPAGE and read, <1431624680-20153-18-git-send-email-aarcange@redhat.com>',
      ],
    },
    world: {},
    build(world) {
      const { uffd, src, dst } = watched(world)
      const toucher = world.actor('toucher', 0, (k) => sys.load(k, world.process, at(dst)))
      const placer = world.actor('placer', 1, (k) => sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0))
      return {
        judge: () => expectEqual('I-LIN', 'what the toucher loads', 100, toucher.value?.value),
        outcome: () => `toucher=${toucher.value?.value} placer=${placer.value?.ret}`,
      }
    },
  },
  {
    name: 'fault-against-migration',
    title: 'A thread sleeps on a page that is there, and only on its way to another frame',
    result: 'never',
    refs: ['R52'],
    protections: ['uffd-must-wait-entries'],
    memoryModel: 'sc',
    start: `${MISSING_PAGE}
      toucher: load dst           placer: UFFDIO_COPY dst <- src, then page migration of dst`,
    history: {
      story:
        'The second look of a fault asks whether the page is still missing. When huge pages became migratable it took everything that is not present for missing, an entry of page migration too: the thread went to sleep on a page that had been placed, and that nobody would wake it for. Huang Ying found it in November 2017. That was the entry of a huge page; here it is that of a small one.',
      sources: [
        'a365ac09d334 ("mm, userfaultfd, THP: avoid waiting when PMD under THP migration")',
        'linux-mm, 7 December 2017, <20171207011752.3292-1-ying.huang@intel.com>',
      ],
    },
    world: {},
    build(world) {
      const { uffd, src, dst } = watched(world)
      const toucher = world.actor('toucher', 0, (k) => sys.load(k, world.process, at(dst)))
      world.actor('placer', 1, (k) => placeAndMigrate(k, world, uffd, dst, src))
      return {
        judge: () => expectEqual('I-LIN', 'what the toucher loads', 100, toucher.value?.value),
        outcome: () => `toucher=${toucher.value?.value}`,
      }
    },
  },
  {
    name: 'fault-against-register',
    title: 'A fault that began before the registration maps zeros after it',
    result: 'never',
    refs: ['R23'],
    protections: ['uffd-register-seq', 'spec-seq-recheck'],
    memoryModel: 'sc',
    start: `
      page -> none, its neighbour written; src -> page 100
      toucher: load page, without mmap_lock
      manager: UFFDIO_REGISTER page; if pagemap says that it is missing, UFFDIO_COPY page <- src`,
    world: { faultPath: 'speculative' },
    build(world) {
      const page = world.map(2)
      world.store(page + 1, 7)
      const src = world.map(1)
      world.store(src, 100)
      const uffd = openUffd(world)
      const toucher = world.actor('toucher', 0, (k) => sys.load(k, world.process, at(page)))
      const manager = world.actor('manager', 1, (k) => registerAndPlaceMissing(k, world, uffd, page, src))
      return {
        judge: () =>
          manager.value === 'there before' ? null : expectEqual('I-ZERO', 'UFFDIO_COPY to a missing page', 0, manager.value),
        outcome: () => `toucher=${toucher.value?.value} manager=${manager.value}`,
      }
    },
  },
  {
    name: 'fault-against-read',
    title: 'A reader goes to sleep while the fault that it waits for comes in',
    result: 'never',
    refs: [],
    protections: ['uffd-read-parks-first'],
    memoryModel: 'sc',
    start: `${MISSING_PAGE}
      toucher: load dst           manager: read(uffd), which may sleep, then UFFDIO_COPY dst <- src`,
    world: {},
    build(world) {
      const src = world.map(1)
      world.store(src, 100)
      const dst = world.map(1)
      const uffd = openUffd(world, 0, 0)
      register(world, uffd, dst)
      const toucher = world.actor('toucher', 0, (k) => sys.load(k, world.process, at(dst)))
      world.actor('manager', 1, (k) => readAndPlace(k, world, uffd, dst, src))
      return {
        judge: () => expectEqual('I-LIN', 'what the toucher loads', 100, toucher.value?.value),
        outcome: () => `toucher=${toucher.value?.value}`,
      }
    },
  },
  {
    name: 'fault-against-unregister',
    title: 'A thread sleeps on a missing page that nobody watches any longer',
    result: 'never',
    refs: [],
    protections: ['uffd-unregister-wake'],
    memoryModel: 'sc',
    start: `
      page -> none, registered
      toucher: load page          manager: UFFDIO_UNREGISTER page`,
    history: {
      story:
        'When userfaultfd learned to watch a process that does not know of it, faults could still come in while the manager gave a range up: it read them, could not resolve them any longer, and the threads slept for ever. Since Linux 4.11 UFFDIO_UNREGISTER wakes them itself, with mmap_sem held for writing, so that none comes after.',
      sources: [
        'linux-mm, 16 December 2016, [PATCH 15/42] userfaultfd: non-cooperative: wake userfaults after UFFDIO_UNREGISTER, <20161216144821.5183-16-aarcange@redhat.com>',
      ],
    },
    world: {},
    build(world) {
      const { uffd, dst } = watched(world)
      const toucher = world.actor('toucher', 0, (k) => sys.load(k, world.process, at(dst)))
      world.actor('manager', 1, (k) => sys.uffdioUnregister(k, uffd, at(dst), P))
      return {
        judge: () => expectEqual('I-LIN', 'what the toucher loads', 0, toucher.value?.value),
        outcome: () => `toucher=${toucher.value?.value}`,
      }
    },
  },
  {
    name: 'fault-against-close',
    title: 'A thread sleeps on a page of a manager that is gone',
    result: 'never',
    refs: [],
    protections: ['uffd-close-wake'],
    memoryModel: 'sc',
    start: `
      page -> none, registered
      toucher: load page          manager: close(uffd)`,
    world: {},
    build(world) {
      const { uffd, dst } = watched(world)
      const toucher = world.actor('toucher', 0, (k) => sys.load(k, world.process, at(dst)))
      world.actor('manager', 1, (k) => sys.close(k, uffd))
      return {
        judge: () => expectEqual('I-LIN', 'what the toucher loads', 0, toucher.value?.value),
        outcome: () => `toucher=${toucher.value?.value}`,
      }
    },
  },
  {
    name: 'store-beside-writeprotect',
    title: 'A page changes while it is write-protected',
    result: 'never',
    refs: [],
    protections: ['uffd-wp-flush'],
    memoryModel: 'sc',
    start: `
      page -> 100, registered for write protection, in the writer's TLB with the right to store
      writer: store 200 to page   saver: UFFDIO_WRITEPROTECT page, two loads of it, and off again`,
    world: {},
    build(world) {
      const page = world.map(1)
      world.store(page, 100)
      const uffd = openUffd(world)
      register(world, uffd, page, 1, WP)
      world.actor('writer', 0, (k) => sys.store(k, world.process, at(page), 200))
      const saver = world.actor('saver', 1, (k) => protectAndLoadTwice(k, world, uffd, page))
      return {
        judge: () => {
          const [first, second] = (saver.value ?? '').split(' ')
          return expectEqual('I-TLB', 'the second look at a page that is protected', first, second)
        },
        outcome: () => `saver=${saver.value}`,
      }
    },
  },
  {
    name: 'refile-against-wake',
    title: 'A wake-up comes while a reader moves the sleeper from queue to queue, and wakes nobody',
    result: 'never',
    refs: ['R53'],
    protections: ['uffd-refile-seq'],
    memoryModel: 'sc',
    start: `${MISSING_PAGE}
      toucher: load dst           placer: UFFDIO_COPY dst <- src
      reader: read(uffd)`,
    history: {
      story:
        'read(2) takes a sleeper off the queue of faults that nobody has read and puts it on the other one. The waker looks at both without a lock, and for that moment both looked empty. Found and mended before the release of 4.3: a sequence count makes the waker look again.',
      sources: [
        'linux-mm, 8 July 2015, [PATCH 4/5] userfaultfd: avoid missing wakeups during refile in userfaultfd_read, <1436352608-8455-5-git-send-email-aarcange@redhat.com>',
      ],
    },
    world: { cpus: 3 },
    build(world) {
      const { uffd, src, dst } = watched(world)
      const toucher = world.actor('toucher', 0, (k) => sys.load(k, world.process, at(dst)))
      world.actor('placer', 1, (k) => sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0))
      const reader = world.actor('reader', 2, (k) => sys.uffdRead(k, uffd, 32))
      return {
        judge: () => expectEqual('I-LIN', 'what the toucher loads', 100, toucher.value?.value),
        outcome: () => `toucher=${toucher.value?.value} read=${reader.value?.ret}`,
      }
    },
  },
]
