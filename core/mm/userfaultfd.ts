/**
 * userfaultfd: the context behind one descriptor. Who waits for what, and what keeps it still.
 *
 *     pending  faults that nobody has read      fault   faults that were read and not yet woken
 *     event    layout events and their senders  fd      readers and pollers of the descriptor
 *
 * Locks, from outer to inner: the fd queue, then pending, then fault; the fd queue, then event. `refileSeq` is odd while a
 * fault is between pending and fault, so that a look at both queues without a lock can tell. `mapChangingLock` is held for
 * reading by the calls that place pages, and for writing by who counts `mmapChanging` up.
 *
 * The rest by concept: uffd_api.ts (handshake), uffd_register.ts, uffd_fault.ts (going to sleep), uffd_wake.ts,
 * uffd_read.ts (read and poll), uffd_events.ts (fork, mremap, madvise, munmap), mfill_atomic.ts, uffd_wp.ts, uffd_move.ts
 * (resolving), userfaultfd_2014.ts (the protocol of 2014 over the same queues).
 *
 * Source: fs/userfaultfd.c.
 * @kernel userfaultfd_ctx, SYSCALL_DEFINE1(userfaultfd)
 */
import { violate } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Gate, NOTHING, type Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { CacheLine } from '../sync/cache_line.ts'
import { QueuedSpinlock } from '../sync/queued_spinlock.ts'
import { Rwsem } from '../sync/rwsem.ts'
import type { Spinlock } from '../sync/spinlock.ts'
import { WaitQueue } from '../sync/wait_queue.ts'
import { ERRNO } from './errno.ts'
import type { Mm } from './mm.ts'
import { O_CLOEXEC, O_NONBLOCK, UFFD_FEATURE, UFFD_USER_MODE_ONLY, type UffdMessage } from './uffd_abi.ts'

/** One thread that sleeps on a page. @kernel userfaultfd_wait_queue */
export interface UserfaultWaiter {
  readonly task: Thread
  readonly page: number
  readonly store: boolean
  readonly message: UffdMessage
  /** Whoever wakes it takes it off its queue and says so here. @kernel waken */
  woken: boolean
  /** The thread went on: the entry was on its stack. */
  gone: boolean
  readonly uffd: Userfaultfd
  /** One of the modes of registration, as an area's flag. */
  readonly reason: number
  /** A call that resolves its page has returned since it looked at the PTE last: it must not sleep on what is there (I-WAIT). */
  answered: boolean
  /** Clock gear: the CPU that had the entry's cache line last. */
  lineCpu: number
}

/** One thread that changed the layout and sleeps until somebody has read about it. */
export interface EventWaiter {
  readonly task: Thread
  readonly message: UffdMessage
  /** The message was read: the sender may go on. @kernel userfaultfd_event_complete */
  done: boolean
}

/** One thread that reads, polls, or has the descriptor in an epoll instance. */
export interface FdWaiter {
  readonly task: Thread
  /** News wake the first of these that is idle, and it stays queued; of the others all, each off the queue (uffd_epoll.ts). */
  readonly exclusive: boolean
  idle: boolean
  lineCpu: number
}

/** Whoever looks at an entry of a queue. */
export function assertThere(waiter: UserfaultWaiter): void {
  touch(waiter.task.id, 'task', AccessMode.read)
  if (waiter.gone)
    violate('I-UAF', `the entry of ${waiter.task.name} for page ${waiter.page} is on a queue, and its stack frame is gone`)
}

/** Idle, and from now on woken: the next news go to the next one. */
function isIdle(reader: FdWaiter): boolean {
  if (!reader.idle) return false
  reader.idle = false
  return true
}

export class Userfaultfd {
  readonly pending: WaitQueue<UserfaultWaiter>
  readonly fault: WaitQueue<UserfaultWaiter>
  readonly event: WaitQueue<EventWaiter>
  readonly fd: WaitQueue<FdWaiter>
  readonly pendingLock: QueuedSpinlock
  readonly faultLock: Spinlock
  readonly eventLock: Spinlock
  readonly fdLock: Spinlock
  readonly mapChangingLock: Rwsem
  /** Where the count of references is: each fault takes one and gives it back. @kernel userfaultfd_ctx_get, userfaultfd_ctx_put */
  readonly refLine: CacheLine
  /** And that of the open file: each read, and each call that fills or moves pages, takes one and gives it back, where threads share it. @kernel f_count, fdget, fdput */
  readonly fileLine: CacheLine
  refileSeq = 0
  /** Above zero while the layout of a registered range changes: resolving calls return EAGAIN. */
  mmapChanging = 0
  released = false
  /** Closed, and no area points here any longer. */
  detached = false
  readonly untilDetached: Gate = {
    opens: () => this.detached,
    describe: () => `the areas of userfaultfd ${this.id} to be taken out`,
    holder: () => null,
  }
  /** The handshake was made. @kernel UFFD_FEATURE_INITIALIZED */
  initialized = false
  /** What the user asked for. */
  features = 0

  constructor(
    readonly mm: Mm,
    readonly id: number,
    /** Which protocol the user speaks. */
    readonly protocol: '2014' | 'ioctl',
    /** Flags of userfaultfd(2). */
    readonly flags = 0,
  ) {
    const { kernel } = mm
    const lockNs = kernel.preset.lockNs.value
    const transferNs = kernel.preset.lineTransferNs.value
    // The first 64 bytes of the context: the words of all four queues.
    const line = new CacheLine(transferNs, kernel.cpus)
    this.refLine = new CacheLine(transferNs, kernel.cpus)
    this.fileLine = new CacheLine(transferNs, kernel.cpus)
    this.pendingLock = new QueuedSpinlock(id, 'uffd.fault_pending_wqh', lockNs, line)
    this.faultLock = new QueuedSpinlock(id, 'uffd.fault_wqh', lockNs, line)
    this.eventLock = new QueuedSpinlock(id, 'uffd.event_wqh', lockNs, line)
    this.fdLock = new QueuedSpinlock(id, 'uffd.fd_wqh', lockNs, line)
    this.pending = new WaitQueue(id, 'uffd.pending', transferNs)
    this.fault = new WaitQueue(id, 'uffd.fault', transferNs)
    this.event = new WaitQueue(id, 'uffd.event')
    this.fd = new WaitQueue(id, 'uffd.fd', transferNs)
    this.mapChangingLock = new Rwsem(id, 'uffd.map_changing_lock', lockNs)
    mm.userfaultfds.push(this)
  }

  /** The layout changes, and nobody has read how. */
  get isChanging(): boolean {
    touch(this.id, 'uffd.mmap_changing', AccessMode.read)
    return this.mmapChanging > 0
  }

  /** Clock gear: nobody waits for a page, and the layout stands still: who places a page has nobody to wake and to wait for. */
  isIdleAt(nowNs: number): boolean {
    return this.pending.length === 0 && this.fault.length === 0 && this.mapChangingLock.isFreeAt(nowNs)
  }

  /** True if the user asked for the feature (of UFFD_FEATURE). */
  wants(feature: number): boolean {
    return (this.features & feature) !== 0
  }

  get nonblocking(): boolean {
    return (this.flags & O_NONBLOCK) !== 0
  }

  get userModeOnly(): boolean {
    return (this.flags & UFFD_USER_MODE_ONLY) !== 0
  }

  /** @kernel userfaultfd_wp_unpopulated */
  get wpUnpopulated(): boolean {
    return this.wants(UFFD_FEATURE.WP_UNPOPULATED | UFFD_FEATURE.WP_ASYNC)
  }

  /** Somebody may read now. @kernel wake_up_poll(&ctx->fd_wqh) */
  wakeReaders(k: Thread): Proc<void> {
    if (this.fd.length === 0) return NOTHING
    if (!k.stepping) return this.#wakeLocked(k)
    // One step, and so as good as under the lock.
    this.#wake(k)
    return NOTHING
  }

  *#wakeLocked(k: Thread): Proc<void> {
    yield* this.fdLock.lock(k)
    this.#wake(k)
    this.fdLock.unlock(k)
  }

  #wake(k: Thread): void {
    const { wakeupNs, wakerNs } = k.cpu.preset
    this.fd.wake(k.cpu.nowNs + wakeupNs.value, (w) => !w.exclusive, k, wakerNs.value)
    this.fd.wakeOne(k, wakeupNs.value, wakerNs.value, isIdle)
  }
}

/** Clock gear, at either end of a call that fills or moves pages: the counts of the open file and of the mm are raised, or lowered. */
export function countReferences(k: Thread, uffd: Userfaultfd): void {
  if (k.stepping) return
  uffd.fileLine.touch(k.cpu)
  uffd.mm.usersLine.touch(k.cpu)
}

/**
 * userfaultfd(2): a descriptor, or an errno. EINVAL: unknown flag. EPERM: a caller without CAP_SYS_PTRACE may only ask for
 * faults of user code, unless vm.unprivileged_userfaultfd allows more.
 * @kernel new_userfaultfd, userfaultfd_syscall_allowed
 */
export function newUserfaultfd(mm: Mm, flags: number, privileged: boolean): Userfaultfd | number {
  const allowed = (flags & UFFD_USER_MODE_ONLY) !== 0 || privileged || mm.kernel.unprivilegedUserfaultfd
  if (!allowed) return ERRNO.EPERM
  return openUserfaultfd(mm, flags)
}

/** USERFAULTFD_IOC_NEW on /dev/userfaultfd: whoever could open the device may. @kernel userfaultfd_dev_ioctl */
export function openUserfaultfd(mm: Mm, flags: number): Userfaultfd | number {
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)) !== 0) return ERRNO.EINVAL
  return new Userfaultfd(mm, mm.kernel.newId(), 'ioctl', flags)
}
