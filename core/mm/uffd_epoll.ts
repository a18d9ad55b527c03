/**
 * epoll on a userfault descriptor, one epoll instance a reader, with EPOLLEXCLUSIVE: of many readers a fault wakes one.
 *
 *   add    the entry is put on the descriptor's queue and stays there.
 *   wait   level-triggered: a message is pending -> at once; else idle, sleep, look again.
 *   wake   whoever has news walks the queue, past readers that are busy, and wakes the first that is idle (userfaultfd.ts).
 *
 * poll(2) and a read(2) that sleeps wake everybody instead: the thundering herd.
 * Source: fs/eventpoll.c; tools/testing/selftests/kvm/lib/userfaultfd_util.c.
 * @kernel ep_insert, ep_poll, ep_poll_callback
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, BLOCK, type Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ERRNO } from './errno.ts'
import { userfaultfdPoll } from './uffd_read.ts'
import type { FdWaiter, Userfaultfd } from './userfaultfd.ts'

/** An epoll instance with this one descriptor in it. */
export interface Epoll {
  readonly uffd: Userfaultfd
  readonly entry: FdWaiter
}

/** epoll_create and epoll_ctl(EPOLL_CTL_ADD, EPOLLIN | EPOLLEXCLUSIVE) for the thread that will wait. */
export function* epollAdd(k: Thread, uffd: Userfaultfd): Proc<Epoll> {
  const entry: FdWaiter = { task: k, exclusive: true, idle: false, lineCpu: k.cpu.id }
  yield* uffd.fdLock.lock(k)
  uffd.fd.add(entry)
  uffd.fdLock.unlock(k)
  return { uffd, entry }
}

/** epoll_wait without a timeout: what poll would report, or EINTR. */
export function* epollWait(k: Thread, { uffd, entry }: Epoll): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  for (;;) {
    touch(uffd.id, uffd.fd.label, AccessMode.write)
    entry.idle = true
    entry.lineCpu = k.cpu.id
    k.park('a userfault message to poll')
    const events = userfaultfdPoll(uffd)
    touch(uffd.id, 'uffd.released', AccessMode.read)
    if (events !== 0 || uffd.released || k.fatalSignal) {
      k.unpark()
      touch(uffd.id, uffd.fd.label, AccessMode.write)
      entry.idle = false
      return events !== 0 || uffd.released ? events : ERRNO.EINTR
    }
    yield BLOCK
  }
}
