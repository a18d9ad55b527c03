/**
 * The destination's threads that receive: the stream's (listen), and the urgent channel's where there is one (preempt).
 *
 * listen:
 *  1. accept the connections: as many as there are channels, each with the token that only the source knows.
 *  2. load: take records off the socket, many at a time. Before the memory is armed pages are written where they belong; LISTEN, or a
 *     migration without pre-copy, arms it, and from then on they are placed (placer.ts).
 *  3. PACKAGED, or DEVICES: the state of the vCPUs. They start here, and the stream goes on.
 *  4. END: everything is here. When the urgent channel has been read to its end too: disarm, say SHUT.
 *  5. The connection breaks. Before the hand-over that is the end, and nothing of the guest runs here. After it: wait for a new one,
 *     say what has come, ask again for what was asked for, and on with 2 (recovery.ts of the model).
 *
 * preempt: 2 and END, for pages that somebody waits for.
 *
 * Source: QEMU, postcopy-ram.c. @qemu postcopy_ram_listen_thread, postcopy_preempt_thread, loadvm_postcopy_handle_resume
 */
import { ReturnMessage, StreamMessage } from '../../../core/migration/ram_stream.ts'
import { EventKind } from '../../../core/trace/event.ts'
import { readSome, Transfer } from '../sys/socket.ts'
import { Userfaultfd } from '../sys/userfaultfd.ts'
import { type Area, type ChannelBuffers, RECEIVED_BYTES } from './area.ts'
import { type Board, PageState } from './board.ts'
import { nowNs } from './clock.ts'
import { accept, cutConnection } from './connection.ts'
import type { Control } from './control.ts'
import type { EventLog } from './event_log.ts'
import {
  bodyBytes,
  HEADER_BYTES,
  PAGE_RECORD_BYTES,
  PAGES_A_MESSAGE,
  pageAt,
  typeAt,
  VCPU_STATE_BYTES,
  ZERO_RECORD_BYTES,
} from './framing.ts'
import { Placer } from './placer.ts'
import { ReturnWriter } from './return_writer.ts'
import type { ThreadSetup } from './setup.ts'

/** How a channel ended. */
type LoadEnd = 'end' | 'devices' | 'broken' | 'exit'

export class ListenThread {
  readonly #setup: ThreadSetup
  readonly #area: Area
  readonly #board: Board
  readonly #control: Control
  readonly #uffd: Userfaultfd
  readonly #placer: Placer
  readonly #isUrgent: boolean
  readonly #events: EventLog
  readonly #buffers: ChannelBuffers
  readonly #view: DataView
  readonly #reply: ReturnWriter
  /** What was read and not yet understood: [from, to) of the buffer. */
  #from = 0
  #to = 0
  #isArmed = false

  constructor(setup: ThreadSetup, area: Area, board: Board, control: Control) {
    this.#setup = setup
    this.#area = area
    this.#board = board
    this.#control = control
    this.#isUrgent = setup.role === 'preempt'
    this.#events = board.eventsOf(this.#isUrgent ? 'preempt' : 'listen')
    this.#buffers = area.buffers(this.#isUrgent ? 1 : 0)
    this.#view = new DataView(area.bytes.buffer, this.#buffers.received, RECEIVED_BYTES)
    this.#uffd = Userfaultfd.of(setup.uffd)
    this.#placer = new Placer({
      area,
      board,
      uffd: this.#uffd,
      resolver: setup.options.resolver,
      buffers: this.#buffers,
      events: this.#events,
      figures: this.#isUrgent ? { placed: 'urgentPlaced', calls: 'urgentPlaceCalls' } : { placed: 'placed', calls: 'placeCalls' },
    })
    this.#reply = new ReturnWriter(control)
  }

  /** The thread's life. */
  run(): void {
    if (this.#isUrgent) this.#preempt()
    else this.#listen()
  }

  #listen(): void {
    if (this.#setup.options.mode === 'postcopy') this.#arm()
    for (;;) {
      // 1.
      if (!accept(this.#setup, this.#control, this.#area.address + this.#buffers.received, this.#view)) return
      // 2. and 3.
      const end = this.#load()
      if (end === 'exit') return
      if (end === 'devices') {
        this.#reply.short(ReturnMessage.Shut, 0)
        return
      }
      if (end === 'end' && this.#untilUrgentIsOver()) {
        // 4.
        this.#control.set('armed', 0)
        this.#placer.disarm()
        this.#reply.short(ReturnMessage.Shut, 0)
        return
      }
      // 5.
      this.#control.set('broken', 1)
      cutConnection(this.#control)
      if (this.#control.is('exit') || !this.#board.isHandedOver) return
    }
  }

  #preempt(): void {
    let connection = 0
    for (;;) {
      const control = this.#control
      while ((control.get('connection') === connection || !control.is('armed')) && !control.is('exit')) {
        control.wait('connection', connection, 1)
      }
      if (control.is('exit')) return
      connection = control.get('connection')
      const end = this.#load()
      if (end === 'exit') return
      if (end === 'end') {
        control.set('urgentOver', 1)
        return
      }
      control.set('broken', 1)
      cutConnection(this.#control)
    }
  }

  #arm(): void {
    this.#placer.arm()
    this.#isArmed = true
    this.#control.set('armed', 1)
  }

  /** 2. */
  #load(): LoadEnd {
    const control = this.#control
    const fd = control.get(this.#isUrgent ? 'urgent' : 'stream')
    this.#from = 0
    this.#to = 0
    for (;;) {
      if (control.is('exit')) return 'exit'
      const bytes = readSome(fd, this.#area.address + this.#buffers.received + this.#to, RECEIVED_BYTES - this.#to)
      if (bytes === Transfer.broken) return 'broken'
      if (bytes > 0) this.#to += bytes
      else if (control.is('broken')) return 'broken'
      if (this.#events.isKept) this.#noteReceived()
      const end = this.#takeRecords()
      this.#placer.flush()
      this.#events.stamp()
      if (end !== null) return end
    }
  }

  /** The pages of all records that have come whole: they have come, whatever becomes of them. */
  #noteReceived(): void {
    for (let at = this.#from; this.#to - at >= HEADER_BYTES; ) {
      const type = typeAt(this.#view, at)
      const page = pageAt(this.#view, at)
      at += HEADER_BYTES + bodyBytes(type, page)
      if (at > this.#to) break
      if (type === StreamMessage.Page) this.#events.note(EventKind.Receive, page, PAGE_RECORD_BYTES)
      else if (type === StreamMessage.Zero) this.#events.note(EventKind.Receive, page, ZERO_RECORD_BYTES)
    }
    this.#events.stamp()
  }

  /** All records that have come whole; what is left of one moves to the buffer's beginning. */
  #takeRecords(): LoadEnd | null {
    const { received } = this.#buffers
    while (this.#to - this.#from >= HEADER_BYTES) {
      const type = typeAt(this.#view, this.#from)
      const page = pageAt(this.#view, this.#from)
      const body = this.#from + HEADER_BYTES
      const end = body + bodyBytes(type, page)
      if (end > this.#to) break
      this.#from = end
      if (type === StreamMessage.Page) {
        if (this.#isArmed || this.#isUrgent) this.#placer.add(page, received + body)
        else this.#placer.write(page, received + body)
      } else if (type === StreamMessage.Zero) {
        if (this.#isArmed || this.#isUrgent) this.#placer.addZero(page)
        else this.#placer.writeZeros(page)
      } else {
        this.#placer.flush()
        const over = this.#message(type, page, body)
        if (over !== null) return over
      }
    }
    this.#area.bytes.copyWithin(received, received + this.#from, received + this.#to)
    this.#to -= this.#from
    this.#from = 0
    return null
  }

  /** Anything but a page. */
  #message(type: number, page: number, body: number): LoadEnd | null {
    switch (type) {
      case StreamMessage.Discard:
        this.#placer.discard(page, this.#view.getUint32(body, true))
        return null
      case StreamMessage.Listen:
        this.#arm()
        return null
      case StreamMessage.Packaged:
        return this.#goOn(body) ? null : 'broken'
      case StreamMessage.Devices:
        return this.#goOn(body) ? 'devices' : 'broken'
      case StreamMessage.RecvBitmap:
        this.#sendReceived()
        return null
      case StreamMessage.Resume:
        this.#resume()
        return null
      case StreamMessage.End:
        return 'end'
      default:
        throw new Error(`the stream has a record of type ${type}, which nobody sends`)
    }
  }

  /** 3. False: the source has taken the guest back. @qemu loadvm_postcopy_handle_run */
  #goOn(body: number): boolean {
    const { places } = this.#control
    for (let vcpu = 0; vcpu < this.#setup.shape.vcpus; vcpu++) {
      places[2 * vcpu] = this.#view.getFloat64(body + vcpu * VCPU_STATE_BYTES, true)
      places[2 * vcpu + 1] = this.#view.getFloat64(body + vcpu * VCPU_STATE_BYTES + 8, true)
    }
    if (!this.#board.takeGuest('destination')) return false
    this.#control.set('run', 1)
    this.#board.set('downtimeEndNs', nowNs())
    return true
  }

  /** False: the stream broke meanwhile, or it was told to end. */
  #untilUrgentIsOver(): boolean {
    const control = this.#control
    if (!this.#setup.options.capabilities['postcopy-preempt']) return true
    while (!control.is('urgentOver') && !control.is('exit') && !control.is('broken')) control.wait('urgentOver', 0, 5)
    return control.is('urgentOver')
  }

  /** 5. @qemu migrate_send_rp_recv_bitmap */
  #sendReceived(): void {
    const { states, shape } = this.#board
    for (let first = 0; first < shape.pages; first += PAGES_A_MESSAGE) {
      this.#reply.bits(first, Math.min(shape.pages, first + PAGES_A_MESSAGE), (page) => states[page] === PageState.received)
    }
    this.#reply.short(ReturnMessage.ReceivedEnd, 0)
  }

  /** 5. @qemu migrate_send_rp_req_pages_pending */
  #resume(): void {
    const { states, shape } = this.#board
    this.#board.add('recoveries', 1)
    this.#reply.short(ReturnMessage.ResumeAck, 0)
    for (let page = 0; page < shape.pages; page++) if (states[page] === PageState.requested) this.#reply.request(page)
    this.#reply.flush()
  }
}
