/**
 * Puts records on a socket: headers from a buffer of ours, pages straight from guest RAM, all in one call of writev.
 *
 * A record is added; `flush` writes what was added, however many calls the socket makes of it. No object is made for a page.
 */
import { StreamMessage } from '../../../core/migration/ram_stream.ts'
import { Arena } from '../sys/arena.ts'
import { PAGE_BYTES } from '../sys/mapping.ts'
import { IOVEC_BYTES, Transfer, writeSome } from '../sys/socket.ts'
import { bodyBytes, HEADER_BYTES, PAGE_RECORD_BYTES, putHeader, ZERO_RECORD_BYTES } from './framing.ts'

/** Pages of one flush at most. */
export const RECORDS_A_FLUSH = 64
const MOST_VECTORS = 2 * RECORDS_A_FLUSH + 2
const SMALL_BYTES = 16 * 1024

export class RecordWriter {
  readonly #arena = new Arena(MOST_VECTORS * IOVEC_BYTES + SMALL_BYTES + 4096)
  readonly #vectorAddress: number
  /** Four words an iovec: low and high of where, low and high of how many bytes. */
  readonly #vectors: Uint32Array
  readonly #smallAddress: number
  readonly #small: DataView
  readonly #smallBytes: Uint8Array
  #count = 0
  #used = 0
  /** Where the small bytes begin that no iovec has yet. */
  #from = 0
  #bytes = 0

  /** `isWanted`: asked when the socket takes nothing for a while; false gives up. */
  constructor(readonly isWanted: () => boolean) {
    const vectors = this.#arena.bytes(MOST_VECTORS * IOVEC_BYTES)
    this.#vectorAddress = vectors.address
    this.#vectors = new Uint32Array(vectors.bytes.buffer, vectors.bytes.byteOffset, MOST_VECTORS * 4)
    const small = this.#arena.bytes(SMALL_BYTES)
    this.#smallAddress = small.address
    this.#smallBytes = small.bytes
    this.#small = new DataView(small.bytes.buffer, small.bytes.byteOffset, SMALL_BYTES)
  }

  /** Bytes added and not flushed. */
  get bytes(): number {
    return this.#bytes
  }

  page(page: number, address: number): void {
    this.#header(StreamMessage.Page, page)
    this.#endSmall()
    this.#vector(address, PAGE_BYTES)
    this.#bytes += PAGE_RECORD_BYTES
  }

  zero(page: number): void {
    this.#header(StreamMessage.Zero, page)
    this.#smallBytes[this.#used++] = 0
    this.#bytes += ZERO_RECORD_BYTES
  }

  /** A record without a page; `fill` writes its body. */
  message(type: number, page: number, fill?: (view: DataView, at: number) => void): void {
    this.#header(type, page)
    const body = bodyBytes(type, page)
    fill?.(this.#small, this.#used)
    this.#used += body
    this.#bytes += HEADER_BYTES + body
  }

  /** Bytes that are no record of the stream: a greeting, a message of the return path. */
  raw(length: number, fill: (view: DataView, at: number) => void): void {
    fill(this.#small, this.#used)
    this.#used += length
    this.#bytes += length
  }

  #header(type: number, page: number): void {
    putHeader(this.#small, this.#used, type, page)
    this.#used += HEADER_BYTES
  }

  #endSmall(): void {
    if (this.#used === this.#from) return
    this.#vector(this.#smallAddress + this.#from, this.#used - this.#from)
    this.#from = this.#used
  }

  #vector(address: number, length: number): void {
    const at = 4 * this.#count++
    this.#vectors[at] = address
    this.#vectors[at + 1] = Math.floor(address / 2 ** 32)
    this.#vectors[at + 2] = length
    this.#vectors[at + 3] = 0
  }

  /** False: the connection is broken, or nobody wants it any more. */
  flush(fd: number): boolean {
    this.#endSmall()
    let left = this.#bytes
    let first = 0
    while (left > 0) {
      const written = writeSome(fd, this.#vectorAddress + first * IOVEC_BYTES, this.#count - first)
      if (written === Transfer.broken || (written === Transfer.later && !this.isWanted())) break
      if (written <= 0) continue
      left -= written
      first = this.#skip(first, written)
    }
    this.#count = 0
    this.#used = 0
    this.#from = 0
    this.#bytes = 0
    return left === 0
  }

  free(): void {
    this.#arena.free()
  }

  /** The first iovec that was not written whole, shortened by what was. */
  #skip(first: number, bytes: number): number {
    const vectors = this.#vectors
    let at = first
    let rest = bytes
    while (at < this.#count && rest >= (vectors[4 * at + 2] as number)) rest -= vectors[4 * at++ + 2] as number
    if (rest > 0) {
      const address = (vectors[4 * at + 1] as number) * 2 ** 32 + (vectors[4 * at] as number) + rest
      vectors[4 * at] = address
      vectors[4 * at + 1] = Math.floor(address / 2 ** 32)
      vectors[4 * at + 2] = (vectors[4 * at + 2] as number) - rest
    }
    return at
  }
}
