/**
 * Structures of the kernel's interface, declared once, read and written where they lie.
 *
 * A field is a 64-bit, 32-bit, 16-bit or 8-bit integer at its natural alignment, as in the kernel's header; the declaration says how large the whole must be,
 * and a wrong sum is an error at the first use. 64-bit values are numbers: addresses, lengths and masks stay below 2^53, and a
 * result that is negative (an errno) is read as signed. `at` binds a structure to an address of an Arena.
 */
import { assert } from '../../../core/base/assert.ts'

export type FieldKind = 'u64' | 's64' | 'u32' | 's32' | 'u16' | 's16' | 'u8'

const SIZE: Readonly<Record<FieldKind, number>> = { u64: 8, s64: 8, u32: 4, s32: 4, u16: 2, s16: 2, u8: 1 }
const HIGH = 2 ** 32

export interface Struct<F extends string> {
  readonly name: string
  readonly size: number
  readonly offsets: Readonly<Record<F, number>>
  readonly kinds: Readonly<Record<F, FieldKind>>
}

/** Throws an AssertionError if the fields do not make `size` bytes. */
export function struct<F extends string>(name: string, size: number, kinds: Readonly<Record<F, FieldKind>>): Struct<F> {
  const offsets = {} as Record<F, number>
  let at = 0
  let alignment = 1
  for (const field of Object.keys(kinds) as F[]) {
    const bytes = SIZE[kinds[field]]
    at = Math.ceil(at / bytes) * bytes
    offsets[field] = at
    at += bytes
    alignment = Math.max(alignment, bytes)
  }
  const whole = Math.ceil(at / alignment) * alignment
  assert(whole === size, `struct ${name} has ${whole} bytes here and ${size} in the kernel`)
  return { name, size, offsets, kinds }
}

/** One structure at one place. */
export class Place<F extends string> {
  readonly #view: DataView

  constructor(
    readonly struct: Struct<F>,
    /** What a system call is given. */
    readonly address: number,
    memory: ArrayBuffer,
    offset: number,
  ) {
    this.#view = new DataView(memory, offset, struct.size)
  }

  get(field: F): number {
    const at = this.struct.offsets[field]
    const view = this.#view
    switch (this.struct.kinds[field]) {
      case 'u64':
        return view.getUint32(at + 4, true) * HIGH + view.getUint32(at, true)
      case 's64':
        return view.getInt32(at + 4, true) * HIGH + view.getUint32(at, true)
      case 'u32':
        return view.getUint32(at, true)
      case 's32':
        return view.getInt32(at, true)
      case 'u16':
        return view.getUint16(at, true)
      case 's16':
        return view.getInt16(at, true)
      case 'u8':
        return view.getUint8(at)
    }
  }

  set(field: F, value: number): void {
    const at = this.struct.offsets[field]
    const view = this.#view
    switch (this.struct.kinds[field]) {
      case 'u64':
      case 's64':
        view.setUint32(at, value >>> 0, true)
        view.setInt32(at + 4, Math.floor(value / HIGH), true)
        return
      case 'u32':
      case 's32':
        view.setInt32(at, value | 0, true)
        return
      case 'u16':
      case 's16':
        view.setInt16(at, value, true)
        return
      case 'u8':
        view.setUint8(at, value)
        return
    }
  }

  /** The structure as 32-bit words, low half first, for calls that are made so often that looking up names tells. */
  words(): Uint32Array {
    return new Uint32Array(this.#view.buffer, this.#view.byteOffset, this.struct.size / 4)
  }

  /** A 64-bit field in full, for masks whose highest bit counts. */
  bits(field: F): bigint {
    return this.#view.getBigUint64(this.struct.offsets[field], true)
  }

  setBits(field: F, value: bigint): void {
    this.#view.setBigUint64(this.struct.offsets[field], value, true)
  }

  clear(): void {
    for (let i = 0; i < this.struct.size; i++) this.#view.setUint8(i, 0)
  }
}
