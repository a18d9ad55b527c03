/**
 * The other thread of a calibration: it does one thing at a time for the thread that measures, which waits for it in memory.
 *
 *  1. Whoever measures writes operation and arguments, then raises ASKED.   2. The partner does it and writes its result.
 *  3. It raises DONE.   Meanwhile the asker may sleep in the kernel; neither needs the other's event loop.
 *
 * `spin` runs until STOP is raised: a CPU that is busy in this address space, which whoever unmaps something must interrupt.
 */

import { checked, libc } from '../sys/libc.ts'
import { Mapping } from '../sys/mapping.ts'
import type { Calls } from './calls.ts'

export const PARTNER_BYTES = 256
/** Words of the shared memory; its second half are numbers: arguments, the result first. */
const ASKED = 0
const DONE = 1
const OPERATION = 2
const STOP = 3
/** Counts while it spins. */
const SPINS = 4
const BALL = 16
const NUMBERS = 128

const OPERATIONS = ['pin', 'spin', 'touch', 'echo', 'drain', 'bounce', 'end'] as const
type Operation = (typeof OPERATIONS)[number]

/** So long a calibration waits for its partner, ms; what takes longer hangs. */
const PATIENCE_MS = 30_000

export class Partner {
  readonly #words: Int32Array
  readonly #numbers: Float64Array

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared)
    this.#numbers = new Float64Array(shared, NUMBERS)
  }

  /** Its thread runs on this CPU; -1: on any. */
  pin(cpu: number): void {
    this.#ask('pin', [cpu])
    this.wait()
  }

  /** Touches one word each of pages from `address` on; the result of `wait` is what all took, ns. */
  touch(address: number, pages: number): void {
    this.#ask('touch', [address, pages])
  }

  /** Reads `bytes` from one descriptor and writes them to another, so many times. */
  echo(from: number, to: number, times: number, bytes: number): void {
    this.#ask('echo', [from, to, times, bytes])
  }

  /** Reads so many bytes and throws them away. */
  drain(from: number, bytes: number): void {
    this.#ask('drain', [from, bytes])
  }

  /** Keeps a CPU busy while `measure` runs. */
  whileSpinning<T>(measure: () => T): T {
    const words = this.#words
    Atomics.store(words, STOP, 0)
    const before = this.spins
    this.#ask('spin', [])
    while (this.spins === before);
    try {
      return measure()
    } finally {
      Atomics.store(words, STOP, 1)
      this.wait()
    }
  }

  /** Grows while it spins, and has a CPU. */
  get spins(): number {
    return Atomics.load(this.#words, SPINS)
  }

  /** A word goes to the other CPU's cache and back, so many times; ns for one way. */
  bounce(times: number): number {
    const words = this.#words
    Atomics.store(words, BALL, 0)
    this.#ask('bounce', [times])
    const startedAt = performance.now()
    for (let i = 0; i < times; i++) {
      while (Atomics.load(words, BALL) !== 2 * i + 1);
      Atomics.store(words, BALL, 2 * i + 2)
    }
    const ns = (performance.now() - startedAt) * 1e6
    this.wait()
    return ns / (2 * times)
  }

  end(): void {
    this.#ask('end', [])
  }

  #ask(operation: Operation, numbers: readonly number[]): void {
    this.#numbers.set(numbers)
    this.#words[OPERATION] = OPERATIONS.indexOf(operation)
    Atomics.store(this.#words, DONE, 0)
    Atomics.add(this.#words, ASKED, 1)
    Atomics.notify(this.#words, ASKED)
  }

  /** Until it is done; its result. */
  wait(): number {
    const answered = Atomics.wait(this.#words, DONE, 0, PATIENCE_MS)
    if (answered === 'timed-out') throw new Error(`the other thread of the calibration hangs`)
    return this.#numbers[0] ?? 0
  }
}

/** What the partner's thread runs, until it is told to end. */
export function bePartner(shared: SharedArrayBuffer, calls: Calls, cpus: readonly number[]): void {
  const words = new Int32Array(shared)
  const numbers = new Float64Array(shared, NUMBERS)
  const buffer = Mapping.anonymous(1 << 18, { populate: true })
  for (let served = 0; ; ) {
    Atomics.wait(words, ASKED, served)
    served = Atomics.load(words, ASKED)
    const operation = OPERATIONS[words[OPERATION] ?? 0] ?? 'end'
    if (operation === 'end') return
    numbers[0] = serve(operation, numbers, words, calls, cpus, buffer)
    Atomics.store(words, DONE, 1)
    Atomics.notify(words, DONE)
  }
}

function serve(
  operation: Exclude<Operation, 'end'>,
  numbers: Float64Array,
  words: Int32Array,
  calls: Calls,
  cpus: readonly number[],
  buffer: Mapping,
): number {
  const [first = 0, second = 0, third = 0, fourth = 0] = numbers
  switch (operation) {
    case 'pin':
      calls.pin(first < 0 ? cpus : [first])
      return 0
    case 'spin':
      while (Atomics.load(words, STOP) === 0) Atomics.add(words, SPINS, 1)
      return 0
    case 'touch': {
      const memory = new Uint32Array(Mapping.existing(first, second * 4096).buffer)
      const startedAt = performance.now()
      for (let i = 0; i < memory.length; i += 1024) memory[i] = i
      return (performance.now() - startedAt) * 1e6
    }
    case 'echo':
      for (let i = 0; i < third; i++) {
        readWhole(first, buffer.address, fourth)
        checked(libc().write(second, buffer.address, fourth), 'write')
      }
      return 0
    case 'drain':
      for (let left = second; left > 0; ) left -= checked(libc().read(first, buffer.address, buffer.length), 'read')
      return 0
    case 'bounce':
      for (let i = 0; i < first; i++) {
        Atomics.store(words, BALL, 2 * i + 1)
        while (Atomics.load(words, BALL) !== 2 * i + 2);
      }
      return 0
  }
}

export function readWhole(fd: number, address: number, bytes: number): void {
  for (let left = bytes; left > 0; ) {
    const got = checked(libc().read(fd, address, left), 'read')
    if (got === 0) throw new Error('the other end of a calibration was closed')
    left -= got
  }
}
