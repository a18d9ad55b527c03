/**
 * Bytes of user memory on the model, which keeps two words of each page: eight bytes.
 *
 * A byte written to a page stands for the eighth of the page that it lies in, so that a byte reads back where it was written
 * and a page of which a part differs is `mixed`. A fill writes all eight. Whoever looks at another byte of an eighth
 * in which a single one was stored finds what no kernel has there.
 */
import { type Proc, QUANTUM } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Process } from '../machine/process.ts'
import { addressOf } from '../machine/syscall.ts'

const ALL_BYTES = 0x01010101
const EIGHTH = 512
const STORE_NS = 5

const pageAt = (address: number) => Math.floor((address - addressOf(0)) / 4096)

/** Which of the eight bytes of its page stands for an address. */
const eighthOf = (address: number) => Math.floor((address % 4096) / EIGHTH)

function bytesOf({ machine }: Process): Uint8Array {
  const { buffer, byteOffset, byteLength } = machine.kernel.phys.words
  return new Uint8Array(buffer, byteOffset, byteLength)
}

export function* loadByte(k: Thread, p: Process, address: number): Proc<number> {
  const frame = yield* p.touch(k, pageAt(address), false, address % 4096)
  return bytesOf(p)[frame * 8 + eighthOf(address)]
}

export function* storeByte(k: Thread, p: Process, address: number, value: number): Proc<void> {
  const frame = yield* p.touch(k, pageAt(address), true, address % 4096)
  const { phys } = p.machine.kernel
  bytesOf(p)[frame * 8 + eighthOf(address)] = value
  phys.version[frame]++
}

export function* fillPage(k: Thread, p: Process, page: number, value: number): Proc<void> {
  const frame = yield* p.touch(k, page, true)
  const { phys } = p.machine.kernel
  phys.words[frame * 2] = value * ALL_BYTES
  phys.words[frame * 2 + 1] = value * ALL_BYTES
  phys.version[frame]++
}

/** The byte that fills the page at an address. */
export function* inspectPage(k: Thread, p: Process, address: number): Proc<number | 'mixed'> {
  const frame = yield* p.touch(k, pageAt(address), false)
  const { words } = p.machine.kernel.phys
  const first = words[frame * 2]
  return first === words[frame * 2 + 1] && first === (first & 0xff) * ALL_BYTES ? first & 0xff : 'mixed'
}

/** Fills again and again, with rising bytes, while others may run. */
export function* spinOnPage(k: Thread, p: Process, address: number, times: number): Proc<void> {
  for (let i = 0; i < times; i++) {
    yield* fillPage(k, p, pageAt(address), (i % 255) + 1)
    k.cpu.nowNs += STORE_NS
    if (k.expired) yield QUANTUM
  }
}
