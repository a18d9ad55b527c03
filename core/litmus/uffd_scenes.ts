/**
 * What the litmus tests of userfaultfd have in common: watched pages at the start, and a manager that reads messages.
 *
 * Only calls that user code would make. A loop that asks again and again is a wait here: on a gate that says what it waits for.
 */
import { assert } from '../base/assert.ts'
import { type Gate, NOTHING, type Proc, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ptePresent } from '../hw/pte.ts'
import { O_NONBLOCK, sys, UFFD_API, UFFD_MSG_BYTES, type UffdMessage, type Userfaultfd } from '../machine/syscall.ts'
import { type Actor, at, P, type World } from './world.ts'

export const MISSING = 1
export const WP = 2

/** A descriptor of the process, after its handshake; unless told otherwise a read of it never sleeps, as where it is polled. */
export function openUffd(world: World, features = 0, flags = O_NONBLOCK): Userfaultfd {
  const uffd = sys.userfaultfd(world.process, flags)
  assert(typeof uffd !== 'number', `userfaultfd answered ${String(uffd)}`)
  const { ret } = sys.uffdioApi(world.process, uffd, UFFD_API, features)
  assert(ret === 0, `UFFDIO_API answered ${ret}`)
  return uffd
}

export function register(world: World, uffd: Userfaultfd, page: number, pages = 1, mode = MISSING): void {
  const { ret } = world.call((k) => sys.uffdioRegister(k, uffd, at(page), pages * P, mode))
  assert(ret === 0, `UFFDIO_REGISTER answered ${ret}`)
}

export interface Watched {
  readonly uffd: Userfaultfd
  /** A written page, which holds 100, to copy from. */
  readonly src: number
  /** First page of a registered area in which nothing is present. */
  readonly dst: number
}

/** A page to copy from, and `pages` missing pages that a descriptor watches. */
export function watched(world: World, pages = 1, features = 0): Watched {
  const src = world.map(1)
  world.store(src, 100)
  const dst = world.map(pages)
  const uffd = openUffd(world, features)
  register(world, uffd, dst, pages)
  return { uffd, src, dst }
}

/** What /proc/self/pagemap says of a page; it looks under the PTE lock. */
export function* isPresent(k: Thread, { mm, kernel }: World, page: number): Proc<boolean> {
  const slot = mm.table.walk(page)
  const lock = kernel.pteLock(slot)
  yield* lock.lock(k)
  const present = ptePresent(kernel.tables.get(slot))
  lock.unlock(k)
  return present
}

/**
 * What a manager does after EAGAIN: reads what there is to read until the layout stands still. Stands for a loop that asks
 * again and again.
 */
export function* settle(k: Thread, uffd: Userfaultfd): Proc<void> {
  const gate: Gate = {
    opens: () => uffd.mmapChanging === 0 || uffd.event.entries.length > 0,
    describe: () => 'a layout event to read',
    holder: () => null,
    also: [{ object: uffd.id, label: uffd.event.label }],
  }
  for (;;) {
    yield { ...read(uffd.id, 'uffd.mmap_changing'), gate }
    if (!uffd.isChanging) return
    yield* sys.uffdRead(k, uffd, UFFD_MSG_BYTES)
  }
}

/**
 * What a manager does with its time: reads messages as they come and answers each, until `clients` are done. Stands for a loop
 * over poll(2).
 */
export function* serve(
  k: Thread,
  uffd: Userfaultfd,
  clients: readonly Actor[],
  answer: (message: UffdMessage) => Proc<unknown> = () => NOTHING,
): Proc<void> {
  const areDone = () => clients.every((client) => client.done)
  const gate: Gate = {
    opens: () => uffd.pending.entries.length > 0 || uffd.event.entries.length > 0 || areDone(),
    describe: () => 'a userfault message to read',
    holder: () => null,
    also: [
      { object: uffd.id, label: uffd.pending.label },
      { object: uffd.id, label: uffd.event.label },
      ...clients.map(({ thread }) => ({ object: thread.id, label: 'task' })),
    ],
  }
  for (;;) {
    yield { ...read(uffd.id, 'poll'), gate }
    if (areDone()) return
    for (const message of (yield* sys.uffdRead(k, uffd, UFFD_MSG_BYTES)).messages) yield* answer(message)
  }
}
