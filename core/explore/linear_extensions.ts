/**
 * How many interleavings a trace stands for: the linear extensions of its happens-before order, counted exactly.
 *
 * A cut is a set of events that contains with each event all that happen before it; it is named by how many events of each task
 * it has. The ways to a cut are the sum of the ways to the cuts that lack one event of it. Cuts are numbered so that a
 * larger cut comes later. Numbers are doubles while they are exact, and big integers from the first that would not be.
 *
 * Source: the standard dynamic program over the lattice of consistent cuts.
 */
import { type HappensBefore, MAX_TASKS } from './happens_before.ts'

/** Cuts of one trace beyond which it is not counted. */
export const CUTS_A_TRACE = 1 << 22

/** Cuts of all traces of a search beyond which it stops counting. */
export const CUTS_A_SEARCH = 1 << 28

export class LinearExtensions {
  /** Cuts that have been looked at. */
  cuts = 0
  /** Tasks that have events, by their numbers in the order. */
  readonly #tasks: number[] = []
  /** By place in #tasks: events of the task, and how far apart two cuts lie that differ by one of them. */
  readonly #lengths = new Int32Array(MAX_TASKS)
  readonly #strides = new Int32Array(MAX_TASKS)
  /** By place in #tasks: where the rows of its events begin in #needs. */
  readonly #rows = new Int32Array(MAX_TASKS)
  /** A row an event: how many events of each task have to come before it. */
  #needs = new Int32Array(1024)
  /** By event: how many of its own task came before. */
  #place = new Int32Array(64)
  readonly #counts = new Int32Array(MAX_TASKS)
  #ways = new Float64Array(1024)

  /** Null if there are too many cuts. */
  count(order: HappensBefore): bigint | null {
    const cuts = this.#measure(order)
    if (cuts > CUTS_A_TRACE || this.cuts + cuts > CUTS_A_SEARCH) return null
    this.cuts += cuts
    this.#fillNeeds(order)
    return this.#inDoubles(cuts) ?? this.#inBigInts(cuts)
  }

  #measure(order: HappensBefore): number {
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
      cuts = Math.min(cuts * (counts[task] + 1), CUTS_A_TRACE + 1)
    }
    return cuts
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

  /** Whether the next event of the task at place `t` may come after the cut of these counts. */
  #mayFollow(t: number): boolean {
    const counts = this.#counts
    if (counts[t] === this.#lengths[t]) return false
    const width = this.#tasks.length
    const row = (this.#rows[t] + counts[t]) * width
    for (let u = 0; u < width; u++) if (this.#needs[row + u] > counts[u]) return false
    return true
  }

  /** Makes the counts those of the cut with the next number. */
  #nextCut(): void {
    for (let t = 0; t < this.#tasks.length; t++) {
      if (++this.#counts[t] <= this.#lengths[t]) return
      this.#counts[t] = 0
    }
  }

  /** Null once a number is no longer exact. */
  #inDoubles(cuts: number): bigint | null {
    if (this.#ways.length < cuts) this.#ways = new Float64Array(cuts * 2)
    const ways = this.#ways.fill(0, 0, cuts)
    this.#counts.fill(0)
    ways[0] = 1
    for (let cut = 0; cut < cuts; cut++, this.#nextCut()) {
      const here = ways[cut]
      if (here === 0) continue
      if (here > Number.MAX_SAFE_INTEGER) return null
      for (let t = 0; t < this.#tasks.length; t++) if (this.#mayFollow(t)) ways[cut + this.#strides[t]] += here
    }
    return BigInt(ways[cuts - 1])
  }

  #inBigInts(cuts: number): bigint {
    const ways = new Map<number, bigint>([[0, 1n]])
    this.#counts.fill(0)
    for (let cut = 0; cut < cuts - 1; cut++, this.#nextCut()) {
      const here = ways.get(cut)
      if (here === undefined) continue
      ways.delete(cut)
      for (let t = 0; t < this.#tasks.length; t++) {
        if (!this.#mayFollow(t)) continue
        const next = cut + this.#strides[t]
        ways.set(next, (ways.get(next) ?? 0n) + here)
      }
    }
    return ways.get(cuts - 1) ?? 0n
  }
}
