/**
 * Source-DPOR with sleep sets: runs one interleaving of each class that differs only by the exchange of independent steps.
 *
 * 1. A run follows the one before it up to the deepest depth with a choice still to try, takes that choice, and goes on with any
 *    ready task that is not asleep, the running one if it can.
 * 2. For each new step, the earlier events that race with it are found (happens_before.ts). To reverse a race (e, step), the
 *    search has to begin, in the place of e, with an initial of what follows e without depending on it, and then
 *    the step: if none of those is chosen or asleep there, one is added to the choices.
 * 3. A choice that has been searched falls asleep, with the footprint of its step, and sleeps until a step conflicts
 *    with it: whatever it could begin is known. A run in which all ready tasks sleep is broken off; it is a known one.
 * 4. At the end of a run, tasks that wait for something count as steps that would come now: their races are reversed too.
 * 5. Each complete run is a trace of its own, and stands for all linear extensions of its order: their number is added up.
 *
 * What is checked after each step is checked in one interleaving of each class; that finds whatever a step itself finds broken,
 * and what any end shows. Source: Abdulla, Aronis, Jonsson, Sagonas, "Optimal dynamic partial order reduction" (2014), section 4.
 */
import { gateNames, nextFootprint } from '../engine/execution.ts'
import { type Footprint, footprintsConflict, recordFootprints } from '../engine/footprint.ts'
import type { Task } from '../engine/task.ts'
import { HappensBefore, MAX_TASKS } from './happens_before.ts'
import { LinearExtensions } from './linear_extensions.ts'
import { LivelockWatch } from './livelock.ts'
import { footprintOf, type PlainFootprint, plainFootprint } from './plain_footprint.ts'
import type { Program } from './program.ts'
import { refuse } from './schedulers.ts'
import { type Long, type Search, type SearchOptions, STEP_LIMIT } from './search.ts'
import { counterexampleOf, Tally, type TallyState } from './tally.ts'
import type { Counterexample, Verdict } from './verdict.ts'
import { Walk } from './walk.ts'

/** What the search knows of one depth of the run. Tasks by their numbers in HappensBefore. */
class Place {
  readonly ready = new Uint8Array(MAX_TASKS)
  /** Choices to be searched here, the ones already searched too. */
  readonly choices = new Uint8Array(MAX_TASKS)
  /** Footprints of the next steps of the tasks that sleep. */
  readonly asleep: (Footprint | null)[] = new Array<Footprint | null>(MAX_TASKS).fill(null)
  /** Tasks that exist here. */
  born = 0
}

/** Where a search stands, as plain data. Tasks by their ids. */
export interface DporState {
  readonly tally: TallyState
  readonly interleavings: string | null
  readonly cuts: number
  readonly cut: boolean
  /** The interleavings of the last run are still to be counted. */
  readonly uncounted: boolean
  /** Cut runs that were looked at for a livelock. */
  readonly looks: number
  /** All tasks that were seen, in the order in which they were. */
  readonly ids: readonly number[]
  readonly places: readonly {
    readonly task: number
    readonly choices: readonly number[]
    readonly asleep: readonly (readonly [task: number, footprint: PlainFootprint])[]
  }[]
}

export function searchDpor(program: Program, options: SearchOptions = {}, from: DporState | null = null): Search {
  return new DporSearch(program, options, from).search()
}

export class DporSearch {
  readonly #tally: Tally
  readonly #livelocks: LivelockWatch
  readonly #order = new HappensBefore()
  readonly #extensions = new LinearExtensions()
  readonly #places: Place[] = []
  #interleavings: bigint | null = 0n
  #cut = false
  #uncounted = false

  constructor(
    readonly program: Program,
    readonly options: SearchOptions,
    from: DporState | null = null,
  ) {
    this.#livelocks = new LivelockWatch(program, from?.looks)
    this.#tally = new Tally(from?.tally)
    if (from !== null) this.#resume(from)
  }

  *search(): Search {
    const tally = this.#tally
    let choice = -1
    for (;;) {
      yield* this.#count()
      const fresh = tally.schedules === 0
      if (tally.schedules === this.options.schedules && (fresh || this.#frontier() > 0)) return this.#bounded()
      if (!fresh) {
        choice = this.#next()
        if (choice < 0) return this.#cut ? this.#bounded() : tally.verified('dpor', this.#interleavings)
      }
      const found = this.#run(choice)
      if (found !== null) return tally.violation('dpor', found)
      yield tally.progress(this.#frontier())
    }
  }

  /** Where the search stands; ask between two runs, that is at a yield or after a verdict that names a bound. */
  state(): DporState {
    const order = this.#order
    return {
      tally: this.#tally.state(),
      interleavings: this.#interleavings === null ? null : `${this.#interleavings}`,
      cuts: this.#extensions.cuts,
      cut: this.#cut,
      uncounted: this.#uncounted,
      looks: this.#livelocks.looks,
      ids: [...order.ids],
      places: this.#places.slice(0, order.length).map(({ choices, asleep }, depth) => ({
        task: order.ids[order.taskOf(depth)],
        choices: order.ids.filter((_, t) => choices[t] === 1),
        asleep: order.ids.flatMap((id, t) => {
          const footprint = asleep[t]
          return footprint === null ? [] : [[id, plainFootprint(order.names, footprint)] as const]
        }),
      })),
    }
  }

  /** Takes the last run's steps once more, so that their footprints and their order are known again. */
  #resume(from: DporState): void {
    this.#interleavings = from.interleavings === null ? null : BigInt(from.interleavings)
    this.#extensions.cuts = from.cuts
    this.#cut = from.cut
    this.#uncounted = from.uncounted
    const order = this.#order
    for (const id of from.ids) order.task(id)
    const walk = new Walk(this.program)
    recordFootprints(order.names)
    try {
      for (const { task, choices, asleep } of from.places) {
        const place = this.#enter(walk, walk.ready())
        for (const id of choices) place.choices[order.task(id)] = 1
        for (const [id, plain] of asleep) place.asleep[order.task(id)] = footprintOf(order.names, plain)
        walk.follow(task)
        order.append(order.task(task), walk.execution.footprint)
      }
    } finally {
      recordFootprints(null)
    }
  }

  #bounded(): Verdict {
    const { schedules, steps } = this.options
    return this.#tally.bounded('dpor', {
      ...(this.#tally.schedules === schedules && { schedules }),
      ...(this.#cut && { steps: steps ?? STEP_LIMIT }),
    })
  }

  /** 3. Lets what was searched fall asleep, and finds the deepest choice still to try; -1: all is searched. */
  #next(): number {
    const order = this.#order
    while (order.length > 0) {
      const depth = order.length - 1
      const place = this.#places[depth]
      place.asleep[order.taskOf(depth)] = order.footprints[depth]
      order.truncate(depth)
      for (let t = 0; t < order.ids.length; t++) if (place.choices[t] === 1 && place.asleep[t] === null) return t
    }
    return -1
  }

  #frontier(): number {
    let left = 0
    for (let depth = 0; depth < this.#order.length; depth++) {
      const { choices, asleep } = this.#places[depth]
      for (let t = 0; t < this.#order.ids.length; t++) if (choices[t] === 1 && asleep[t] === null) left++
      // The one being searched.
      left--
    }
    return left
  }

  /** 1. One run, with this choice after the prefix that is known; the counterexample if it breaks something. */
  #run(choice: number): Counterexample | null {
    const order = this.#order
    const walk = new Walk(this.program)
    for (let depth = 0; depth < order.length; depth++) walk.follow(order.ids[order.taskOf(depth)])
    recordFootprints(order.names)
    let ended = false
    try {
      ended = this.#goOn(walk, choice)
    } finally {
      recordFootprints(null)
    }
    this.#tally.ran(walk)
    const violation = ended ? walk.violation : this.#livelocks.look(walk)
    return violation === null ? null : counterexampleOf(walk, violation)
  }

  /** False if the run was cut at the limit. */
  #goOn(walk: Walk, first: number): boolean {
    const limit = this.options.steps ?? STEP_LIMIT
    const order = this.#order
    let choice = first
    while (walk.violation === null) {
      const ready = walk.ready()
      const place = choice < 0 ? this.#enter(walk, ready) : this.#places[order.length]
      if (ready.length === 0) {
        this.#end(walk)
        return true
      }
      if (walk.steps >= limit) {
        this.#cut = true
        return false
      }
      if (choice < 0) {
        choice = this.#awake(place, ready, walk.last)
        if (choice < 0) return true
        if (this.options.everyStep === true) place.choices.set(place.ready)
        place.choices[choice] = 1
      }
      this.#step(walk, taskOfId(ready, order.ids[choice], walk.steps), choice)
      choice = -1
    }
    return true
  }

  /** A depth that is reached for the first time since the last choice before it. */
  #enter(walk: Walk, ready: readonly Task[]): Place {
    const order = this.#order
    const depth = order.length
    while (this.#places.length <= depth) this.#places.push(new Place())
    const place = this.#places[depth]
    const tasks = walk.execution.tasks
    const before = depth === 0 ? null : this.#places[depth - 1]
    for (let i = before?.born ?? 0; i < tasks.length; i++) order.born(order.task(tasks[i].id))
    place.born = tasks.length
    place.choices.fill(0)
    place.ready.fill(0)
    for (const task of ready) place.ready[order.task(task.id)] = 1
    order.setReady(place.ready)
    this.#inherit(place, before)
    return place
  }

  /** 3. Who slept before the last step sleeps on, unless that step conflicts with it. */
  #inherit(place: Place, before: Place | null): void {
    const order = this.#order
    const last = order.length - 1
    for (let t = 0; t < order.ids.length; t++) {
      const footprint = before?.asleep[t] ?? null
      place.asleep[t] = footprint === null || footprintsConflict(footprint, order.footprints[last]) ? null : footprint
    }
  }

  /** The running task if it may go on, else the first that may; -1 if all sleep. */
  #awake(place: Place, ready: readonly Task[], last: Task | null): number {
    const order = this.#order
    if (last !== null) {
      const same = order.task(last.id)
      if (place.ready[same] === 1 && place.asleep[same] === null) return same
    }
    for (const task of ready) {
      const t = order.task(task.id)
      if (place.asleep[t] === null) return t
    }
    return -1
  }

  #step(walk: Walk, task: Task, t: number): void {
    const gates = gateNames(walk.execution.pending(task))
    walk.perform(task)
    const { footprint } = walk.execution
    this.#reverse(t, footprint, gates, false)
    this.#order.append(t, footprint)
  }

  /** 2. */
  #reverse(task: number, footprint: Footprint, gates: number, pending: boolean): void {
    for (const event of this.#order.races(task, footprint, gates, pending)) this.#addChoice(event, task, footprint)
  }

  #addChoice(event: number, task: number, footprint: Footprint): void {
    const place = this.#places[event]
    const initials = this.#initials(event, task, footprint, place)
    if (initials.length === 0) return
    for (const t of initials) if (place.choices[t] === 1 || place.asleep[t] !== null) return
    place.choices[initials.includes(task) ? task : initials[0]] = 1
  }

  /** Tasks that can begin what follows `event` without depending on it, the step of `task` at its end. */
  #initials(event: number, task: number, footprint: Footprint, place: Place): number[] {
    const order = this.#order
    const initials: number[] = []
    const firsts: number[] = []
    let alone = order.lastOf(task) < event
    for (let k = event + 1; k < order.length; k++) {
      if (order.happensBefore(event, k)) continue
      const t = order.taskOf(k)
      if (footprintsConflict(order.footprints[k], footprint)) alone = false
      if (firsts.some((first) => order.taskOf(first) === t)) continue
      if (!firsts.some((first) => order.happensBefore(first, k))) initials.push(t)
      firsts.push(k)
    }
    if (alone && place.ready[task] === 1) initials.push(task)
    return initials
  }

  /** 4. and 5. */
  #end(walk: Walk): void {
    const order = this.#order
    for (const task of walk.execution.tasks) {
      if (task.state === 'done') continue
      const op = walk.execution.pending(task)
      this.#reverse(order.task(task.id), nextFootprint(task, op), gateNames(op), true)
    }
    if (walk.end() !== null) return
    this.#tally.completed(walk)
    this.#tally.traces++
    this.#uncounted = true
  }

  /** 5. What the last run stands for, if it is a trace of its own. */
  *#count(): Long<void> {
    if (this.#uncounted && this.#interleavings !== null) {
      const progress = this.#tally.progress(this.#frontier())
      const extensions = yield* this.#extensions.count(this.#order, progress)
      this.#interleavings = extensions === null ? null : this.#interleavings + extensions
    }
    this.#uncounted = false
  }
}

function taskOfId(ready: readonly Task[], id: number, step: number): Task {
  const task = ready.find((t) => t.id === id)
  if (task === undefined) refuse(step, id)
  return task
}
