/**
 * What a search has done so far, counted alike by every strategy, and the verdict made of it.
 *
 * `run` is told of each run once, when it has ended; a verdict is asked for once, at the end of the search.
 */
import type { Violation } from './program.ts'
import type { Bound, Counterexample, SearchProgress, Strategy, Verdict } from './verdict.ts'
import type { Walk } from './walk.ts'

export interface TallyState {
  readonly schedules: number
  readonly traces: number
  readonly steps: number
  readonly depth: number
  readonly outcomes: readonly string[]
}

export class Tally {
  schedules = 0
  traces = 0
  steps = 0
  depth = 0
  readonly #outcomes: Set<string>

  constructor(from: TallyState | null = null) {
    this.#outcomes = new Set(from?.outcomes)
    if (from === null) return
    this.schedules = from.schedules
    this.traces = from.traces
    this.steps = from.steps
    this.depth = from.depth
  }

  /** A run has ended, or was cut short. */
  ran(walk: Walk): void {
    this.schedules++
    this.steps += walk.steps
    if (walk.steps > this.depth) this.depth = walk.steps
  }

  /** A run went to its end, and nothing broke. */
  completed(walk: Walk): void {
    this.#outcomes.add(walk.run.outcome())
  }

  progress(frontier: number): SearchProgress {
    return { schedules: this.schedules, traces: this.traces, depth: this.depth, frontier }
  }

  state(): TallyState {
    const { schedules, traces, steps, depth } = this
    return { schedules, traces, steps, depth, outcomes: [...this.#outcomes].sort() }
  }

  violation(strategy: Strategy, counterexample: Counterexample): Verdict {
    return { strategy, verdict: 'violation', bound: null, interleavings: null, ...this.state(), counterexample }
  }

  bounded(strategy: Strategy, bound: Bound): Verdict {
    return { strategy, verdict: 'bounded', bound, interleavings: null, ...this.state(), counterexample: null }
  }

  verified(strategy: Strategy, interleavings: bigint | null): Verdict {
    return { strategy, verdict: 'verified', bound: null, interleavings, ...this.state(), counterexample: null }
  }
}

export function counterexampleOf(walk: Walk, violation: Violation): Counterexample {
  return { violation, schedule: [...walk.execution.schedule], preemptions: walk.preemptions }
}
