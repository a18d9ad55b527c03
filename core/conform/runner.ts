/**
 * Runs one case in a world and says where it first disagrees.
 *
 * 1. Each step: its calls begin, the world settles (nobody can go on), the outcomes are held against the expectations.
 * 2. What a call made (an address, a descriptor, frames, content) is bound to its name before the comparison.
 * 3. A call that sleeps stays begun; `await` asks for its outcome later.
 * 4. The first disagreement ends the case: what follows would only repeat it. At the end the world's own books must be right.
 * A case with rounds is run that often in fresh worlds, in which what happens at once falls together in other ways.
 *
 * Pairs with model_world.ts. @see compare.ts for what agreement is
 */
import { type CallStep, type ConformCase, isTogether, type Step, type TogetherStep } from './case.ts'
import { type Difference, difference, differenceInAnyOrder, spellAnswer } from './compare.ts'
import type { Names } from './names.ts'
import { BLOCKED, type Outcome } from './outcome.ts'

/** Somewhere that threads can call a kernel. */
export interface World {
  readonly names: Names
  /** Begins calls of one actor, one after the other. */
  begin(actor: string, steps: readonly CallStep[]): void
  /** Lets everything run; true when nobody can go on. A world of other processes answers false after a while, to be asked again. */
  settle(): boolean
  /** What the calls that `begin` began last have done so far, in order. */
  outcomes(actor: string): readonly Outcome[]
  /** What is wrong with the world itself, or null. */
  audit(): string | null
  /** Takes down what only a real world has: processes. */
  end?(): void
}

/** A fresh world with the case's regions and descriptors; rounds count from 0. */
export type MakeWorld = (one: ConformCase, round: number) => World

export interface Disagreement {
  readonly case: string
  /** From 1. One past the last step where the world's books are wrong at the end. */
  readonly step: number
  readonly expected: string
  readonly found: string
}

/** What came of a case. */
export interface CaseResult {
  readonly disagreement: Disagreement | null
  /** Of each round, what each of its steps answered, in words. */
  readonly told: readonly (readonly string[])[]
}

/** Null: it agrees. */
export function runCase(one: ConformCase, makeWorld: MakeWorld): Disagreement | null {
  return toEnd(runningCase(one, makeWorld)).disagreement
}

/** Runs at once what yields to let others run, as a case does in a world that settles whenever it is asked. */
export function toEnd<T>(running: Generator<void, T>): T {
  for (;;) {
    const { done, value } = running.next()
    if (done === true) return value
  }
}

/** Yields where the world needs time, and between rounds. */
export function* runningCase(one: ConformCase, makeWorld: MakeWorld): Generator<void, CaseResult, void> {
  const told: string[][] = []
  for (let round = 0; round < one.rounds; round++) {
    const inRound: string[] = []
    told.push(inRound)
    const disagreement = yield* runningRound(one, makeWorld, round, inRound)
    if (disagreement !== null) return { disagreement, told }
    yield
  }
  return { disagreement: null, told }
}

function* runningRound(
  one: ConformCase,
  makeWorld: MakeWorld,
  round: number,
  told: string[],
): Generator<void, Disagreement | null, void> {
  let at = 0
  let world: World | null = null
  try {
    world = makeWorld(one, round)
    const run = new CaseRun(world, told)
    for (const step of one.steps) {
      at++
      run.begin(step)
      while (!world.settle()) yield
      const found = run.end(step)
      if (found !== null)
        return { case: one.id, step: at, expected: `${spellCalls(step)}: ${found.expected}`, found: found.found }
    }
    at++
    const wrong = world.audit()
    return wrong === null ? null : { case: one.id, step: at, expected: 'the books in order at the end', found: wrong }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const step = one.steps[at - 1]
    const expected = step === undefined ? 'a world to run in' : `${spellCalls(step)}: an outcome`
    return { case: one.id, step: at, expected, found: `${error.name}: ${error.message}` }
  } finally {
    world?.end?.()
  }
}

class CaseRun {
  /** Calls that sleep, by actor. */
  readonly #asleep = new Map<string, CallStep>()

  constructor(
    readonly world: World,
    readonly told: string[],
  ) {}

  begin(step: Step): void {
    if (isTogether(step)) {
      for (const actor of new Set(step.together.map((call) => call.actor)))
        this.world.begin(
          actor,
          step.together.filter((call) => call.actor === actor),
        )
      return
    }
    const asleep = this.#asleep.get(step.actor)
    if (step.call === 'await') {
      if (asleep === undefined) throw new Error(`${step.actor} is not asleep`)
    } else if (asleep !== undefined) throw new Error(`${step.actor} still sleeps in ${asleep.call}`)
    else this.world.begin(step.actor, [step])
  }

  end(step: Step): Difference | null {
    return isTogether(step) ? this.#together(step) : this.#single(step)
  }

  #single(step: CallStep): Difference | null {
    const made = step.call === 'await' ? (this.#asleep.get(step.actor) ?? step) : step
    const outcome = this.world.outcomes(step.actor).at(-1) ?? BLOCKED
    this.told.push(spellAnswer(outcome, this.world.names))
    return this.#compare(made, step, outcome)
  }

  /** Compares the outcome of `made` with what `step` expects of it; they differ for `await`. */
  #compare(made: CallStep, step: CallStep, outcome: Outcome): Difference | null {
    if (outcome.blocked) this.#asleep.set(step.actor, made)
    else this.#asleep.delete(step.actor)
    if (made.as !== undefined) this.#bind(made.as, outcome)
    if (step.as !== undefined) this.#bind(step.as, outcome)
    const found = difference(step.expect, outcome, this.world.names)
    // A fork's message makes the child's descriptor.
    for (const [i, { as }] of (step.expect.messages ?? []).entries()) {
      const descriptor = outcome.messages[i]?.descriptor
      if (as !== undefined && descriptor !== undefined) this.world.names.descriptors.set(as, descriptor)
    }
    return found
  }

  #together(step: TogetherStep): Difference | null {
    const { world } = this
    const taken = new Map<string, number>()
    const outcomes = step.together.map(({ actor }) => {
      const n = taken.get(actor) ?? 0
      taken.set(actor, n + 1)
      return world.outcomes(actor)[n] ?? BLOCKED
    })
    this.told.push(outcomes.map((outcome) => spellAnswer(outcome, world.names)).join('; '))
    if (step.anyOrder !== undefined) return differenceInAnyOrder(step.anyOrder, outcomes, world.names)
    for (const [i, call] of step.together.entries()) {
      const found = this.#compare(call, call, outcomes[i] ?? BLOCKED)
      if (found !== null) return found
    }
    return null
  }

  #bind(name: string, outcome: Outcome): void {
    const { names } = this.world
    if (outcome.descriptor !== null) names.descriptors.set(name, outcome.descriptor)
    else if (outcome.frames !== null) names.frames.set(name, outcome.frames)
    else if (outcome.content !== null) names.contents.set(name, outcome.content)
    else if (outcome.ret !== null) names.numbers.set(name, outcome.ret)
  }
}

function spellCalls(step: Step): string {
  const calls = isTogether(step) ? step.together : [step]
  return calls.map(({ actor, call }) => `${actor} ${call}`).join(' with ')
}
