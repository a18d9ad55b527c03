/**
 * Memory that reorders: store buffers, and loads that are done early. Each buffer is a lane, a task whose steps the scheduler
 * chooses; the code under test is the same as on a machine that reorders nothing.
 *
 *     tso     one store buffer a CPU, first in, first out (x86)
 *     pso     one a CPU and location: stores to different locations become visible in any order
 *     pso+rl  pso, and loads that no read barrier keeps apart are done in any order
 *
 *  1. A store goes to the end of its buffer. Its CPU sees it at once, the others when the lane has taken it out.
 *  2. A load answers with its own CPU's newest buffered store to that location, else with what is visible.
 *  3. smp_mb: loads after it wait until the stores before it are visible. smp_wmb (pso): no store after it is taken out before
 *     one before it; later loads do not wait.
 *  4. Leaving a lock orders in one direction: the lock looks held until what was stored before is visible, but loads that follow
 *     need not wait. Taking one keeps later loads behind it. In tso, taking a lock, and leaving an rwsem, is a locked
 *     instruction: a full barrier, as on x86; leaving a spinlock is a plain store there, too.
 *  5. Loads that may be done early are said to follow (`ahead`); each is done by a lane at any time until its value is needed.
 *
 * Nothing is taken out by force: a barrier or a lock is a gate that waits for the lanes, so that each store becomes visible in
 * a step of its own and a search sees every order. A field itself holds what was stored last: who holds the lock that guards
 * it may read it directly, because by 4 the stores of the holder before are visible.
 *
 * Not modelled: a store that a later load of another size sees in part; dependent loads done early by guessing an address.
 * Source: P. Sewell et al., x86-TSO, CACM 2010; SPARC V9 manual, appendix D (PSO); tools/memory-model.
 */
import { fail } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import type { LockName, MemoryOrder, Place, Release, Watched } from '../engine/memory_order.ts'
import { AccessMode, type AccessOp, type Gate, type Proc } from '../engine/op.ts'
import type { Clock, Task } from '../engine/task.ts'

/** sc: no reordering. tso: store buffers, first in, first out. pso: one buffer a location. pso+rl: and loads done early. */
export const MEMORY_MODELS = ['sc', 'tso', 'pso', 'pso+rl'] as const
export type MemoryModel = (typeof MEMORY_MODELS)[number]

export function isMemoryModel(word: string): word is MemoryModel {
  return MEMORY_MODELS.some((model) => model === word)
}

/** Locations that one CPU may store to, and loads that it may have begun, in one run. Lanes are made at the start. */
const STORE_LANES = 8
const LOAD_LANES = 6

/** A location with stores on their way to it. */
interface Location {
  readonly place: Place<unknown>
  /** What every CPU sees that has no store of its own on the way. */
  visible: unknown
  onTheWay: number
  /** CPUs that stored to it since it was last at rest; more than one only where no lock orders them. */
  readonly writers: Set<Clock>
}

interface BufferedStore {
  readonly location: Location
  readonly value: unknown
  /** Its place among the stores of its CPU, and write barriers before it. */
  readonly nth: number
  readonly epoch: number
  readonly buffer: StoreBuffer
  /** Locks that were left after it and look held until it is visible. */
  readonly locks: LockName[]
  isVisible: boolean
}

/** One buffer of a CPU and its lane. */
class StoreBuffer {
  readonly stores: BufferedStore[] = []
  lane: Task | null = null
  /** pso: the one location it is for. */
  key: string | null = null

  constructor(readonly cpu: CpuMemory) {}

  get id(): number {
    return this.lane?.id ?? -1
  }

  touch(mode: AccessMode): void {
    touch(this.id, 'store buffer', mode)
  }
}

/** A load that its CPU has begun: done by a lane, then used once. */
class EarlyLoad {
  place: Place<unknown> | null = null
  isDone = true
  value: unknown = null
  lane: Task | null = null

  get id(): number {
    return this.lane?.id ?? -1
  }

  touch(mode: AccessMode): void {
    touch(this.id, 'load', mode)
  }
}

class CpuMemory {
  readonly buffers: StoreBuffer[] = []
  readonly loads: EarlyLoad[] = []
  /** All stores so far, in program order: what a barrier or a lock orders must not depend on what is visible already. */
  readonly stored: BufferedStore[] = []
  /** Counts smp_wmb, as far as there was a store since the last. */
  epoch = 0
  /** Loads wait for so many of `stored`: those before the last full barrier. */
  awaited = 0

  constructor(readonly clock: Clock) {}

  /** Stores of earlier epochs are all visible. */
  mayTakeOut(store: BufferedStore): boolean {
    return this.buffers.every((b) => b.stores.length === 0 || b.stores[0].epoch >= store.epoch)
  }
}

class Left implements Release {
  constructor(readonly stores: readonly BufferedStore[]) {}

  get isVisible(): boolean {
    return this.stores.every((s) => s.isVisible)
  }
}

const keyOf = (object: number, label: string) => `${label} ${object}`

export class WeakMemory implements MemoryOrder {
  readonly #cpus = new Map<Clock, CpuMemory>()
  readonly #locations = new Map<string, Location>()

  constructor(
    readonly model: Exclude<MemoryModel, 'sc'>,
    /** Protections that are left out: write barriers ask by name. */
    readonly without: ReadonlySet<string> = new Set(),
  ) {}

  /** Gives a CPU its buffers. `lane` makes a task on it that runs what it is given. */
  addCpu(clock: Clock, lane: (name: string, proc: Proc<void>) => Task): void {
    const cpu = new CpuMemory(clock)
    this.#cpus.set(clock, cpu)
    const count = this.model === 'tso' ? 1 : STORE_LANES
    for (let i = 0; i < count; i++) {
      const buffer = new StoreBuffer(cpu)
      cpu.buffers.push(buffer)
      buffer.lane = lane(`cpu${clock.id} store buffer${count === 1 ? '' : ` ${i}`}`, this.#drains(buffer))
      buffer.lane.daemon = true
    }
    if (this.model !== 'pso+rl') return
    for (let i = 0; i < LOAD_LANES; i++) {
      const load = new EarlyLoad()
      cpu.loads.push(load)
      load.lane = lane(`cpu${clock.id} load ${i}`, this.#loads(cpu, load))
      load.lane.daemon = true
    }
  }

  #cpu(k: Task): CpuMemory {
    return this.#cpus.get(k.clock) ?? fail(`${k.name} runs on a CPU without store buffers`)
  }

  #bufferOf(cpu: CpuMemory, object: number, label: string): StoreBuffer {
    if (this.model === 'tso') return cpu.buffers[0]
    const key = keyOf(object, label)
    const buffer = cpu.buffers.find((b) => b.key === key || b.key === null)
    if (buffer === undefined) fail(`cpu ${cpu.clock.id} stores to more than ${STORE_LANES} locations`)
    buffer.key = key
    return buffer
  }

  storing(k: Task, object: number, label: string): AccessOp {
    const { id } = this.#bufferOf(this.#cpu(k), object, label)
    return { kind: 'access', mode: AccessMode.write, object: id, label }
  }

  /** 1. */
  store<T>(k: Task, place: Place<T>, value: T): void {
    const cpu = this.#cpu(k)
    const key = keyOf(place.object, place.label)
    let location = this.#locations.get(key)
    if (location === undefined) {
      location = { place: place as Place<unknown>, visible: place.get(), onTheWay: 0, writers: new Set() }
      this.#locations.set(key, location)
    }
    const buffer = this.#bufferOf(cpu, place.object, place.label)
    const store = { location, value, nth: cpu.stored.length, epoch: cpu.epoch, buffer, locks: [], isVisible: false }
    // Those before the last write barrier open its way.
    touchAll(cpu.stored.filter((s) => s.epoch < store.epoch))
    buffer.stores.push(store)
    cpu.stored.push(store)
    buffer.touch(AccessMode.write)
    // A run is not over while a store is on its way.
    if (buffer.lane !== null) buffer.lane.daemon = false
    location.onTheWay++
    location.writers.add(k.clock)
    place.set(value)
  }

  *#drains(buffer: StoreBuffer): Proc<void> {
    const gate = gateOf(() => buffer.stores.length > 0 && buffer.cpu.mayTakeOut(buffer.stores[0]), 'a store')
    const op: AccessOp = {
      kind: 'access',
      mode: AccessMode.write,
      object: buffer.id,
      label: 'store buffer',
      gate,
    }
    for (;;) {
      yield op
      this.#takeOut(buffer)
    }
  }

  #takeOut(buffer: StoreBuffer): void {
    const store = buffer.stores.shift()
    if (store === undefined) fail('an empty store buffer drains')
    const { cpu } = buffer
    const { place } = store.location
    buffer.touch(AccessMode.write)
    touch(place.object, place.label, AccessMode.write)
    // It may open the gates of loads behind a full barrier, of stores behind a write barrier, and of locks.
    touch(cpu.clock.id, 'smp_mb', AccessMode.releaseShared)
    for (const other of cpu.buffers) if ((other.stores.at(-1)?.epoch ?? 0) > store.epoch) other.touch(AccessMode.read)
    if (store.nth < cpu.awaited) for (const load of cpu.loads) if (!load.isDone) load.touch(AccessMode.read)
    for (const { id, label } of store.locks) touch(id, label, AccessMode.write)
    if (buffer.lane !== null) buffer.lane.daemon = buffer.stores.length === 0
    store.isVisible = true
    const { location } = store
    location.visible = store.value
    if (--location.onTheWay > 0) return
    if (location.writers.size > 1) location.place.set(store.value)
    this.#locations.delete(keyOf(location.place.object, location.place.label))
  }

  loading(k: Task, object: number, label: string): AccessOp {
    const cpu = this.#cpu(k)
    const mode = AccessMode.read
    const early = earlyLoadOf(cpu, object, label)
    if (early !== null)
      return { kind: 'access', mode, object: early.id, label: 'load', gate: gateOf(() => early.isDone, 'a load') }
    if (cpu.awaited === 0) return { kind: 'access', mode, object, label }
    return { kind: 'access', mode, object: cpu.clock.id, label: 'smp_mb', gate: gateOf(() => isPast(cpu), 'its own stores') }
  }

  /** 2. */
  load<T>(k: Task, place: Place<T>): T {
    const cpu = this.#cpu(k)
    if (!isPast(cpu)) fail(`${k.name} loads ${place.label} before its barrier is done: the load was not announced`)
    cpu.awaited = 0
    const early = earlyLoadOf(cpu, place.object, place.label)
    if (early === null) return this.#loadNow(cpu, place) as T
    early.touch(AccessMode.read)
    early.place = null
    return early.value as T
  }

  #loadNow(cpu: CpuMemory, place: Place<unknown>): unknown {
    const { object, label } = place
    const location = this.#locations.get(keyOf(object, label))
    if (location?.writers.has(cpu.clock)) {
      const own = this.#bufferOf(cpu, object, label).stores.findLast((s) => s.location === location)
      if (own !== undefined) {
        own.buffer.touch(AccessMode.read)
        return own.value
      }
    }
    touch(object, label, AccessMode.read)
    return location === undefined ? place.get() : location.visible
  }

  view<T extends Watched>(k: Task, target: T): T {
    return new Proxy(target, {
      get: (object, field, receiver) => {
        const place = placeOf(object, field)
        return place === null ? Reflect.get(object, field, receiver) : this.load(k, place)
      },
      set: (object, field, value) => {
        const place = placeOf(object, field)
        if (place === null) return Reflect.set(object, field, value)
        this.store(k, place, value)
        return true
      },
    })
  }

  /** 5. */
  ahead<T extends Watched>(k: Task, target: T, fields: readonly (keyof T & string)[]): void {
    const cpu = this.#cpu(k)
    if (cpu.loads.length === 0) return
    touchAll(cpu.stored.slice(0, cpu.awaited))
    fields.forEach((field, i) => {
      const load = cpu.loads[i]
      load.place = placeOf(target, field)
      load.isDone = false
      load.touch(AccessMode.write)
    })
  }

  *#loads(cpu: CpuMemory, load: EarlyLoad): Proc<void> {
    const gate = gateOf(() => !load.isDone && load.place !== null && isPast(cpu), 'work')
    const op: AccessOp = { kind: 'access', mode: AccessMode.write, object: load.id, label: 'load', gate }
    for (;;) {
      yield op
      if (load.place === null) fail('a lane loads from nowhere')
      load.value = this.#loadNow(cpu, load.place)
      load.isDone = true
    }
  }

  /** 3. */
  fullBarrier(k: Task): void {
    const cpu = this.#cpu(k)
    cpu.awaited = cpu.stored.length
    nextEpoch(cpu)
    this.readBarrier(k)
  }

  writeBarrier(k: Task, name: string): void {
    if (!this.without.has(name)) nextEpoch(this.#cpu(k))
  }

  /** What was begun and not used is forgotten: nobody has seen what it answered. */
  readBarrier(k: Task): void {
    for (const load of this.#cpu(k).loads) load.place = null
  }

  /** 4. */
  release(k: Task, lock: LockName, before: Release | null, locked: boolean): Release | null {
    const { stored } = this.#cpu(k)
    // Whether the lock is open now depends on what is visible now.
    touchAll(stored)
    for (const store of stored) if (!store.isVisible) store.locks.push(lock)
    if (locked && this.model === 'tso') this.fullBarrier(k)
    const earlier = before instanceof Left ? before.stores : []
    return stored.length + earlier.length === 0 ? null : new Left([...earlier, ...stored])
  }

  acquire(k: Task): void {
    if (this.model === 'tso') this.fullBarrier(k)
    else this.readBarrier(k)
  }
}

/** A step depends on whether these have been taken out. */
function touchAll(stores: readonly BufferedStore[]): void {
  for (const { buffer } of stores) buffer.touch(AccessMode.read)
}

function gateOf(opens: () => boolean, what: string): Gate {
  return { opens, describe: () => what, holder: () => null }
}

function nextEpoch(cpu: CpuMemory): void {
  if (cpu.stored.at(-1)?.epoch === cpu.epoch) cpu.epoch++
}

/** Loads need not wait: what was stored before the last full barrier is visible. */
function isPast(cpu: CpuMemory): boolean {
  for (let i = 0; i < cpu.awaited; i++) if (!cpu.stored[i].isVisible) return false
  return true
}

function earlyLoadOf(cpu: CpuMemory, object: number, label: string): EarlyLoad | null {
  return cpu.loads.find(({ place }) => place !== null && place.object === object && place.label === label) ?? null
}

function placeOf(target: Watched, field: string | symbol): Place<unknown> | null {
  const label = typeof field === 'string' ? target.labelOf(field) : null
  if (label === null) return null
  return {
    object: target.id,
    label,
    get: () => Reflect.get(target, field),
    set: (value) => {
      Reflect.set(target, field, value)
    },
  }
}
