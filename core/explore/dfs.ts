/**
 * Depth-first search bounded by preemptions: first every schedule without one, then with at most one, two and so on.
 *
 * 1. A preemption is a switch away from a task that could have gone on, to whichever other: an interrupt, a store buffer too.
 * 2. Each run follows the schedule of the last one up to the deepest choice that has an alternative left, takes it, and goes on
 *    by staying on the running task wherever that is possible. Within one bound no schedule is run twice.
 * 3. A preemption before a step that touches only what no other task touches is left out: moving that step before the switch
 *    gives an equal run with no more preemptions. What tasks share is learnt on the way; when a name
 *    that a choice was left out for turns out to be shared, the bound is begun again. `everyStep` leaves nothing out.
 * 4. The first bound that breaks something has the fewest preemptions. A further search in it, for shorter runs only, then
 *    looks for fewer steps.
 * 5. A bound in which nothing was left out for the bound's sake covers everything.
 *
 * Source: Musuvathi and Qadeer, "Iterative context bounding for systematic testing of multithreaded programs" (2007).
 */
import { type Footprint, recordFootprints } from '../engine/footprint.ts'
import type { Task } from '../engine/task.ts'
import { Conflicts, type ConflictsState } from './conflicts.ts'
import { LivelockWatch } from './livelock.ts'
import { footprintOf, type PlainFootprint, plainFootprint } from './plain_footprint.ts'
import type { Program, Violation } from './program.ts'
import { refuse } from './schedulers.ts'
import { type Search, type SearchOptions, STEP_LIMIT } from './search.ts'
import { counterexampleOf, Tally, type TallyState } from './tally.ts'
import type { Bound, Counterexample, Verdict } from './verdict.ts'
import { Walk } from './walk.ts'

/** Runs that look for a shorter counterexample with as few preemptions. */
const SHORTER_RUNS = 2_000

/** The tasks to choose from at one depth, by id. */
interface Choice {
  readonly tasks: readonly number[]
  /** The one taken now. */
  at: number
  /** The first of them ran last: taking another is a preemption. */
  readonly preempts: boolean
  /** Preemptions before this choice. */
  readonly spent: number
}

export interface DfsState {
  readonly bound: number
  readonly choices: readonly Choice[]
  readonly tally: TallyState
  readonly conflicts: ConflictsState
  /** Of this pass: runs, and whether it left something out. */
  readonly runs: number
  readonly beyond: boolean
  readonly thinned: boolean
  readonly cut: boolean
  /** The last choice was taken and not run yet. */
  readonly taken: boolean
  /** The footprint of the step taken at each choice. */
  readonly footprints: readonly PlainFootprint[]
  /** Cut runs that were looked at for a livelock. */
  readonly looks: number
  /** 4. What broke, as short as it is known, and runs that looked for shorter ones. */
  readonly found: Counterexample | null
  readonly shorterRuns: number
}

export function searchDfs(program: Program, options: SearchOptions = {}, from: DfsState | null = null): Search {
  return new DfsSearch(program, options, from).search()
}

export class DfsSearch {
  readonly #tally: Tally
  readonly #conflicts: Conflicts
  readonly #livelocks: LivelockWatch
  #bound = 0
  #choices: Choice[] = []
  /** What the step at each depth of the last run touched; empty with `everyStep`. */
  readonly #footprints: Footprint[] = []
  /** The choices are those of a run that has not been made yet. */
  #taken = true
  #runs = 0
  /** There are schedules with more preemptions. */
  #beyond = false
  /** A preemption was left out because of what its step touches. */
  #thinned = false
  #cut = false
  #stepLimit: number
  #found: Counterexample | null = null
  #shorterRuns = 0

  constructor(
    readonly program: Program,
    readonly options: SearchOptions,
    from: DfsState | null = null,
    /** Whatever else breaks is passed over; null: anything counts. The verdict is then good for its counterexample only. */
    readonly only: string | null = null,
  ) {
    this.#stepLimit = options.steps ?? STEP_LIMIT
    this.#livelocks = new LivelockWatch(program, from?.looks)
    this.#tally = new Tally(from?.tally)
    this.#conflicts = new Conflicts(from?.conflicts)
    if (from !== null) this.#resume(from)
  }

  /** Takes the steps before the last choice once, which throws where they are those of another program. */
  #resume(from: DfsState): void {
    const { names } = this.#conflicts
    this.#bound = from.bound
    this.#choices = from.choices.map((choice) => ({ ...choice }))
    this.#footprints.push(...from.footprints.map((plain) => footprintOf(names, plain)))
    this.#taken = from.taken
    this.#runs = from.runs
    this.#beyond = from.beyond
    this.#thinned = from.thinned
    this.#cut = from.cut
    this.#found = from.found
    this.#shorterRuns = from.shorterRuns
    this.#follow(new Walk(this.program))
  }

  /** Where the search stands, as plain data; ask between two runs, that is at a yield. */
  state(): DfsState {
    const { names } = this.#conflicts
    return {
      bound: this.#bound,
      choices: this.#choices.map((choice) => ({ ...choice })),
      tally: this.#tally.state(),
      conflicts: this.#conflicts.state(),
      runs: this.#runs,
      beyond: this.#beyond,
      thinned: this.#thinned,
      cut: this.#cut,
      taken: this.#taken,
      footprints: this.#footprints.slice(0, this.#choices.length).map((footprint) => plainFootprint(names, footprint)),
      looks: this.#livelocks.looks,
      found: this.#found,
      shorterRuns: this.#shorterRuns,
    }
  }

  *search(): Search {
    const most = this.options.preemptions ?? Number.POSITIVE_INFINITY
    const tally = this.#tally
    if (this.#found !== null) return yield* this.#shorter(this.#found)
    for (;;) {
      while (this.#taken || this.#next()) {
        this.#taken = true
        if (tally.schedules === this.options.schedules) return this.#bounded(this.#bound - 1)
        const found = this.#run()
        this.#taken = false
        if (found !== null) return yield* this.#shorter(found)
        yield tally.progress(this.#frontier())
      }
      if (!this.#beyond) return this.#covered()
      if (this.#bound >= most) return this.#bounded(this.#bound)
      this.#bound++
      this.#beginBound()
    }
  }

  /** Its first run takes no choice of an earlier one. */
  #beginBound(): void {
    this.#taken = true
    this.#choices = []
    this.#runs = 0
    this.#beyond = false
    this.#thinned = false
    this.#conflicts.forgetReliance()
  }

  /** Every schedule with at most `preemptions` was run. */
  #bounded(preemptions: number): Verdict {
    const bound: Bound = {
      ...(preemptions >= 0 && { preemptions }),
      ...(this.#tally.schedules === this.options.schedules && { schedules: this.#tally.schedules }),
      ...(this.#cut && { steps: this.#stepLimit }),
    }
    return this.#tally.bounded('dfs', bound)
  }

  /** 5. Nothing lies beyond the bound. */
  #covered(): Verdict {
    if (this.#cut) return this.#tally.bounded('dfs', { steps: this.#stepLimit })
    return this.#tally.verified('dfs', this.#thinned ? null : BigInt(this.#runs))
  }

  /** 2. One run; the counterexample if it breaks something. */
  #run(): Counterexample | null {
    const walk = new Walk(this.program)
    this.#follow(walk)
    if (this.options.everyStep !== true) recordFootprints(this.#conflicts.names)
    let ended = false
    try {
      ended = this.#goOn(walk)
    } finally {
      recordFootprints(null)
    }
    this.#runs++
    this.#tally.ran(walk)
    if (!ended) this.#cut = true
    const violation = ended ? walk.violation : this.#livelocks.look(walk)
    if (violation !== null) return this.#counts(violation) ? counterexampleOf(walk, violation) : null
    if (ended) this.#tally.completed(walk)
    return null
  }

  /** Up to the deepest choice. */
  #follow(walk: Walk): void {
    const last = this.#choices.length - 1
    for (let depth = 0; depth < last; depth++) walk.follow(this.#choices[depth].tasks[this.#choices[depth].at])
  }

  #counts({ invariant }: Violation): boolean {
    return this.only === null || this.only === invariant
  }

  /** From the deepest choice on; false if the run was cut. */
  #goOn(walk: Walk): boolean {
    while (walk.violation === null) {
      const ready = walk.ready()
      const depth = walk.steps
      if (ready.length === 0) {
        walk.end()
        return true
      }
      if (depth >= this.#stepLimit) return false
      if (depth === this.#choices.length) this.#choices.push(choiceOf(ready, walk))
      const choice = this.#choices[depth]
      const id = choice.tasks[choice.at]
      const task = ready.find((t) => t.id === id)
      if (task === undefined) refuse(depth, id)
      walk.perform(task)
      this.#footprints[depth] = walk.execution.footprint
      this.#conflicts.see(id, walk.execution.footprint)
    }
    return true
  }

  /** Goes back to the deepest choice with an alternative, and takes it; false if there is none. */
  #next(): boolean {
    // 3.
    if (this.#conflicts.disproved) {
      this.#beginBound()
      return true
    }
    for (let depth = this.#choices.length - 1; depth >= 0; depth--) {
      const choice = this.#choices[depth]
      if (choice.at + 1 < choice.tasks.length && this.#mayTakeNext(choice, depth)) {
        choice.at++
        this.#choices.length = depth + 1
        return true
      }
    }
    return false
  }

  #mayTakeNext(choice: Choice, depth: number): boolean {
    if (!choice.preempts || choice.at > 0) return true
    const footprint = this.#footprints[depth]
    if (this.options.everyStep !== true && this.#conflicts.isPrivate(footprint)) {
      this.#conflicts.relyOn(footprint)
      this.#thinned = true
      return false
    }
    if (choice.spent < this.#bound) return true
    this.#beyond = true
    return false
  }

  #frontier(): number {
    let left = 0
    for (const { tasks, at, preempts, spent } of this.#choices) {
      if (!preempts || spent < this.#bound) left += tasks.length - 1 - at
    }
    return left
  }

  /** 4. */
  *#shorter(found: Counterexample): Search {
    this.#found = found
    const tally = this.#tally
    while (this.#shorterRuns < SHORTER_RUNS && tally.schedules !== this.options.schedules && this.#next()) {
      this.#shorterRuns++
      this.#stepLimit = this.#found.schedule.length - 1
      // The next choice lies too deep to be shorter.
      if (this.#choices.length > this.#stepLimit) continue
      const shorter = this.#run()
      if (shorter !== null && shorter.violation.invariant === this.#found.violation.invariant) this.#found = shorter
      yield tally.progress(this.#frontier())
    }
    return tally.violation('dfs', this.#found)
  }
}

function choiceOf(ready: readonly Task[], walk: Walk): Choice {
  const { last } = walk
  const preempts = last !== null && ready.includes(last)
  const tasks = preempts ? [last, ...ready.filter((task) => task !== last)] : ready
  return { tasks: tasks.map((task) => task.id), at: 0, preempts, spent: walk.preemptions }
}
