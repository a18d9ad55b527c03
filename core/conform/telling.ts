/**
 * Calls told on the model: it runs them one by one, and each becomes a step of a case that expects what the model answered.
 *
 * 1. A call whose actor sleeps, has ended or was never born is no step: so any list of calls makes a case, also one of which calls
 *    were left out.
 * 2. After each step everybody who sleeps is asked whether he still does (`await`).
 * 3. Where two who slept go on at once, who is first is nobody's promise. If one of them does more than look, neither what the other one
 *    finds is told, nor anything behind that step; nor behind one after which two sleep again: their messages are queued in either order.
 * 4. Children and descriptors of forks are named here, not by the calls.
 */

import { type CallStep, type ConformCase, type Expectation, isTogether, type Step } from './case.ts'
import { expectationOf } from './expectation_of.ts'
import type { ModelOptions } from './model_world.ts'
import { ModelWorld } from './model_world.ts'
import { BLOCKED, type Outcome } from './outcome.ts'

/** What a case has before its first step. */
export type Setting = Pick<ConformCase, 'regions' | 'uffds'>

/** A call without its expectation. */
export type Call = Pick<CallStep, 'actor' | 'call' | 'args'>

const THREADS = ['t0', 't1', 't2'] as const
/** Calls that leave nothing behind that another one could find. */
const LOOKS: readonly string[] = ['load', 'inspect']

export class Telling {
  readonly steps: Step[] = []
  readonly #world: ModelWorld
  readonly #alive = new Set<string>(THREADS)
  /** Who sleeps, and in which call. */
  readonly #asleep = new Map<string, Call>()
  #hasPoison = false
  /** 3. */
  isOver = false
  /** Descriptors of children that a message has brought. */
  readonly descriptors: string[] = []
  /** Of each of them, the process that has it. */
  readonly #home = new Map<string, string>()

  constructor(
    readonly setting: Setting,
    options: ModelOptions = {},
  ) {
    this.#world = new ModelWorld(caseOf('telling', 'telling', setting, []), 0, options)
  }

  get awake(): readonly string[] {
    return [...this.#alive].filter((actor) => !this.#asleep.has(actor))
  }

  /** False: it is no step. */
  perform(call: Call): boolean {
    const { actor } = call
    if (!this.canPerform(call)) return false
    const { faults } = this.#world.machine.kernel
    const before = faults.userfault
    this.#world.begin(actor, [{ ...call, expect: {} }])
    this.#world.settle()
    const ended = [...this.#asleep].filter(([sleeper]) => !this.#outcomeOf(sleeper).blocked)
    const isOpen = ended.length > 1 && ended.some(([, { call: made }]) => !LOOKS.includes(made))
    this.isOver = faults.userfault - before > 1 || isOpen
    if (call.call === 'uffdio_poison') this.#hasPoison = true
    this.#push(call, call, this.#outcomeOf(actor))
    for (const [sleeper, made] of [...this.#asleep]) {
      if (sleeper === actor) continue
      const outcome = this.#outcomeOf(sleeper)
      this.#push({ actor: sleeper, call: 'await', args: {} }, made, isOpen ? { ...outcome, content: null } : outcome)
    }
    return true
  }

  canPerform({ actor, call, args }: Call): boolean {
    if (this.isOver || !this.#alive.has(actor) || this.#asleep.has(actor)) return false
    if (call === 'fork' && (typeof args.child !== 'string' || this.#alive.has(args.child))) return false
    if (typeof args.fd !== 'string') return true
    const home = this.#home.get(args.fd)
    return this.#world.names.descriptors.has(args.fd) && (home === undefined || home === processOf(actor))
  }

  #outcomeOf(actor: string): Outcome {
    return this.#world.outcomes(actor).at(-1) ?? BLOCKED
  }

  #push(step: Call, made: Call, outcome: Outcome): void {
    const { names } = this.#world
    const descriptor = `F${this.descriptors.length}`
    this.steps.push({ ...step, expect: this.#allow(expectationOf(outcome, names, descriptor)) })
    if (outcome.blocked) this.#asleep.set(step.actor, made)
    else this.#asleep.delete(step.actor)
    for (const message of outcome.messages) {
      if (message.descriptor === undefined) continue
      names.descriptors.set(descriptor, message.descriptor)
      this.#home.set(descriptor, processOf(step.actor))
      this.descriptors.push(descriptor)
    }
    if (outcome.blocked) return
    if (made.call === 'exit') this.#alive.delete(step.actor)
    if (made.call === 'fork' && outcome.errno === null && typeof made.args.child === 'string') this.#alive.add(made.args.child)
  }

  /** The code of a poisoned page's SIGBUS is not the same on all machines. */
  #allow(expect: Expectation): Expectation {
    const { signal } = expect
    if (signal?.name !== 'SIGBUS' || !this.#hasPoison) return expect
    return { oneOf: [2, 4].map((code) => ({ signal: { ...signal, code } })) }
  }
}

function processOf(actor: string): string {
  return actor.startsWith('t') ? 't' : actor
}

export function caseOf(id: string, title: string, setting: Setting, steps: readonly Step[]): ConformCase {
  return { id, title, source: ['random'], needs: needsOf(setting, steps), rounds: 1, ...setting, steps }
}

/** Features of userfaultfd that a kernel must have for these steps. */
function needsOf({ uffds }: Setting, steps: readonly Step[]): readonly string[] {
  const calls = steps.flatMap((step) => (isTogether(step) ? step.together : [step])).map(({ call }) => call)
  const needs = Object.values(uffds).flatMap(({ features }) => features)
  if (calls.includes('uffdio_move')) needs.push('MOVE')
  if (calls.includes('uffdio_poison')) needs.push('POISON')
  return [...new Set(needs)]
}
