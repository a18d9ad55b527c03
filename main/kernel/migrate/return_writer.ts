/**
 * What the destination says on the return path. Several threads do: each message goes out by one write, so that none lies inside another.
 *
 * Pairs with return_path_thread.ts, which reads it.
 */
import { ReturnMessage } from '../../../core/migration/ram_stream.ts'
import { PAGE_BYTES } from '../sys/mapping.ts'
import type { Control } from './control.ts'
import { PAGES_A_MESSAGE, putReturn, putU64, REQUEST_BYTES, RETURN_HEADER_BYTES, SHUT_BYTES } from './framing.ts'
import { RecordWriter } from './record_writer.ts'

/** As many requests as one write takes. */
const MOST_REQUESTS = 256

export class ReturnWriter {
  readonly #control: Control
  readonly #writer: RecordWriter
  #requests = 0

  constructor(control: Control) {
    this.#control = control
    this.#writer = new RecordWriter(() => !control.is('exit') && !control.is('broken'))
  }

  /** A page is asked for; goes out with flush, or when enough are. */
  request(page: number): void {
    this.#writer.raw(REQUEST_BYTES, (view, at) => {
      putReturn(view, at, ReturnMessage.RequestPages, REQUEST_BYTES - RETURN_HEADER_BYTES)
      putU64(view, at + 4, page * PAGE_BYTES)
      view.setUint32(at + 12, PAGE_BYTES, true)
    })
    if (++this.#requests === MOST_REQUESTS) this.flush()
  }

  /** A message that says no more than yes or no. */
  short(type: number, error: 0 | 1): void {
    this.#writer.raw(SHUT_BYTES, (view, at) => {
      putReturn(view, at, type, SHUT_BYTES - RETURN_HEADER_BYTES)
      view.setUint32(at + 4, error, true)
    })
    this.flush()
  }

  /** Which pages of [first, end) have come. */
  bits(first: number, end: number, has: (page: number) => boolean): void {
    const bytes = PAGES_A_MESSAGE / 8
    this.#writer.raw(RETURN_HEADER_BYTES + 8 + bytes, (view, at) => {
      putReturn(view, at, ReturnMessage.ReceivedBits, 8 + bytes)
      putU64(view, at + 4, first)
      for (let i = 0; i < bytes; i++) view.setUint8(at + 12 + i, 0)
      for (let page = first; page < end; page++) {
        const byte = at + 12 + ((page - first) >>> 3)
        if (has(page)) view.setUint8(byte, view.getUint8(byte) | (1 << ((page - first) & 7)))
      }
    })
    this.flush()
  }

  /** False: the connection is broken; what was asked for is asked for again when there is a new one. */
  flush(): boolean {
    this.#requests = 0
    if (this.#writer.bytes === 0) return true
    return this.#writer.flush(this.#control.get('stream'))
  }
}
