/**
 * The source's return path thread: hears what the destination says, and hands it on.
 *
 * RequestPages: into the ring for the migration thread; with an urgent channel it sends the page itself, by that channel, at once.
 * ReceivedBits: what has come, after a break. Shut, ResumeAck: a cell each. When the connection breaks it waits for the next.
 *
 * Source: QEMU, migration/migration.c. @qemu source_return_path_thread, ram_save_queue_pages
 */
import { ReturnMessage } from '../../../core/migration/ram_stream.ts'
import { EventKind } from '../../../core/trace/event.ts'
import { Arena } from '../sys/arena.ts'
import { PAGE_BYTES } from '../sys/mapping.ts'
import { readSome, Transfer } from '../sys/socket.ts'
import type { Area } from './area.ts'
import type { Board } from './board.ts'
import { cutConnection } from './connection.ts'
import type { Control } from './control.ts'
import type { EventLog } from './event_log.ts'
import { PAGES_A_MESSAGE, RETURN_HEADER_BYTES, u64At } from './framing.ts'
import { Pacer } from './pacer.ts'
import { RamSave } from './ram_save.ts'
import type { ThreadSetup } from './setup.ts'

const BUFFER_BYTES = 64 * 1024

export class ReturnPathThread {
  readonly #control: Control
  readonly #board: Board
  readonly #events: EventLog
  readonly #bytes: Uint8Array
  readonly #address: number
  readonly #view: DataView
  /** Sends by the urgent channel; null where there is none. */
  readonly #urgent: RamSave | null
  #from = 0
  #to = 0

  constructor(setup: ThreadSetup, area: Area, board: Board, control: Control) {
    this.#control = control
    this.#board = board
    this.#events = board.eventsOf('return path')
    const { address, bytes } = new Arena(BUFFER_BYTES).bytes(BUFFER_BYTES)
    this.#address = address
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, BUFFER_BYTES)
    this.#urgent = setup.options.capabilities['postcopy-preempt']
      ? new RamSave({
          area,
          board,
          control,
          pacer: new Pacer(setup.bandwidthBytesPerSec, control, setup.control.pace),
          events: this.#events,
          shares: true,
          figures: { bytes: 'urgentBytes', normal: 'urgentNormal', duplicate: 'urgentDuplicate' },
          plantedFault: setup.plantedFault,
        })
      : null
  }

  /** The thread's life. */
  run(): void {
    const control = this.#control
    for (let connection = 0; ; ) {
      while (control.get('connection') === connection && !control.is('exit')) control.wait('connection', connection, 100)
      if (control.is('exit')) return
      connection = control.get('connection')
      if (this.#urgent !== null) this.#urgent.isBroken = false
      this.#hear(control.get('stream'), connection)
      if (control.is('exit') || control.is('shut')) return
      control.set('broken', 1)
      cutConnection(control)
      // Whoever waits for something of this connection looks again.
      control.set('requested', control.get('requested'))
    }
  }

  #hear(fd: number, connection: number): void {
    const control = this.#control
    this.#from = 0
    this.#to = 0
    while (!control.is('exit')) {
      const bytes = readSome(fd, this.#address + this.#to, BUFFER_BYTES - this.#to)
      if (bytes === Transfer.broken) return
      if (bytes === Transfer.later) {
        if (control.is('broken') || control.get('connection') !== connection) return
        continue
      }
      this.#to += bytes
      this.#take(connection)
      if (control.is('shut')) return
    }
  }

  /** All messages that have come whole. */
  #take(connection: number): void {
    while (this.#to - this.#from >= RETURN_HEADER_BYTES) {
      const type = this.#view.getUint16(this.#from, true)
      const end = this.#from + RETURN_HEADER_BYTES + this.#view.getUint16(this.#from + 2, true)
      if (end > this.#to) break
      this.#message(type, this.#from + RETURN_HEADER_BYTES, connection)
      this.#from = end
    }
    this.#bytes.copyWithin(0, this.#from, this.#to)
    this.#to -= this.#from
    this.#from = 0
  }

  #message(type: number, body: number, connection: number): void {
    const control = this.#control
    switch (type) {
      case ReturnMessage.RequestPages:
        this.#request(Math.floor(u64At(this.#view, body) / PAGE_BYTES))
        return
      case ReturnMessage.Shut:
        control.set('shut', this.#view.getUint32(body, true) === 0 ? 1 : 2)
        control.set('requested', control.get('requested'))
        return
      case ReturnMessage.ReceivedBits:
        this.#received(u64At(this.#view, body), body + 8)
        return
      case ReturnMessage.ReceivedEnd:
        control.set('reloaded', connection)
        return
      case ReturnMessage.ResumeAck:
        control.set('resumed', connection)
        return
      default:
        throw new Error(`the return path has a message of type ${type}, which nobody sends`)
    }
  }

  #request(page: number): void {
    const control = this.#control
    const urgent = this.#urgent
    this.#events.note(EventKind.RequestReceived, page, 0)
    this.#events.stamp()
    if (urgent !== null && control.is('postcopy') && !control.is('broken')) {
      control.exclusively('urgentBusy', () => urgent.sendPage(page))
      if (!urgent.isBroken) return
    }
    const { requests } = control
    const at = control.get('requested')
    requests[at & (requests.length - 1)] = page
    control.set('requested', at + 1)
  }

  #received(first: number, at: number): void {
    const { received } = this.#control
    const end = Math.min(this.#board.shape.pages, first + PAGES_A_MESSAGE)
    for (let page = first; page < end; page++) {
      const n = page - first
      received[page] = ((this.#bytes[at + (n >>> 3)] as number) >>> (n & 7)) & 1
    }
  }
}
