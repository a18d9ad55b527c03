/**
 * How many interleavings a trace stands for: the linear extensions of its happens-before order, counted exactly.
 *
 * A cut is a set of events that contains with each event all that happen before it; it is named by how many events of each task
 * it has. The ways to a cut are the sum of the ways to the cuts that lack one event of it. Numbers are doubles while
 * they are exact, and big integers from the first that would not be.
 *
 * Source: the standard dynamic program over the lattice of consistent cuts.
 */
import type { HappensBefore } from './happens_before.ts'

/** Cuts of one trace beyond which it is not counted. */
export const CUTS_A_TRACE = 1 << 22

/** Cuts of all traces of a search beyond which it stops counting. */
export const CUTS_A_SEARCH = 1 << 28

export class LinearExtensions {
  /** Cuts that have been looked at. */
  cuts = 0

  /** Null if the trace has too many cuts. */
  count(order: HappensBefore): bigint | null {
    const shape = shapeOf(order)
    if (shape === null || this.cuts + shape.cuts > CUTS_A_SEARCH) return null
    this.cuts += shape.cuts
    return inDoubles(shape) ?? inBigInts(shape)
  }
}

interface Shape {
  readonly cuts: number
  /** Events of each task that has any. */
  readonly lengths: readonly number[]
  /** How far apart two cuts lie that differ by one event of a task. */
  readonly strides: readonly number[]
  /** By task, then by event of it: how many events of each task have to come before. */
  readonly needs: readonly (readonly Int32Array[])[]
}

function shapeOf(order: HappensBefore): Shape | null {
  const events: number[][] = order.ids.map(() => [])
  const place = new Int32Array(order.length)
  for (let event = 0; event < order.length; event++) {
    const own = events[order.taskOf(event)]
    place[event] = own.length
    own.push(event)
  }
  const tasks = events.map((_, task) => task).filter((task) => events[task].length > 0)
  const strides: number[] = []
  let cuts = 1
  for (const task of tasks) {
    strides.push(cuts)
    cuts *= events[task].length + 1
    if (cuts > CUTS_A_TRACE) return null
  }
  const needs = tasks.map((task) =>
    events[task].map((event) =>
      Int32Array.from(tasks, (other) => {
        const clock = other === task ? 0 : order.clock(event, other)
        return clock === 0 ? 0 : place[clock - 1] + 1
      }),
    ),
  )
  return { cuts, lengths: tasks.map((task) => events[task].length), strides, needs }
}

/** Calls `visit` for each cut in turn, smaller ones first, with its number and its counts. */
function eachCut(shape: Shape, visit: (cut: number, counts: Int32Array) => boolean): boolean {
  const { cuts, lengths } = shape
  const counts = new Int32Array(lengths.length)
  for (let cut = 0; cut < cuts; cut++) {
    if (!visit(cut, counts)) return false
    for (let t = 0; t < lengths.length; t++) {
      if (++counts[t] <= lengths[t]) break
      counts[t] = 0
    }
  }
  return true
}

function isMet(need: Int32Array, counts: Int32Array): boolean {
  for (let t = 0; t < need.length; t++) if (need[t] > counts[t]) return false
  return true
}

/** Null once a number is no longer exact. */
function inDoubles(shape: Shape): bigint | null {
  const { cuts, lengths, strides, needs } = shape
  const ways = new Float64Array(cuts)
  ways[0] = 1
  const exact = eachCut(shape, (cut, counts) => {
    const here = ways[cut]
    if (here === 0) return true
    if (here > Number.MAX_SAFE_INTEGER) return false
    for (let t = 0; t < lengths.length; t++) {
      if (counts[t] < lengths[t] && isMet(needs[t][counts[t]], counts)) ways[cut + strides[t]] += here
    }
    return true
  })
  return exact ? BigInt(ways[cuts - 1]) : null
}

function inBigInts(shape: Shape): bigint {
  const { cuts, lengths, strides, needs } = shape
  const ways = new Map<number, bigint>([[0, 1n]])
  eachCut(shape, (cut, counts) => {
    const here = ways.get(cut)
    if (here === undefined) return true
    if (cut < cuts - 1) ways.delete(cut)
    for (let t = 0; t < lengths.length; t++) {
      if (counts[t] >= lengths[t] || !isMet(needs[t][counts[t]], counts)) continue
      const next = cut + strides[t]
      ways.set(next, (ways.get(next) ?? 0n) + here)
    }
    return true
  })
  return ways.get(cuts - 1) ?? 1n
}
