/**
 * The host's kernel as a world for conformance cases: a fresh process of puppets, a thread for each actor, forks as real forks.
 *
 * 1. The process is made with all threads that the case names, spread over the processors; the first sets up what the case finds.
 * 2. An actor does its calls one after the other; a call is one order or a few (kernel_calls.ts). What several actors begin together
 *    they begin behind a gate, so that they really meet; by how little they miss each other changes from round to round.
 * 3. The world is at rest when every actor is through or asleep in the kernel: it has begun its order, has not finished it, and is in a
 *    state of sleep with no switch of context over several looks. Whoever was woken is runnable from then on, not asleep.
 * 4. An actor whose process has ended is through with `exit`, and a case that does not come to rest in time is broken off.
 *
 * Pairs with core/conform/model_world.ts.
 */
import { Prng } from '../../../core/base/prng.ts'
import { type CallStep, type ConformCase, isTogether } from '../../../core/conform/case.ts'
import { Names } from '../../../core/conform/names.ts'
import { BLOCKED, type Outcome, outcomeOf } from '../../../core/conform/outcome.ts'
import type { World } from '../../../core/conform/runner.ts'
import { errnoName } from '../sys/libc.ts'
import { type CallWorld, callOnKernel, type Orders } from './kernel_calls.ts'
import { setUpOnKernel } from './kernel_setup.ts'
import { Patience } from './patience.ts'
import { bindToProcessor } from './processors.ts'
import { type Puppet, type Puppets, threadState } from './puppets.ts'
import type { Answer, Order } from './slot.ts'

export const CASE_LIMIT_MS = 10_000
/** How long actors may take to come to their gate. */
const GATE_MS = 20
const WAIT_MS = 0.1
/** Looks at a thread in the same sleep, and for how long: sleeps that nobody can interrupt are mostly short ones on a lock. */
const LOOKS = 3
const ASLEEP_MS = 0.25
const DEEP_ASLEEP_MS = 10
/** Pauses of the processor by which actors miss each other at most. */
const MOST_DELAY = 400

interface Told {
  readonly puppet: Puppet
  readonly order: Order
}

interface Actor {
  readonly name: string
  readonly puppet: Puppet
  work: CallStep[]
  /** The call under way. */
  call: CallStep['call'] | null
  orders: Orders<Outcome> | null
  outcomes: Outcome[]
  hasEnded: boolean
  /** The last looks at it. */
  switches: number
  looks: number
  since: number
}

export class KernelWorld implements World, CallWorld {
  readonly names = new Names()
  readonly #actors = new Map<string, Actor>()
  readonly #prng: Prng
  /** Work that was not begun. */
  #fresh: { readonly name: string; readonly steps: readonly CallStep[] }[] = []
  /** What is left of setting up, and who was told something last; null: nothing, nobody. */
  #setUp: Generator<Told, void, Answer> | null
  #asked: Puppet | null = null
  #gate = 0
  #isAtRest = false
  readonly #patience: Patience

  constructor(
    readonly puppets: Puppets,
    one: ConformCase,
    round: number,
    readonly limitMs = CASE_LIMIT_MS,
  ) {
    this.#prng = new Prng(round)
    this.#patience = new Patience(limitMs)
    this.#setUp = this.#settingUp(one)
  }

  /** 1. */
  *#settingUp(one: ConformCase): Generator<Told, void, Answer> {
    const { puppets } = this
    const slot = puppets.freshSlot()
    const born = yield { puppet: puppets.nursery, order: puppets.orderProcess(slot) }
    if (born.result < 0) throw new Error(`no process can be made (${errnoName(-born.result)})`)
    const first = puppets.adopt(slot, born.result)
    this.#add('t0', first)
    // Each on a processor of its own: a page that is on its way to the LRU lists of another one counts as used there, and is not reused.
    bindToProcessor(born.result, 0)
    for (const [i, name] of threadsOf(one).entries()) {
      const thread = puppets.freshSlot()
      const { result } = yield { puppet: first, order: puppets.orderThread(thread) }
      this.#add(name, { slot: thread, pid: first.pid })
      bindToProcessor(result, i + 1)
    }
    const orders = setUpOnKernel(this.names, first, one)
    for (let next = orders.next(); next.done !== true; ) next = orders.next(yield { puppet: first, order: next.value })
  }

  /** Goes on with setting up as far as it gets at once. */
  #goOnSettingUp(): void {
    const { puppets } = this
    const seen = puppets.header.notify
    while (this.#setUp !== null) {
      const isReady = this.#asked === null ? puppets.areGone() : this.#asked.slot.isDone
      if (!isReady) {
        if (this.#patience.isOver()) throw new Error(`setting up takes more than ${this.limitMs / 1000} s`)
        puppets.wait(seen, WAIT_MS)
        return
      }
      const { done, value } = this.#asked === null ? this.#setUp.next() : this.#setUp.next(this.#asked.slot.answer)
      if (done === true) this.#setUp = null
      else {
        this.#asked = value.puppet
        puppets.tell(value.puppet, value.order)
      }
    }
  }

  #add(name: string, puppet: Puppet): void {
    const actor = {
      name,
      puppet,
      work: [],
      call: null,
      orders: null,
      outcomes: [],
      hasEnded: false,
      switches: 0,
      looks: 0,
      since: 0,
    }
    this.#actors.set(name, actor)
  }

  #actor(name: string): Actor {
    const actor = this.#actors.get(name)
    if (actor === undefined) throw new Error(`there is no ${name}`)
    return actor
  }

  actorOfThread(tid: number): string | null {
    for (const { name, puppet } of this.#actors.values()) if (puppet.slot.tid === tid) return name
    return null
  }

  *fork(child: string): Orders<number> {
    const slot = this.puppets.freshSlot()
    const { result } = yield this.puppets.orderFork(slot)
    if (result > 0) this.#add(child, this.puppets.adopt(slot, result))
    return result
  }

  begin(name: string, steps: readonly CallStep[]): void {
    this.#fresh.push({ name, steps })
  }

  settle(): boolean {
    if (this.#setUp !== null) {
      this.#goOnSettingUp()
      return false
    }
    // Nobody began anything since everybody came to rest.
    if (this.#fresh.length === 0 && this.#isAtRest) return true
    this.#isAtRest = false
    this.#beginFresh()
    this.#isAtRest = this.#comesToRest()
    return this.#isAtRest
  }

  #comesToRest(): boolean {
    for (let waits = 0; ; ) {
      const seen = this.puppets.header.notify
      for (const actor of this.#actors.values()) this.#advance(actor)
      const busy = [...this.#actors.values()].filter(({ orders }) => orders !== null)
      if (busy.length === 0) return true
      if (seen !== this.puppets.header.notify) continue
      // One wait a question: there are other worlds to be asked.
      if (waits++ > 0) return false
      this.puppets.wait(seen, WAIT_MS)
      if (seen !== this.puppets.header.notify) continue
      const now = performance.now()
      // Everybody is looked at, also behind one who runs: the time that a sleep lasts begins with its first look.
      const sleep = busy.map((actor) => this.#isAsleep(actor, now))
      if (sleep.every((isAsleep) => isAsleep) && seen === this.puppets.header.notify) return true
      if (this.#patience.isOver()) throw new Error(`not at rest after ${this.limitMs / 1000} s: ${busy.map(spell).join('; ')}`)
    }
  }

  /** Begins what was given since the last rest; several actors behind a gate. */
  #beginFresh(): void {
    const fresh = this.#fresh.map(({ name, steps }) => {
      const actor = this.#actor(name)
      if (actor.hasEnded) throw new Error(`${name} has ended`)
      actor.work = [...steps]
      actor.outcomes = []
      return actor
    })
    this.#fresh = []
    const gate = fresh.length > 1 ? ++this.#gate : 0
    for (const actor of fresh) this.#startNext(actor, gate)
    if (gate === 0) return
    const giveUp = performance.now() + GATE_MS
    while (fresh.some(({ puppet }) => !puppet.slot.hasBegun) && performance.now() < giveUp)
      this.puppets.wait(this.puppets.header.notify, 0.05)
    this.puppets.header.open(gate)
  }

  #startNext(actor: Actor, gate = 0): void {
    const step = actor.work.shift()
    actor.call = step?.call ?? null
    actor.orders = step === undefined ? null : callOnKernel(this, actor.puppet, step)
    if (actor.orders === null) return
    const next = actor.orders.next()
    if (next.done === true) this.#finish(actor, next.value)
    else this.#give(actor, gate === 0 ? next.value : { ...next.value, gate, delay: this.#prng.below(MOST_DELAY) })
  }

  #give(actor: Actor, order: Order): void {
    actor.looks = 0
    this.puppets.tell(actor.puppet, order)
  }

  #finish(actor: Actor, outcome: Outcome): void {
    actor.outcomes.push(outcome)
    this.#startNext(actor)
  }

  /** Goes on with whatever the actor's puppet is through with. */
  #advance(actor: Actor): void {
    while (actor.orders !== null && actor.puppet.slot.isDone) {
      const next = actor.orders.next(actor.puppet.slot.answer)
      if (next.done === true) this.#finish(actor, next.value)
      else this.#give(actor, next.value)
    }
  }

  /** Whether it sleeps in the kernel, for good as far as looks can tell. */
  #isAsleep(actor: Actor, now: number): boolean {
    // It is still being born.
    if (actor.puppet.slot.tid === 0) return false
    const found = threadState(actor.puppet)
    if (found === null || 'ZX'.includes(found.state)) {
      this.#hasEnded(actor)
      return true
    }
    // Somebody has stopped it with a signal.
    if (found.state === 'T') this.#patience.startOver()
    const sleeps = 'SD'.includes(found.state) && actor.puppet.slot.hasBegun
    if (!sleeps || actor.looks === 0 || found.switches !== actor.switches) {
      actor.looks = sleeps ? 1 : 0
      actor.switches = found.switches
      actor.since = now
      return false
    }
    actor.looks++
    return actor.looks >= LOOKS && now - actor.since >= (found.state === 'D' ? DEEP_ASLEEP_MS : ASLEEP_MS)
  }

  #hasEnded(actor: Actor): void {
    actor.hasEnded = true
    actor.orders = null
    if (actor.call !== 'exit') throw new Error(`the process of ${actor.name} was killed`)
    actor.outcomes.push(outcomeOf({}))
  }

  outcomes(name: string): readonly Outcome[] {
    const { outcomes, orders } = this.#actor(name)
    return orders !== null ? [...outcomes, BLOCKED] : outcomes
  }

  /** Somebody was stopped (SIGSTOP, a host that sleeps): that wakes whoever sleeps on a userfault, and what was told is worth nothing. */
  get wasStopped(): boolean {
    return this.#patience.wasStopped
  }

  audit(): null {
    return null
  }

  end(): void {
    this.puppets.endAll()
  }
}

/** All threads beside the first: they are there from the start, so that nobody has to make them who may be asleep. */
function threadsOf({ steps }: ConformCase): readonly string[] {
  const names = steps.flatMap((step) => (isTogether(step) ? step.together.map(({ actor }) => actor) : [step.actor]))
  return [...new Set(names)].filter((name) => /^t\d+$/.test(name) && name !== 't0').sort()
}

function spell({ name, puppet }: Actor): string {
  return `${name} in state ${threadState(puppet)?.state ?? 'gone'}`
}
