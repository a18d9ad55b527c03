/**
 * The messages on their way through a connection, oldest first: rows of a ring of columns, so that a page costs no object.
 *
 * Row `at(0)` is the oldest, `at(count - 1)` the newest. A full ring becomes one of twice the size. Who asks for a row gets its index,
 * which is good until the next `push` or `shift`. Pairs with link.ts.
 */
import { assert } from '../base/assert.ts'

/** What a row says, as an object: the message that was received. */
export interface Message {
  type: number
  page: number
  word0: number
  word1: number
  version: number
  bytes: number
}

export function noMessage(): Message {
  return { type: 0, page: 0, word0: 0, word1: 0, version: 0, bytes: 0 }
}

/** An index into the columns. */
export type Row = number

export class MessageRing {
  count = 0
  arrivalNs: Float64Array
  #head = 0
  #mask: number
  #type: Uint8Array
  #page: Int32Array
  #word0: Uint32Array
  #word1: Uint32Array
  #version: Uint32Array
  #bytes: Int32Array

  /** `rows`: a power of two. */
  constructor(rows: number) {
    assert(rows > 0 && (rows & (rows - 1)) === 0, `a ring of ${rows} messages, no power of two`)
    this.#mask = rows - 1
    this.#type = new Uint8Array(rows)
    this.#page = new Int32Array(rows)
    this.#word0 = new Uint32Array(rows)
    this.#word1 = new Uint32Array(rows)
    this.#version = new Uint32Array(rows)
    this.#bytes = new Int32Array(rows)
    this.arrivalNs = new Float64Array(rows)
  }

  /** The row of the n-th oldest message. */
  at(n: number): Row {
    return (this.#head + n) & this.#mask
  }

  /** Adds the newest. */
  push(type: number, page: number, word0: number, word1: number, version: number, bytes: number, arrivalNs: number): void {
    if (this.count > this.#mask) this.#grow()
    const i = this.at(this.count++)
    this.#type[i] = type
    this.#page[i] = page
    this.#word0[i] = word0
    this.#word1[i] = word1
    this.#version[i] = version
    this.#bytes[i] = bytes
    this.arrivalNs[i] = arrivalNs
  }

  /** What a row says. */
  read(i: Row, into: Message): Message {
    into.type = this.#type[i]
    into.page = this.#page[i]
    into.word0 = this.#word0[i]
    into.word1 = this.#word1[i]
    into.version = this.#version[i]
    into.bytes = this.#bytes[i]
    return into
  }

  /** Takes the oldest away. */
  shift(): void {
    this.#head = this.at(1)
    this.count--
  }

  clear(): void {
    this.#head = this.at(this.count)
    this.count = 0
  }

  #grow(): void {
    const rows = this.#mask + 1
    const move = <T extends Uint8Array | Int32Array | Uint32Array | Float64Array>(from: T, to: T): T => {
      for (let n = 0; n < rows; n++) to[n] = from[this.at(n)]
      return to
    }
    this.#type = move(this.#type, new Uint8Array(rows * 2))
    this.#page = move(this.#page, new Int32Array(rows * 2))
    this.#word0 = move(this.#word0, new Uint32Array(rows * 2))
    this.#word1 = move(this.#word1, new Uint32Array(rows * 2))
    this.#version = move(this.#version, new Uint32Array(rows * 2))
    this.#bytes = move(this.#bytes, new Int32Array(rows * 2))
    this.arrivalNs = move(this.arrivalNs, new Float64Array(rows * 2))
    this.#head = 0
    this.#mask = rows * 2 - 1
  }
}
