/**
 * Layout events: fork, mremap, madvise and munmap tell the descriptor what became of its areas, and wait until it was read.
 *
 *   prologue  under map_changing_lock for writing: mmap_changing up. From here on resolving calls answer EAGAIN.
 *   event     queued; the mutator sleeps, without mmap_lock, until it was read, the descriptor closed, or a fatal signal came
 *   epilogue  mmap_changing down
 *
 * REMOVE is sent before the pages go and mmap_changing falls before they go, too: reading it does not mean that they are
 * gone (R74). FORK, REMAP and UNMAP are sent after the fact. Without the feature the new or moved area just loses its
 * registration, and an unmapped one says nothing.
 *
 * Source: fs/userfaultfd.c.
 * @kernel userfaultfd_event_wait_completion, dup_userfaultfd, mremap_userfaultfd_prep, userfaultfd_remove,
 * userfaultfd_unmap_prep
 */
import { fail } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { addressOf, type Mm } from './mm.ts'
import {
  UFFD_EVENT_FORK,
  UFFD_EVENT_REMAP,
  UFFD_EVENT_REMOVE,
  UFFD_EVENT_UNMAP,
  UFFD_FEATURE,
  type UffdMessage,
} from './uffd_abi.ts'
import { releaseAll } from './uffd_register.ts'
import { type EventWaiter, Userfaultfd } from './userfaultfd.ts'
import { VM_UFFD_FLAGS, type Vma } from './vma.ts'

/** Prologue. */
function* beginChange(k: Thread, uffd: Userfaultfd): Proc<void> {
  yield* uffd.mapChangingLock.downWrite(k)
  if (k.stepping) yield write(uffd.id, 'uffd.mmap_changing')
  uffd.mmapChanging++
  uffd.mapChangingLock.upWrite(k)
}

/** Queues the event and sleeps until it is over. @kernel userfaultfd_event_wait_completion */
function* waitCompletion(k: Thread, uffd: Userfaultfd, message: UffdMessage): Proc<void> {
  const sender: EventWaiter = { task: k, message, done: false }
  yield* uffd.eventLock.lock(k)
  uffd.event.add(sender)
  for (;;) {
    k.park('a layout event to be read')
    touch(uffd.id, 'uffd.released', AccessMode.read)
    if (sender.done || uffd.released || k.fatalSignal) break
    uffd.eventLock.unlock(k)
    yield* uffd.wakeReaders(k)
    yield* k.block()
    yield* uffd.eventLock.lock(k)
  }
  k.unpark()
  const unread = uffd.event.remove(sender)
  uffd.eventLock.unlock(k)
  // Nobody will ever have the child's descriptor: the child goes on without.
  const orphaned = unread && message.event === UFFD_EVENT_FORK
  if (orphaned && uffd.mm.kernel.has('uffd-fork-unread')) yield* releaseAll(k, message.ufd.mm, message.ufd)
  if (k.stepping) yield write(uffd.id, 'uffd.mmap_changing')
  uffd.mmapChanging--
  if (uffd.mmapChanging < 0) fail(`mmap_changing ${uffd.mmapChanging} < 0`)
}

/** A child's descriptor that is to be announced. @kernel userfaultfd_fork_ctx */
export interface ForkEvent {
  readonly original: Userfaultfd
  readonly child: Userfaultfd
}

/**
 * A child's area: registered with a descriptor of the child's own, one for each of the parent's, or with none.
 * @kernel dup_userfaultfd
 */
export function* dupUserfaultfd(k: Thread, copy: Vma, childMm: Mm, events: ForkEvent[]): Proc<void> {
  const original = copy.uffd
  if (original === null || !original.wants(UFFD_FEATURE.EVENT_FORK)) {
    copy.uffd = null
    copy.flags &= ~VM_UFFD_FLAGS
    return
  }
  let event = events.find((e) => e.original === original)
  if (event === undefined) {
    const child = new Userfaultfd(childMm, childMm.kernel.newId(), original.protocol, original.flags)
    child.features = original.features
    child.initialized = true
    yield* beginChange(k, original)
    event = { original, child }
    events.push(event)
  }
  copy.uffd = event.child
}

/** After the address space was copied and mmap_lock dropped. @kernel dup_userfaultfd_complete */
export function* dupComplete(k: Thread, events: readonly ForkEvent[]): Proc<void> {
  for (const { original, child } of events) yield* waitCompletion(k, original, { event: UFFD_EVENT_FORK, ufd: child })
}

/** The moved area keeps its registration if its descriptor wants to know; answers whom to tell. @kernel mremap_userfaultfd_prep */
export function* mremapPrep(k: Thread, moved: Vma): Proc<Userfaultfd | null> {
  const { uffd } = moved
  if (uffd?.wants(UFFD_FEATURE.EVENT_REMAP)) {
    yield* beginChange(k, uffd)
    return uffd
  }
  moved.uffd = null
  moved.flags &= ~VM_UFFD_FLAGS
  return null
}

/** @kernel mremap_userfaultfd_complete */
export function* mremapComplete(k: Thread, uffd: Userfaultfd | null, from: number, to: number, length: number): Proc<void> {
  if (uffd === null) return
  yield* waitCompletion(k, uffd, { event: UFFD_EVENT_REMAP, from: addressOf(from), to: addressOf(to), len: length * 4096 })
}

/**
 * Pages [start, end) of the area are about to go. True: nothing was said and mmap_lock is still held. False: it was dropped
 * for the wait, and the caller must take it and look the area up again. @kernel userfaultfd_remove
 */
export function* userfaultfdRemove(k: Thread, mm: Mm, vma: Vma, start: number, end: number): Proc<boolean> {
  const { uffd } = vma
  if (!uffd?.wants(UFFD_FEATURE.EVENT_REMOVE)) return true
  yield* beginChange(k, uffd)
  mm.mmapLock.upRead(k)
  yield* waitCompletion(k, uffd, { event: UFFD_EVENT_REMOVE, start: addressOf(start), end: addressOf(end) })
  return false
}

/** An unmapped range of one descriptor. @kernel userfaultfd_unmap_ctx */
export interface UnmapEvent {
  readonly uffd: Userfaultfd
  readonly start: number
  readonly end: number
}

/** [start, end) is being unmapped, and this area is in it; one event a descriptor. @kernel userfaultfd_unmap_prep */
export function* unmapPrep(k: Thread, vma: Vma, start: number, end: number, events: UnmapEvent[]): Proc<void> {
  const { uffd } = vma
  if (!uffd?.wants(UFFD_FEATURE.EVENT_UNMAP)) return
  if (events.some((e) => e.uffd === uffd && e.start === start && e.end === end)) return
  yield* beginChange(k, uffd)
  events.push({ uffd, start, end })
}

/** After mmap_lock was dropped. @kernel userfaultfd_unmap_complete */
export function* unmapComplete(k: Thread, events: readonly UnmapEvent[]): Proc<void> {
  for (const { uffd, start, end } of events) {
    yield* waitCompletion(k, uffd, { event: UFFD_EVENT_UNMAP, start: addressOf(start), end: addressOf(end) })
  }
}
