/**
 * A little memory of our own at a fixed address, for what system calls are given: structures, buffers, poll sets.
 *
 * Each thread of the host has its own. Places are handed out one behind the other and never given back one by one; `free` unmaps all.
 */
import { Mapping } from './mapping.ts'
import { Place, type Struct } from './struct.ts'

const ALIGNMENT = 16

export class Arena {
  readonly #mapping: Mapping
  #used = 0

  /** `bytes` is rounded up to whole pages. */
  constructor(bytes = 65_536) {
    this.#mapping = Mapping.anonymous(bytes)
  }

  /** A structure that is all zero. Throws when the arena is full. */
  place<F extends string>(struct: Struct<F>): Place<F> {
    const offset = this.#take(struct.size)
    return new Place(struct, this.#mapping.address + offset, this.#mapping.buffer, offset)
  }

  /** `count` of them, one behind the other from `address` on, as a system call wants an array. */
  array<F extends string>(struct: Struct<F>, count: number): { readonly address: number; readonly places: readonly Place<F>[] } {
    const { buffer, address } = this.#mapping
    const offset = this.#take(struct.size * count)
    const places = Array.from({ length: count }, (_, i) => {
      const at = offset + i * struct.size
      return new Place(struct, address + at, buffer, at)
    })
    return { address: address + offset, places }
  }

  /** Plain bytes. */
  bytes(length: number): { readonly address: number; readonly bytes: Uint8Array } {
    const offset = this.#take(length)
    return { address: this.#mapping.address + offset, bytes: new Uint8Array(this.#mapping.buffer, offset, length) }
  }

  #take(bytes: number): number {
    const offset = this.#used
    if (offset + bytes > this.#mapping.length) throw new RangeError(`an arena of ${this.#mapping.length} bytes is full`)
    this.#used = Math.ceil((offset + bytes) / ALIGNMENT) * ALIGNMENT
    return offset
  }

  /** Whatever lies in it must not be used any more. */
  free(): void {
    this.#mapping.unmap()
  }
}
