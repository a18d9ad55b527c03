/**
 * What one step of the step gear really touched: the ground on which a search says that two steps commute.
 *
 * A step is the access that its task announced, and whatever the task does on the way to its next announcement: it leaves a
 * lock, wakes a sleeper, takes an entry off a queue. The engine records the announced access; the code that does the rest says
 * so with `touch`. A field that is only ever used under one lock needs no word of its own: taking and leaving the lock order it.
 *
 * Two steps depend on each other when they touch the same object, unless both only read it, or both only enter or leave a
 * lock that they share. Recording is on while a search needs it, and one module holds it, because the structures of the
 * model do not know which engine runs them. One engine runs at a time in a thread of the host.
 */
import { AccessMode } from './op.ts'

/** Names of (object, label) pairs as small numbers, for one search. */
export class Names {
  readonly #labels = new Map<string, Map<number, number>>()
  readonly #objects: number[] = []
  readonly #words: string[] = []

  id(object: number, label: string): number {
    let byObject = this.#labels.get(label)
    if (byObject === undefined) {
      byObject = new Map()
      this.#labels.set(label, byObject)
    }
    let id = byObject.get(object)
    if (id === undefined) {
      id = this.#objects.length
      byObject.set(object, id)
      this.#objects.push(object)
      this.#words.push(label)
    }
    return id
  }

  label(id: number): string {
    return this.#words[id]
  }

  object(id: number): number {
    return this.#objects[id]
  }

  get size(): number {
    return this.#objects.length
  }
}

/** The footprint of a step: pairs (name, mode), in the order in which they happened. */
export type Footprint = readonly number[]

let names: Names | null = null
let current: number[] = []

/** True while somebody records. */
export function isRecording(): boolean {
  return names !== null
}

/** From now on steps are recorded under these names; null: no longer. */
export function recordFootprints(under: Names | null): void {
  names = under
  current = []
}

/** The running step touches `object`. Costs one test while nobody records. */
export function touch(object: number, label: string, mode: AccessMode): void {
  if (names !== null) current.push(names.id(object, label), mode)
}

/** What was touched since the last call was no part of a step: whoever looks on touched it. */
export function forgetTouched(): void {
  if (current.length > 0) current = []
}

/** What was touched since the last call; the caller keeps the array. */
export function takeFootprint(): Footprint {
  const taken = current
  current = []
  return taken
}

/** Modes that change nothing for others that use one of them too. */
function isShared(mode: number): boolean {
  return mode === AccessMode.acquireShared || mode === AccessMode.releaseShared
}

/** Whether two accesses of one object may not be exchanged. */
export function modesConflict(a: number, b: number): boolean {
  if (a === AccessMode.read && b === AccessMode.read) return false
  return !(isShared(a) && isShared(b))
}

/** Whether two steps may not be exchanged. */
export function footprintsConflict(a: Footprint, b: Footprint): boolean {
  for (let i = 0; i < a.length; i += 2) {
    for (let j = 0; j < b.length; j += 2) if (a[i] === b[j] && modesConflict(a[i + 1], b[j + 1])) return true
  }
  return false
}
