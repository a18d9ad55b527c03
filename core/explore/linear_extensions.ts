/**
 * How many interleavings a trace stands for: the linear extensions of its happens-before order, counted exactly.
 *
 * A cut is a set of events that contains with each event all that happen before it: how many events of each task it has, written
 * as one number. The ways to a cut are the sum of the ways to the cuts that lack one event of it; so the cuts of one event
 * give those of two, and so on to the whole run. Only cuts that can be reached are ever made. The ways are kept as two
 * doubles, exact below 2^102; a trace that has more, or too many cuts, is not counted.
 *
 * Source: the standard dynamic program over the lattice of consistent cuts.
 */
import { type HappensBefore, MAX_TASKS } from './happens_before.ts'
import type { Long } from './search.ts'
import type { SearchProgress } from './verdict.ts'

/** Cuts of one trace beyond which it is not counted. */
export const CUTS_A_TRACE = 1 << 20

/** Cuts of all traces of a search beyond which it stops counting. */
export const CUTS_A_SEARCH = 1 << 26

/** Cuts between two yields: a few milliseconds. */
const CUTS_A_YIELD = 1 << 12

/** What the upper of the two doubles counts. */
const UPPER = 2 ** 50

export class LinearExtensions {
  /** Cuts that have been looked at, of all traces counted so far. */
  cuts = 0
  /** Tasks that have events, by their numbers in the order. */
  readonly #tasks: number[] = []
  /** By place in #tasks: events of the task, and how far apart two cuts lie that differ by one of them. */
  readonly #lengths = new Int32Array(MAX_TASKS)
  readonly #strides = new Float64Array(MAX_TASKS)
  /** By place in #tasks: where the rows of its events begin in #needs. */
  readonly #rows = new Int32Array(MAX_TASKS)
  /** A row an event: how many events of each task have to come before it. */
  #needs = new Int32Array(1024)
  /** By event: how many of its own task came before. */
  #place = new Int32Array(64)
  readonly #counts = new Int32Array(MAX_TASKS)
  #here = new Level()
  #next = new Level();

  /** Null if there are too many cuts, or too many ways. Yields `progress` on the way. */
  *count(order: HappensBefore, progress: SearchProgress): Long<bigint | null> {
    if (!this.#measure(order)) return null
    this.#fillNeeds(order)
    this.#here.clear()
    this.#here.add(0, 0, 1)
    let cuts = 0
    let looked = 0
    for (let events = 0; events < order.length; events++) {
      const here = this.#here
      cuts += here.size
      if (this.cuts + cuts > CUTS_A_SEARCH || cuts > CUTS_A_TRACE) return null
      this.#next.clear()
      for (let i = 0; i < here.size; i++) {
        this.#extend(here.cut(i), here.upper(i), here.lower(i))
        if (++looked % CUTS_A_YIELD === 0) yield progress
      }
      this.#here = this.#next
      this.#next = here
    }
    this.cuts += cuts
    const upper = this.#here.upper(0)
    if (upper > Number.MAX_SAFE_INTEGER) return null
    return BigInt(upper) * BigInt(UPPER) + BigInt(this.#here.lower(0))
  }

  /** False if cuts cannot be written as numbers. */
  #measure(order: HappensBefore): boolean {
    const counts = this.#counts.fill(0)
    if (this.#place.length < order.length) this.#place = new Int32Array(order.length * 2)
    for (let event = 0; event < order.length; event++) this.#place[event] = counts[order.taskOf(event)]++
    this.#tasks.length = 0
    let cuts = 1
    let rows = 0
    for (let task = 0; task < order.ids.length; task++) {
      if (counts[task] === 0) continue
      const at = this.#tasks.push(task) - 1
      this.#lengths[at] = counts[task]
      this.#strides[at] = cuts
      this.#rows[at] = rows
      rows += counts[task]
      cuts *= counts[task] + 1
    }
    return cuts <= Number.MAX_SAFE_INTEGER
  }

  #fillNeeds(order: HappensBefore): void {
    const tasks = this.#tasks
    const width = tasks.length
    if (this.#needs.length < order.length * width) this.#needs = new Int32Array(order.length * width * 2)
    for (let event = 0; event < order.length; event++) {
      const own = tasks.indexOf(order.taskOf(event))
      const row = (this.#rows[own] + this.#place[event]) * width
      for (let t = 0; t < width; t++) {
        const clock = t === own ? 0 : order.clock(event, tasks[t])
        this.#needs[row + t] = clock === 0 ? 0 : this.#place[clock - 1] + 1
      }
    }
  }

  /** Adds the ways to a cut to all cuts that have one event more. */
  #extend(cut: number, upper: number, lower: number): void {
    const counts = this.#counts
    let rest = cut
    for (let t = this.#tasks.length - 1; t >= 0; t--) {
      counts[t] = Math.floor(rest / this.#strides[t])
      rest -= counts[t] * this.#strides[t]
    }
    for (let t = 0; t < this.#tasks.length; t++) if (this.#mayFollow(t)) this.#next.add(cut + this.#strides[t], upper, lower)
  }

  /** Whether the next event of the task at place `t` may come after the cut of these counts. */
  #mayFollow(t: number): boolean {
    const counts = this.#counts
    if (counts[t] === this.#lengths[t]) return false
    const width = this.#tasks.length
    const row = (this.#rows[t] + counts[t]) * width
    for (let u = 0; u < width; u++) if (this.#needs[row + u] > counts[u]) return false
    return true
  }
}

/** The cuts of so many events with the ways to each: a hash table with open addressing. */
class Level {
  size = 0
  #cuts = new Float64Array(64)
  #upper = new Float64Array(64)
  #lower = new Float64Array(64)
  /** One more than the place of a cut; 0: free. Twice as many as there may be cuts. */
  #slots = new Int32Array(128)
  /** By place: its slot. */
  #slotOf = new Int32Array(64)

  cut(place: number): number {
    return this.#cuts[place]
  }

  upper(place: number): number {
    return this.#upper[place]
  }

  lower(place: number): number {
    return this.#lower[place]
  }

  clear(): void {
    for (let place = 0; place < this.size; place++) this.#slots[this.#slotOf[place]] = 0
    this.size = 0
  }

  add(cut: number, upper: number, lower: number): void {
    const mask = this.#slots.length - 1
    let slot = Math.imul(cut % 4294967291, 0x9e3779b1) >>> 8
    for (slot &= mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const place = this.#slots[slot] - 1
      if (this.#cuts[place] !== cut) continue
      const sum = this.#lower[place] + lower
      const carry = sum >= UPPER ? 1 : 0
      this.#lower[place] = sum - carry * UPPER
      this.#upper[place] += upper + carry
      return
    }
    if (this.size === this.#cuts.length) {
      this.#grow()
      this.add(cut, upper, lower)
      return
    }
    const place = this.size++
    this.#cuts[place] = cut
    this.#upper[place] = upper
    this.#lower[place] = lower
    this.#slots[slot] = place + 1
    this.#slotOf[place] = slot
  }

  #grow(): void {
    const { size } = this
    const [cuts, upper, lower] = [this.#cuts, this.#upper, this.#lower]
    this.#cuts = new Float64Array(size * 2)
    this.#upper = new Float64Array(size * 2)
    this.#lower = new Float64Array(size * 2)
    this.#slotOf = new Int32Array(size * 2)
    this.#slots = new Int32Array(size * 4)
    this.size = 0
    for (let i = 0; i < size; i++) this.add(cuts[i], upper[i], lower[i])
  }
}
