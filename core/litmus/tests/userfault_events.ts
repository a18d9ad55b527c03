/**
 * Litmus tests of layout events: what a manager may conclude from having read that memory moved, went or was copied.
 * Source: fs/userfaultfd.c.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import {
  ERRNO,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  sys,
  UFFD_EVENT_FORK,
  UFFD_EVENT_PAGEFAULT,
  UFFD_EVENT_REMOVE,
  UFFD_FEATURE,
  type UffdMessage,
  type Userfaultfd,
} from '../../machine/syscall.ts'
import { MADV_DONTNEED } from '../../mm/madvise.ts'
import { answers, expectEqual, type Litmus } from '../litmus.ts'
import { forkChild } from '../scenes.ts'
import { openUffd, register, serve, settle, watched } from '../uffd_scenes.ts'
import { type Actor, at, P, type World } from '../world.ts'

/** A manager that places a page, and then reads what there is to read until `client` is done. */
function* copyAndServe(k: Thread, world: World, uffd: Userfaultfd, dst: number, src: number, client: Actor): Proc<number> {
  const { ret } = yield* sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0)
  yield* serve(k, uffd, [client])
  return ret
}

function* dropAndLoad(k: Thread, world: World, page: number): Proc<number> {
  yield* sys.madvise(k, world.process, at(page), P, MADV_DONTNEED)
  return (yield* sys.load(k, world.process, at(page))).value
}

/** Zeros in place of a page that was removed; `placed` keeps what the kernel said of them. */
function* placeZeros(
  k: Thread,
  world: World,
  message: UffdMessage,
  uffd: Userfaultfd,
  page: number,
  placed: { answer: number },
): Proc<void> {
  if (message.event === UFFD_EVENT_REMOVE) {
    while (placed.answer === ERRNO.EAGAIN) {
      placed.answer = (yield* sys.uffdioZeropage(k, uffd, at(page), P, 0)).ret
      if (placed.answer === ERRNO.EAGAIN) yield* settle(k, uffd)
    }
  }
  // One that trusts its map knows this page to be zero and in its place: EEXIST said so.
  const trusts = !world.kernel.has('user-resolve-on-fault')
  if (message.event === UFFD_EVENT_PAGEFAULT && !trusts) yield* sys.uffdioZeropage(k, uffd, at(page), P, 0)
}

/** A guest that forks, and goes on as its child. */
function* forkAndLoad(k: Thread, world: World, page: number): Proc<number> {
  const child = yield* forkChild(k, world)
  child.adopt(k)
  return (yield* sys.load(k, child, at(page))).value
}

function* placeInChild(k: Thread, world: World, message: UffdMessage, dst: number, src: number): Proc<void> {
  if (message.event === UFFD_EVENT_FORK) yield* sys.uffdioCopy(k, world.process, message.ufd, at(dst), at(src), P, 0)
}

export const USERFAULT_EVENTS: readonly Litmus[] = [
  {
    name: 'copy-against-mremap',
    title: 'A page is placed at an address that means something else by now',
    result: 'never',
    refs: ['R72'],
    protections: ['uffd-mmap-changing'],
    memoryModel: 'sc',
    start: `
      dst, other -> none, both registered         src -> page 100, the content of dst
      mutator: mremap other to dst                manager: UFFDIO_COPY dst <- src, then read(uffd)`,
    history: {
      story:
        'A manager of a process that does not know of it fills pages while that process forks, moves or drops memory. Until 4.18 UFFDIO_COPY could come before or after the change, and the manager had no way to tell which. Since then the calls that fill pages answer EAGAIN from the moment the change begins until its event was read.',
      sources: [
        'df2cc96e7701 ("userfaultfd: prevent non-cooperative events vs mcopy_atomic races")',
        '0496a59745b0 ("userfaultfd: ensure mremap_userfaultfd_fail() releases mmap_changing"), a fix of it in 2026',
      ],
    },
    world: {},
    build(world) {
      const dst = world.map(1)
      const src = world.map(1)
      const other = world.map(1)
      world.store(src, 100)
      const uffd = openUffd(world, UFFD_FEATURE.EVENT_REMAP)
      for (const page of [dst, other]) register(world, uffd, page)
      const flags = MREMAP_MAYMOVE | MREMAP_FIXED
      const mutator = world.actor('mutator', 0, (k) => sys.mremap(k, world.process, at(other), P, P, flags, at(dst)))
      const manager = world.actor('manager', 1, (k) => copyAndServe(k, world, uffd, dst, src, mutator))
      return {
        judge: () => expectEqual('I-DATA', 'the frame where another object is now', -1, world.frame(dst)),
        outcome: () => `manager=${manager.value}`,
      }
    },
  },
  {
    name: 'remove-is-not-removed',
    title: 'ZEROPAGE finds the page still there after its removal was read',
    result: 'sometimes',
    refs: ['R74'],
    protections: ['user-resolve-on-fault'],
    memoryModel: 'sc',
    start: `
      page -> 100, registered
      guest: MADV_DONTNEED page, load page
      manager: at REMOVE: UFFDIO_ZEROPAGE page until it is not EAGAIN; at a fault: UFFDIO_ZEROPAGE page`,
    world: {},
    build(world) {
      const page = world.map(1)
      world.store(page, 100)
      const uffd = openUffd(world, UFFD_FEATURE.EVENT_REMOVE)
      register(world, uffd, page)
      const placed = { answer: ERRNO.EAGAIN as number }
      const guest = world.actor('guest', 0, (k) => dropAndLoad(k, world, page))
      world.actor('manager', 1, (k) => serve(k, uffd, [guest], (message) => placeZeros(k, world, message, uffd, page, placed)))
      return {
        judge: () => expectEqual('I-LIN', 'what the guest loads', 0, guest.value),
        outcome: () => `zeropage=${placed.answer}`,
      }
    },
  },
  {
    name: 'remove-event-against-munmap',
    title: 'MADV_DONTNEED goes on with an area that was unmapped while its event waited to be read',
    result: 'never',
    refs: [],
    protections: ['madvise-revalidate'],
    memoryModel: 'sc',
    start: `
      page -> 100, registered
      remover: MADV_DONTNEED page                 manager: read(uffd), munmap page`,
    history: {
      story:
        'The REMOVE event came with Linux 4.11, and with it a place where madvise drops mmap_sem to wait until the event is read. MADV_DONTNEED went on with the area it had looked up before. Andrea Arcangeli sent the fix in March 2017, before 4.11 was released: the area is looked up again.',
      sources: [
        '70ccb92fdd90 ("userfaultfd: non-cooperative: userfaultfd_remove revalidate vma in MADV_DONTNEED")',
        'linux-mm, 2 March 2017, <20170302173738.18994-3-aarcange@redhat.com>',
      ],
    },
    world: {},
    build(world) {
      const page = world.map(1)
      world.store(page, 100)
      const uffd = openUffd(world, UFFD_FEATURE.EVENT_REMOVE)
      register(world, uffd, page)
      const remover = world.actor('remover', 0, (k) => sys.madvise(k, world.process, at(page), P, MADV_DONTNEED))
      world.actor('manager', 1, (k) => serve(k, uffd, [remover], () => sys.munmap(k, world.process, at(page), P)))
      return { outcome: () => answers(world) }
    },
  },
  {
    name: 'copy-against-dontneed',
    title: 'A page that was dropped is back, with what it held before',
    result: 'never',
    refs: ['R73'],
    protections: ['uffd-remove-before-zap'],
    memoryModel: 'sc',
    start: `
      dst -> none, registered     src -> page 100
      guest: MADV_DONTNEED dst    manager: UFFDIO_COPY dst <- src, then read(uffd)`,
    history: {
      story:
        'The first patches of the event for MADV_DONTNEED sent it after the pages had gone. UFFDIO_COPY runs under mmap_sem for reading as MADV_DONTNEED does, so a page could be filled between the two, by a manager that could not know. Before the event was merged for Linux 4.11 the order was turned: tell, wait, drop.',
      sources: [
        'linux-mm, 16 December 2016, [PATCH 14/42] userfaultfd: non-cooperative: avoid MADV_DONTNEED race condition, <20161216144821.5183-15-aarcange@redhat.com>',
      ],
    },
    world: {},
    build(world) {
      const { uffd, src, dst } = watched(world, 1, UFFD_FEATURE.EVENT_REMOVE)
      const guest = world.actor('guest', 0, (k) => sys.madvise(k, world.process, at(dst), P, MADV_DONTNEED))
      const manager = world.actor('manager', 1, (k) => copyAndServe(k, world, uffd, dst, src, guest))
      return {
        // The manager copied before it read of the removal: the page must be gone.
        judge: () => expectEqual('I-LIN', 'the frame of the page that was dropped', -1, world.frame(dst)),
        outcome: () => `manager=${manager.value}`,
      }
    },
  },
  {
    name: 'fork-against-close',
    title: 'A child sleeps on a page that no manager can hear of',
    result: 'never',
    refs: [],
    protections: ['uffd-fork-unread'],
    memoryModel: 'sc',
    start: `
      page -> none, registered, with EVENT_FORK
      guest: fork; its child: load page           manager: close(uffd), nothing read`,
    history: {
      story:
        'fork gives the child a descriptor of its own and waits until the manager has read it. If the manager closes instead, nobody ever will: the kernel freed the descriptor, and the areas of the child went on pointing to it. Fuzzers found uses after free in 2017; it took three fixes until the count, the pointer and the flags of the areas were all undone.',
      sources: [
        '384632e67e08 ("userfaultfd: non-cooperative: fix fork use after free"), CVE-2017-15126',
        'linux-mm, 23 December 2017, [PATCH 1/1] userfaultfd: clear the vma->vm_userfaultfd_ctx if UFFD_EVENT_FORK fails, <20171223002505.593-2-aarcange@redhat.com>',
      ],
    },
    world: {},
    build(world) {
      const { uffd, dst } = watched(world, 1, UFFD_FEATURE.EVENT_FORK)
      const guest = world.actor('guest', 0, (k) => forkAndLoad(k, world, dst))
      world.actor('manager', 1, (k) => sys.close(k, uffd))
      return {
        judge: () => expectEqual('I-LIN', 'what the child loads', 0, guest.value),
        outcome: () => `guest=${guest.value}`,
      }
    },
  },
  {
    name: 'fork-without-event',
    title: 'A child reads zeros where its parent waits for a page',
    result: 'never',
    refs: ['R76'],
    protections: ['user-fork-event'],
    memoryModel: 'sc',
    start: `
      dst -> none, registered     src -> page 100
      guest: fork; its child: load dst            manager: UFFDIO_COPY dst <- src through the child's descriptor`,
    world: {},
    build(world) {
      const { uffd, src, dst } = watched(world, 1, world.kernel.has('user-fork-event') ? UFFD_FEATURE.EVENT_FORK : 0)
      const guest = world.actor('guest', 0, (k) => forkAndLoad(k, world, dst))
      world.actor('manager', 1, (k) => serve(k, uffd, [guest], (message) => placeInChild(k, world, message, dst, src)))
      return {
        judge: () => expectEqual('I-ZERO', 'what the child loads', 100, guest.value),
        outcome: () => `guest=${guest.value}`,
      }
    },
  },
]
