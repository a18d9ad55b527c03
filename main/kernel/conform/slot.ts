/**
 * Shared memory of puppets and their controller: a header, and a slot for each thread with its orders, its answer and its stack.
 *
 *     CONTROL  header   notify: counts answers (the controller sleeps on it); go: opens a gate
 *     +64 KiB  slot 0   +0 turn  done  begun  tid | +0x10 what  delay | +0x18 six arguments | +0x48 number of the system call
 *                       +0x50 result | +0x58 signal  code | +0x60 its address | +0x68 gate | +0x1000 room for structures and buffers
 *                       ... the stack grows down from the slot's end
 *
 * The controller writes an order and then another number into `turn`; the puppet says so in `begun`, and in `done` when it is through.
 * Both sides are on one x86-64, where stores are seen in their order. Pairs with puppet_code.ts, which has these offsets in its bytes.
 */

/** Where the memory lies in every puppet. The controller has it elsewhere. */
export const CONTROL = 0x10_0000_0000
export const SLOT_BYTES = 0x1_0000
export const SLOTS = 47
export const CONTROL_BYTES = SLOT_BYTES * (SLOTS + 1)

export const ROOM_AT = 0x1000
export const ROOM_BYTES = 0x7000

export const DO = { call: 0, load: 1, store: 2, fill: 3, copy: 4, spin: 5, clone: 6 } as const
export type Doing = keyof typeof DO

const HEADER = { notify: 0, go: 4 } as const
const AT = {
  turn: 0x00,
  done: 0x04,
  begun: 0x08,
  tid: 0x0c,
  what: 0x10,
  delay: 0x14,
  arguments: 0x18,
  number: 0x48,
  result: 0x50,
  signal: 0x58,
  code: 0x5c,
  address: 0x60,
  gate: 0x68,
} as const
const ORDERS_BYTES = 0x70

export interface Order {
  readonly what: Doing
  /** Of a system call. */
  readonly number?: number
  readonly arguments: readonly number[]
  /** Waits for the header's `go` to be this; 0 waits for nothing. */
  readonly gate?: number
  /** Pauses of the processor before it acts. */
  readonly delay?: number
}

export interface Answer {
  /** What a system call returned, or -errno; the byte of a load. */
  readonly result: number
  readonly signal: { readonly number: number; readonly code: number; readonly address: number } | null
}

export class Header {
  readonly #words: Uint32Array

  constructor(memory: ArrayBuffer) {
    this.#words = new Uint32Array(memory, 0, 2)
  }

  get notify(): number {
    return Atomics.load(this.#words, HEADER.notify / 4)
  }

  open(gate: number): void {
    Atomics.store(this.#words, HEADER.go / 4, gate)
  }
}

export class Slot {
  /** Its address in the puppets. */
  readonly address: number
  /** From the start of the memory. */
  readonly offset: number
  /** Memory for structures and buffers, and where puppets see it. */
  readonly room: DataView
  readonly roomAddress: number
  readonly #view: DataView
  readonly #words: Uint32Array

  constructor(
    readonly memory: ArrayBuffer,
    readonly index: number,
  ) {
    const offset = SLOT_BYTES * (index + 1)
    this.offset = offset
    this.address = CONTROL + offset
    this.roomAddress = this.address + ROOM_AT
    this.room = new DataView(memory, offset + ROOM_AT, ROOM_BYTES)
    this.#view = new DataView(memory, offset, ORDERS_BYTES)
    this.#words = new Uint32Array(memory, offset, 4)
  }

  /** As a thread finds it that was never told anything. */
  clear(): void {
    for (let at = 0; at < ORDERS_BYTES; at += 4) this.#view.setUint32(at, 0, true)
  }

  get tid(): number {
    return Atomics.load(this.#words, AT.tid / 4)
  }

  get hasBegun(): boolean {
    return Atomics.load(this.#words, AT.begun / 4) === this.#words[AT.turn / 4]
  }

  get isDone(): boolean {
    return Atomics.load(this.#words, AT.done / 4) === this.#words[AT.turn / 4]
  }

  /** The thread must still be woken (futex). */
  give({ what, number = 0, arguments: given, gate = 0, delay = 0 }: Order): void {
    const view = this.#view
    view.setUint32(AT.what, DO[what], true)
    view.setUint32(AT.delay, delay, true)
    for (let i = 0; i < 6; i++) view.setBigInt64(AT.arguments + 8 * i, BigInt(given[i] ?? 0), true)
    view.setBigUint64(AT.number, BigInt(number), true)
    view.setUint32(AT.signal, 0, true)
    view.setUint32(AT.gate, gate, true)
    Atomics.add(this.#words, AT.turn / 4, 1)
  }

  get answer(): Answer {
    const view = this.#view
    const number = view.getUint32(AT.signal, true)
    const result = Number(view.getBigInt64(AT.result, true))
    if (number === 0) return { result, signal: null }
    return {
      result,
      signal: { number, code: view.getInt32(AT.code, true), address: Number(view.getBigUint64(AT.address, true)) },
    }
  }
}
