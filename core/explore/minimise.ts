/**
 * A simpler counterexample for the same invariant: fewest preemptions first, then fewest steps.
 *
 * 1. By trial: two blocks of steps of one task are joined, the second moved up or the first moved down; or a block is left out.
 *    The run follows what the trial asks for wherever it can. What still breaks the invariant, and is simpler,
 *    is kept, and trials begin again.
 * 2. By search: depth first with fewer preemptions, from none on, as far as a number of runs goes;
 *    if that finds none, with as many and fewer steps.
 *
 * Schedules are not monotonic, so trials alone stop early, and a search alone may not reach deep enough; the two help each other.
 */
import type { Task } from '../engine/task.ts'
import { runBy } from './chance.ts'
import { DfsSearch } from './dfs.ts'
import type { Program } from './program.ts'
import { stayOn } from './replay.ts'
import { addedTo, type Long } from './search.ts'
import { counterexampleOf } from './tally.ts'
import type { Counterexample, SearchProgress } from './verdict.ts'
import { Walk } from './walk.ts'

/** Trials and runs that one counterexample is worth. */
const TRIALS = 2_000
const RUNS = 4_000

export interface Minimised {
  readonly counterexample: Counterexample
  /** Runs that it took. */
  readonly schedules: number
  readonly steps: number
}

/** Steps of one task without a switch. */
interface Block {
  readonly task: number
  readonly steps: number
}

export function* minimise(program: Program, found: Counterexample): Long<Minimised> {
  // 1.
  const trials = new Trials(program, found)
  yield* trials.improve()
  let { best, schedules, steps } = trials
  // 2.
  const search = function* (preemptions: number, longest: number): Long<boolean> {
    const options = { preemptions, schedules: RUNS, steps: longest }
    const searching = new DfsSearch(program, options, null, found.violation.invariant).search()
    const verdict = yield* addedTo(searching, schedules)
    schedules += verdict.schedules
    steps += verdict.steps
    if (verdict.counterexample !== null) best = verdict.counterexample
    return verdict.counterexample !== null
  }
  const { preemptions, schedule } = best
  const hasFewer = preemptions > 0 && (yield* search(preemptions - 1, schedule.length * 2))
  if (!hasFewer) yield* search(preemptions, schedule.length - 1)
  return { counterexample: best, schedules, steps }
}

class Trials {
  schedules = 0
  steps = 0

  constructor(
    readonly program: Program,
    public best: Counterexample,
  ) {}

  *improve(): Long<void> {
    for (let better = true; better && this.schedules < TRIALS; ) {
      better = yield* this.#improveOnce(simplifications(blocksOf(this.best.schedule)))
    }
  }

  /** Up to the first trial that is better. */
  *#improveOnce(trials: readonly Block[][]): Long<boolean> {
    for (const trial of trials) {
      if (this.schedules === TRIALS) return false
      if (this.#try(trial)) return true
      yield this.#progress()
    }
    return false
  }

  #progress(): SearchProgress {
    return { schedules: this.schedules, traces: 0, depth: this.best.schedule.length, frontier: 0 }
  }

  /** Whether this is simpler than the best, and still breaks the invariant. */
  #try(blocks: readonly Block[]): boolean {
    const walk = new Walk(this.program)
    runBy(walk, following(blocks), this.best.schedule.length)
    this.schedules++
    this.steps += walk.steps
    const { violation } = walk
    if (violation === null || violation.invariant !== this.best.violation.invariant) return false
    const trial = counterexampleOf(walk, violation)
    if (!isSimpler(trial, this.best)) return false
    this.best = trial
    return true
  }
}

export function isSimpler(a: Counterexample, b: Counterexample): boolean {
  if (a.preemptions !== b.preemptions) return a.preemptions < b.preemptions
  return a.schedule.length < b.schedule.length
}

function blocksOf(schedule: readonly number[]): Block[] {
  const blocks: Block[] = []
  for (const task of schedule) {
    const last = blocks.at(-1)
    if (last?.task === task) blocks[blocks.length - 1] = { task, steps: last.steps + 1 }
    else blocks.push({ task, steps: 1 })
  }
  return blocks
}

/** Trials, one at a time: blocks joined, then blocks left out. */
function simplifications(blocks: readonly Block[]): Block[][] {
  const trials: Block[][] = []
  const join = (from: number, to: number) => {
    const joined = { task: blocks[from].task, steps: blocks[from].steps + blocks[to].steps }
    const at = (place: number) => blocks.flatMap((block, i) => (i === place ? [joined] : i === from || i === to ? [] : [block]))
    trials.push(at(from), at(to))
  }
  for (let from = 0; from < blocks.length; from++) {
    const to = blocks.findIndex((block, i) => i > from && block.task === blocks[from].task)
    if (to > 0) join(from, to)
  }
  for (let out = 0; out < blocks.length; out++) trials.push(blocks.filter((_, i) => i !== out))
  return trials
}

/** Asks for the steps of the blocks in turn; a block whose task cannot go on is left early. */
function following(blocks: readonly Block[]) {
  let at = 0
  let left = blocks[0]?.steps ?? 0
  return (ready: readonly Task[], last: Task | null): Task => {
    for (; at < blocks.length; left = blocks[++at]?.steps ?? 0) {
      const task = left > 0 ? ready.find((t) => t.id === blocks[at].task) : undefined
      if (task === undefined) continue
      left--
      return task
    }
    return stayOn(ready, last)
  }
}
