/**
 * The order that one run's steps have among each other, up to the exchange of independent steps, and which of them race.
 *
 * - An event is a step that was run; events are numbered by their place in the run. Each has a vector clock: by task, one more
 *   than the number of the last event of that task that happens before it (or is it).
 * - Two events of different tasks are ordered when their footprints conflict; an event also comes after the one before it of its
 *   own task, and the first of a task after the one that spawned it.
 * - An event races with a step when nothing in between orders them, and the step could have come first. A step that waited
 *   (at a gate, or to be woken) could not have come before what let it go on; then the event further back that shut
 *   its way is looked for: for a lock taken after its release, the taking of it. Where the records cannot tell, both are
 *   answered: a race too many costs time, one too few would lose interleavings.
 *
 * This relies on two things. A step that opens or shuts a gate touches a name that the gate looks at (Gate). And
 * who releases (AccessMode) has held until then, so that an acquire at a gate of that name could not have come just before.
 *
 * Columns are typed arrays that grow with the longest run; a run is taken back to a prefix with `truncate`.
 */
import { assert } from '../base/assert.ts'
import { type Footprint, modesConflict, Names } from '../engine/footprint.ts'
import { AccessMode } from '../engine/op.ts'

/** Tasks of one program, all runs together. */
export const MAX_TASKS = 64

type Possible = 'yes' | 'no' | 'maybe'

export class HappensBefore {
  readonly names = new Names()
  /** Events of the run so far. */
  length = 0
  /** Ids of the tasks that were seen in any run; everything else numbers tasks by their place here. */
  readonly ids: number[] = []
  readonly footprints: Footprint[] = []
  #taskOf = new Int32Array(64)
  /** The event before, of the same task or of its spawner; -1: none. */
  #previous = new Int32Array(64)
  #clocks = new Int32Array(64 * MAX_TASKS)
  /** Which tasks were ready before an event. */
  #ready = new Uint8Array(64 * MAX_TASKS)
  /** By task: its last event, or the one that spawned it. */
  readonly #last = new Int32Array(MAX_TASKS).fill(-1)
  /** By name: pairs of event and mode, in the order of the run. */
  readonly #accesses: number[][] = []
  readonly #numbers = new Map<number, number>()
  readonly #covered = new Int32Array(MAX_TASKS)
  readonly #candidates: number[] = []

  /** The number of a task by its id. */
  task(id: number): number {
    let number = this.#numbers.get(id)
    if (number === undefined) {
      number = this.ids.length
      assert(number < MAX_TASKS, `more than ${MAX_TASKS} tasks in one program`)
      this.#numbers.set(id, number)
      this.ids.push(id)
    }
    return number
  }

  taskOf(event: number): number {
    return this.#taskOf[event]
  }

  /** The last event of a task, or the one that spawned it; -1: none. */
  lastOf(task: number): number {
    return this.#last[task]
  }

  /** The task exists from now on. */
  born(task: number): void {
    this.#last[task] = this.length - 1
  }

  /** One more than the last event of `task` that happens before `event` or is it; 0: none. */
  clock(event: number, task: number): number {
    return this.#clocks[event * MAX_TASKS + task]
  }

  happensBefore(event: number, later: number): boolean {
    return this.#clocks[later * MAX_TASKS + this.#taskOf[event]] > event
  }

  /** Notes the tasks that are ready before the next event. */
  setReady(tasks: Uint8Array): void {
    this.#grow()
    this.#ready.set(tasks, this.length * MAX_TASKS)
  }

  wasReady(event: number, task: number): boolean {
    return this.#ready[event * MAX_TASKS + task] === 1
  }

  #grow(): void {
    if (this.length < this.#taskOf.length) return
    const size = this.length * 2
    this.#taskOf = widened(this.#taskOf, new Int32Array(size))
    this.#previous = widened(this.#previous, new Int32Array(size))
    this.#clocks = widened(this.#clocks, new Int32Array(size * MAX_TASKS))
    this.#ready = widened(this.#ready, new Uint8Array(size * MAX_TASKS))
  }

  #list(name: number): number[] {
    while (this.#accesses.length <= name) this.#accesses.push([])
    return this.#accesses[name]
  }

  /** Adds the step that was just run. */
  append(task: number, footprint: Footprint): void {
    this.#grow()
    const event = this.length
    const row = event * MAX_TASKS
    const previous = this.#last[task]
    const clocks = this.#clocks
    if (previous < 0) clocks.fill(0, row, row + MAX_TASKS)
    else clocks.copyWithin(row, previous * MAX_TASKS, (previous + 1) * MAX_TASKS)
    for (let i = 0; i < footprint.length; i += 2) {
      const mode = footprint[i + 1]
      const list = this.#list(footprint[i])
      for (let k = list.length - 2; k >= 0; k -= 2) {
        if (modesConflict(list[k + 1], mode)) this.#join(clocks, row, list[k])
        if (ordersAll(list[k + 1])) break
      }
    }
    clocks[row + task] = event + 1
    for (let i = 0; i < footprint.length; i += 2) this.#accesses[footprint[i]].push(event, footprint[i + 1])
    this.#taskOf[event] = task
    this.#previous[event] = previous
    this.footprints[event] = footprint
    this.#last[task] = event
    this.length = event + 1
  }

  #join(into: Int32Array, at: number, event: number): void {
    const from = event * MAX_TASKS
    const clocks = this.#clocks
    for (let t = 0; t < this.ids.length; t++) if (clocks[from + t] > into[at + t]) into[at + t] = clocks[from + t]
  }

  /** Back to the first `length` events. */
  truncate(length: number): void {
    while (this.length > length) {
      const event = --this.length
      const footprint = this.footprints[event]
      for (let i = 0; i < footprint.length; i += 2) this.#accesses[footprint[i]].length -= 2
      this.#last[this.#taskOf[event]] = this.#previous[event]
    }
  }

  /**
   * Events that race with a step of `task` that comes now (or would, were it ready: `pending`), the latest first. `gates`: for so
   * many of the first names of its footprint the step had to wait, or may have had to.
   */
  races(task: number, footprint: Footprint, gates: number, pending: boolean): readonly number[] {
    const candidates = this.#conflicting(task, footprint, gates > 0)
    if (candidates.length === 0) return candidates
    const covered = this.#covered
    const previous = this.#last[task]
    covered.fill(0)
    if (previous >= 0) this.#join(covered, 0, previous)
    let kept = 0
    for (const event of candidates) {
      if (covered[this.#taskOf[event]] > event) continue
      const possible = gates > 0 ? this.#couldPrecede(event, task, footprint, gates, pending) : 'yes'
      if (possible === 'no') continue
      candidates[kept++] = event
      // What happens before a race is reversed with after that race is.
      if (possible === 'yes') this.#join(covered, 0, event)
    }
    candidates.length = kept
    return candidates
  }

  /** Events that conflict with the step and do not come before it by its own task's order; the latest first, each once. */
  #conflicting(task: number, footprint: Footprint, gated: boolean): number[] {
    const found = this.#candidates
    found.length = 0
    const previous = this.#last[task]
    for (let i = 0; i < footprint.length; i += 2) {
      const mode = footprint[i + 1]
      const list = this.#list(footprint[i])
      for (let k = list.length - 2; k >= 0; k -= 2) {
        const event = list[k]
        const known = previous >= 0 && (event === previous || this.happensBefore(event, previous))
        if (!known && modesConflict(list[k + 1], mode)) found.push(event)
        if (ordersAll(list[k + 1]) && (known || !gated)) break
      }
    }
    if (found.length < 2) return found
    found.sort((a, b) => b - a)
    let kept = 1
    for (let i = 1; i < found.length; i++) if (found[i] !== found[kept - 1]) found[kept++] = found[i]
    found.length = kept
    return found
  }

  /**
   * Could the waiting step have been run in the place of `event`, with all that comes after it and does not depend on it?
   * That is: does the gate stand open there? It depends on what those touch that conflicts with the names it looks at.
   */
  #couldPrecede(event: number, task: number, footprint: Footprint, gates: number, pending: boolean): Possible {
    let touches = false
    let leaves = true
    let kept = 0
    let lost = 0
    for (let i = 0; i < gates * 2; i += 2) {
      const mode = footprint[i + 1]
      const list = this.#list(footprint[i])
      for (let k = list.length - 2; k >= 0 && list[k] >= event; k -= 2) {
        if (!modesConflict(list[k + 1], mode)) continue
        if (list[k] === event) {
          touches = true
          if (!isRelease(list[k + 1]) || !isAcquire(mode)) leaves = false
        } else if (this.happensBefore(event, list[k])) lost++
        else kept++
      }
    }
    // The gate stands as it does now.
    if (!touches && lost === 0) return pending ? 'no' : 'yes'
    const waited = this.#last[task] < event
    if (waited && this.wasReady(event, task)) return kept === 0 ? 'yes' : 'maybe'
    if (touches && leaves) return 'no'
    if (kept > 0) return 'maybe'
    // The gate stands as it did before the event.
    if (waited) return 'no'
    return this.#isHeld(this.#list(footprint[0]), event, footprint[1]) ? 'no' : 'maybe'
  }

  /** Whether a lock is held before an event, as far as the modes in its list say. */
  #isHeld(list: readonly number[], event: number, mode: number): boolean {
    let released = 0
    for (let k = list.length - 2; k >= 0; k -= 2) {
      const access = list[k + 1]
      if (list[k] >= event || !modesConflict(access, mode)) continue
      if (access === AccessMode.acquire) return true
      if (access === AccessMode.releaseShared) released++
      else if (access === AccessMode.acquireShared && released-- === 0) return true
      else if (ordersAll(access)) return false
    }
    return false
  }
}

/** Conflicts with every access, so that all before it come before it. */
function ordersAll(mode: number): boolean {
  return mode === AccessMode.write || mode === AccessMode.acquire || mode === AccessMode.release
}

function isRelease(mode: number): boolean {
  return mode === AccessMode.release || mode === AccessMode.releaseShared
}

function isAcquire(mode: number): boolean {
  return mode === AccessMode.acquire || mode === AccessMode.acquireShared
}

function widened<T extends Int32Array | Uint8Array>(from: T, into: T): T {
  into.set(from)
  return into
}
