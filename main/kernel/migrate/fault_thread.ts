/**
 * The destination's fault thread: reads which pages somebody sleeps on, and asks the source for them.
 *
 *  missing -> requested: ask. Only whoever changed it asks.   requested: somebody asked already.
 *  received: it came between the fault and the read: wake at once, or that vCPU would sleep for ever.
 *
 * Requests that come together go out together. If the connection is broken they are asked for again after the recovery.
 * Source: QEMU, postcopy-ram.c. @qemu postcopy_ram_fault_thread
 */
import { EventKind } from '../../../core/trace/event.ts'
import { Arena } from '../sys/arena.ts'
import { libc } from '../sys/libc.ts'
import { PAGE_BYTES } from '../sys/mapping.ts'
import { POLL, PollFd, UFFD_EVENT } from '../sys/uapi.ts'
import { Userfaultfd } from '../sys/userfaultfd.ts'
import type { Area } from './area.ts'
import { type Board, PageState } from './board.ts'
import type { Control } from './control.ts'
import { ReturnWriter } from './return_writer.ts'
import type { ThreadSetup } from './setup.ts'

/** Between two looks whether it is still wanted. */
const WAIT_MS = 20

export function runFaultThread(setup: ThreadSetup, area: Area, board: Board, control: Control): void {
  const uffd = Userfaultfd.of(setup.uffd)
  const reply = new ReturnWriter(control)
  const poll = new Arena(4096).place(PollFd)
  poll.set('fd', setup.uffd)
  poll.set('events', POLL.in)
  const { states } = board
  const events = board.eventsOf('fault')
  while (!control.is('armed') && !control.is('exit')) control.wait('armed', 0, 100)
  while (control.is('armed') && !control.is('exit')) {
    if (libc().poll(poll.address, 1, WAIT_MS) <= 0) continue
    let asked = 0
    const messages = uffd.read()
    for (const message of messages) {
      if (message.get('event') !== UFFD_EVENT.pagefault) continue
      const at = message.get('word1')
      const page = Math.floor((at - area.address) / PAGE_BYTES)
      const state = Atomics.compareExchange(states, page, PageState.missing, PageState.requested)
      if (state === PageState.missing) {
        reply.request(page)
        events.note(EventKind.Request, page, 0)
        asked++
      } else if (state === PageState.received) uffd.wake(area.address + page * PAGE_BYTES, PAGE_BYTES)
    }
    board.add('userfaults', messages.length)
    board.add('requests', asked)
    events.stamp()
    if (asked > 0) reply.flush()
  }
}
