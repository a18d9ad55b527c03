/**
 * What the threads of one machine tell each other: cells of shared memory, and a bell behind each that changes.
 *
 * A machine is a process; its main thread answers the coordinator, and everything that can sleep in the kernel or in a socket is a
 * thread of its own. Nothing here reaches the other machine: that is the stream's.
 */

const CELLS = [
  /** The vCPUs of this machine may run. */
  'run',
  /** vCPUs that do not run: all of them, when the guest stands. */
  'standing',
  /** Threads that are ready to begin; the guest may boot; vCPUs that have. */
  'threads',
  'mayBoot',
  'booted',
  /** The migration begins; the port to connect to, if it is one. */
  'migrating',
  'port',
  /** Everything ends. */
  'exit',
  /** What the guest misses will never come: whoever slept on it gives up (vcpu_thread.ts). */
  'abandoned',
  /** Somebody said migrate_cancel. */
  'cancelled',
  /** The link does not work: no connection can be made. */
  'linkDown',
  /** How many connections there were; the descriptors of the newest. */
  'connection',
  'stream',
  'urgent',
  /** The newest connection is broken. */
  'broken',
  /** A new connection may be tried: as many as were asked for. */
  'recoveries',
  /** Source: what the destination said at its end. 0: nothing yet, 1: it has everything, 2: an error. */
  'shut',
  /** Source: connections whose bitmap of received pages has come, and that were resumed. */
  'reloaded',
  'resumed',
  /** Source: the urgent channel may be used from here on. */
  'postcopy',
  /** Source: requests taken off the wire, and those that the migration thread has looked at. */
  'requested',
  'looked',
  /** Source: guard the pacer, and the urgent channel. */
  'pacing',
  'urgentBusy',
  /** Destination: the memory is armed, and the urgent channel has been read to its end. */
  'armed',
  'urgentOver',
] as const
export type Cell = (typeof CELLS)[number]

const INDEX = Object.fromEntries(CELLS.map((name, i) => [name, i])) as Readonly<Record<Cell, number>>
const WORDS = 64

export interface SharedControl {
  readonly cells: SharedArrayBuffer
  /** Source: pages asked for, a ring. */
  readonly requests: SharedArrayBuffer
  /** Source: 1 for a page that was sent, where two threads send. */
  readonly sent: SharedArrayBuffer
  /** Source: pages that the destination has received, after a break; 1 each. */
  readonly received: SharedArrayBuffer
  /** Where each vCPU stands in its workload: blocks filled, and the next access of the newest. */
  readonly places: SharedArrayBuffer
  /** Source: when the link is free again (pacer.ts). */
  readonly pace: SharedArrayBuffer
}

export function newControl(pages: number, vcpus: number): SharedControl {
  return {
    cells: new SharedArrayBuffer(WORDS * 4),
    requests: new SharedArrayBuffer(ringSize(pages) * 4),
    sent: new SharedArrayBuffer(pages),
    received: new SharedArrayBuffer(pages),
    places: new SharedArrayBuffer(vcpus * 2 * 8),
    pace: new SharedArrayBuffer(8),
  }
}

/** A page is asked for once, and once more after each recovery: room for many. */
function ringSize(pages: number): number {
  return 2 ** Math.ceil(Math.log2(pages * 2 + 1024))
}

export class Control {
  readonly requests: Int32Array
  readonly sent: Uint8Array
  readonly received: Uint8Array
  readonly places: Float64Array
  readonly #cells: Int32Array

  constructor(shared: SharedControl) {
    this.#cells = new Int32Array(shared.cells)
    this.requests = new Int32Array(shared.requests)
    this.sent = new Uint8Array(shared.sent)
    this.received = new Uint8Array(shared.received)
    this.places = new Float64Array(shared.places)
  }

  get(cell: Cell): number {
    return Atomics.load(this.#cells, INDEX[cell])
  }

  is(cell: Cell): boolean {
    return Atomics.load(this.#cells, INDEX[cell]) !== 0
  }

  /** And rings the bell. */
  set(cell: Cell, value: number): void {
    Atomics.store(this.#cells, INDEX[cell], value)
    Atomics.notify(this.#cells, INDEX[cell])
  }

  /** Answers the new value. */
  add(cell: Cell, value: number): number {
    const now = Atomics.add(this.#cells, INDEX[cell], value) + value
    Atomics.notify(this.#cells, INDEX[cell])
    return now
  }

  /** Sleeps as long as the cell has this value, and no longer than that; not in a main thread. */
  wait(cell: Cell, value: number, ms: number): void {
    Atomics.wait(this.#cells, INDEX[cell], value, ms)
  }

  /** Only one thread at a time runs `f`; what it does is short. */
  exclusively<T>(lock: Cell, f: () => T): T {
    while (Atomics.compareExchange(this.#cells, INDEX[lock], 0, 1) !== 0) this.wait(lock, 1, 1)
    try {
      return f()
    } finally {
      this.set(lock, 0)
    }
  }
}
