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
import { AccessMode, type Gate } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { Rwsem } from '../sync/rwsem.ts'
import { Spinlock } from '../sync/spinlock.ts'
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
}

/** One thread that changed the layout and sleeps until somebody has read about it. */
export interface EventWaiter {
  readonly task: Thread
  readonly message: UffdMessage
  /** The message was read: the sender may go on. @kernel userfaultfd_event_complete */
  done: boolean
}

/** Whoever looks at an entry of a queue. */
export function assertThere(waiter: UserfaultWaiter): void {
  touch(waiter.task.id, 'task', AccessMode.read)
  if (waiter.gone)
    violate('I-UAF', `the entry of ${waiter.task.name} for page ${waiter.page} is on a queue, and its stack frame is gone`)
}

export class Userfaultfd {
  readonly pending: WaitQueue<UserfaultWaiter>
  readonly fault: WaitQueue<UserfaultWaiter>
  readonly event: WaitQueue<EventWaiter>
  readonly fd: WaitQueue<{ readonly task: Thread }>
  readonly pendingLock: Spinlock
  readonly faultLock: Spinlock
  readonly eventLock: Spinlock
  readonly fdLock: Spinlock
  readonly mapChangingLock: Rwsem
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
    const lockNs = mm.kernel.preset.lockNs.value
    this.pendingLock = new Spinlock(id, 'uffd.fault_pending_wqh', lockNs)
    this.faultLock = new Spinlock(id, 'uffd.fault_wqh', lockNs)
    this.eventLock = new Spinlock(id, 'uffd.event_wqh', lockNs)
    this.fdLock = new Spinlock(id, 'uffd.fd_wqh', lockNs)
    this.pending = new WaitQueue(id, 'uffd.pending')
    this.fault = new WaitQueue(id, 'uffd.fault')
    this.event = new WaitQueue(id, 'uffd.event')
    this.fd = new WaitQueue(id, 'uffd.fd')
    this.mapChangingLock = new Rwsem(id, 'uffd.map_changing_lock', lockNs)
  }

  /** The layout changes, and nobody has read how. */
  get isChanging(): boolean {
    touch(this.id, 'uffd.mmap_changing', AccessMode.read)
    return this.mmapChanging > 0
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
  wakeReaders(k: Thread): void {
    if (this.fd.length > 0) this.fd.wake(k.cpu.nowNs + k.cpu.preset.wakeupNs.value, () => true)
  }
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
