/**
 * What two calls at once may answer, together with what a third thread sees after them: is one such outcome among the model's?
 *
 * 1. One after the other, in both orders, and together by time: that is what a kernel mostly shows.
 * 2. Some interleavings at random.
 * 3. All interleavings (dpor), looking for that very outcome, up to a limit: only this can say that it is none.
 *
 * What comes before the pair is run each time anew, in the same way.
 */
import { Execution } from '../engine/execution.ts'
import { searchDpor } from '../explore/dpor.ts'
import type { Program } from '../explore/program.ts'
import { roundRobin } from '../explore/schedulers.ts'
import { type CallStep, type ConformCase, isTogether } from './case.ts'
import { spellAnswer } from './compare.ts'
import { type ModelOptions, ModelWorld } from './model_world.ts'
import { BLOCKED } from './outcome.ts'
import { toEnd } from './runner.ts'

const INTERLEAVINGS = 32
const SCHEDULES = 20_000
const STEPS = 20_000

/** `unknown`: not found, and not all interleavings were run. */
export type Answer = 'allowed' | 'never' | 'unknown'

export class AllowedOutcomes {
  readonly #prologue: readonly CallStep[]
  readonly #pair: readonly CallStep[]
  readonly #looks: readonly CallStep[]
  /** Outcomes that the model has shown. */
  readonly seen = new Set<string>()
  #next = 0

  /** `one`: a case with one `together` step, whose calls belong to two actors. */
  constructor(
    readonly one: ConformCase,
    readonly options: ModelOptions = {},
  ) {
    const at = one.steps.findIndex(isTogether)
    const together = one.steps[at]
    this.#pair = together !== undefined && isTogether(together) ? together.together : []
    const single = (step: ConformCase['steps'][number]) => (isTogether(step) ? [] : [step])
    this.#prologue = one.steps.slice(0, at).flatMap(single)
    this.#looks = one.steps.slice(at + 1).flatMap(single)
  }

  /** What a kernel told in a round, from the pair on. */
  outcomeOf(told: readonly string[]): string {
    return told.slice(this.#prologue.length).join(' | ')
  }

  answer(outcome: string): Answer {
    return toEnd(this.answering(outcome))
  }

  /** Yields after each run. */
  *answering(outcome: string): Generator<void, Answer> {
    // 1. and 2.
    while (!this.seen.has(outcome) && this.#next < INTERLEAVINGS) {
      this.seen.add(this.#sample(this.#next++))
      yield
    }
    if (this.seen.has(outcome)) return 'allowed'
    // 3.
    const search = searchDpor(this.#programFor(outcome), { schedules: SCHEDULES, steps: STEPS })
    let next = search.next()
    for (; next.done !== true; next = search.next()) yield
    const { verdict } = next.value
    if (verdict === 'violation') return 'allowed'
    return verdict === 'verified' ? 'never' : 'unknown'
  }

  #sample(n: number): string {
    const { one, options } = this
    if (n > 2) return this.#together(new ModelWorld(one, n, options))
    const world = new ModelWorld(one, 0, options)
    if (n === 2) return this.#together(world)
    this.#begin(world, this.#prologue)
    const inOrder = n === 0 ? this.#pair : [...this.#pair].reverse()
    for (const step of inOrder) this.#begin(world, [step])
    return this.#end(world)
  }

  #together(world: ModelWorld): string {
    this.#begin(world, this.#prologue)
    for (const step of this.#pair) world.begin(step.actor, [step])
    world.settle()
    return this.#end(world)
  }

  #begin(world: ModelWorld, steps: readonly CallStep[]): void {
    for (const step of steps) {
      if (step.call !== 'await') world.begin(step.actor, [step])
      world.settle()
      for (const { as, event } of step.expect.messages ?? []) {
        if (event !== 'FORK' || as === undefined) continue
        const brought = world
          .outcomes(step.actor)
          .at(-1)
          ?.messages.find((message) => message.event === 'FORK')
        world.names.descriptors.set(as, brought?.descriptor)
      }
    }
  }

  #end(world: ModelWorld): string {
    const last = (actor: string) => spellAnswer(world.outcomes(actor).at(-1) ?? BLOCKED, world.names)
    const told = [this.#pair.map(({ actor }) => last(actor)).join('; ')]
    for (const look of this.#looks) {
      this.#begin(world, [look])
      told.push(last(look.actor))
    }
    return told.join(' | ')
  }

  /** That outcome breaks the only invariant of this program. */
  #programFor(outcome: string): Program {
    return () => {
      const execution = new Execution(roundRobin())
      const world = new ModelWorld(this.one, 0, { ...this.options, engine: execution })
      this.#begin(world, this.#prologue)
      for (const step of this.#pair) world.begin(step.actor, [step])
      world.restIsEnd(true)
      return {
        execution,
        check: () => null,
        finish: () => {
          world.restIsEnd(false)
          const found = this.#end(world)
          this.seen.add(found)
          return found === outcome ? { invariant: 'FOUND', message: outcome } : null
        },
        outcome: () => '',
      }
    }
  }
}
