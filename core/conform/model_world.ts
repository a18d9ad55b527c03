/**
 * The model as a world for conformance cases: one machine, actors as threads on CPUs of their own, in either gear.
 *
 * 1. Setting up maps the regions where nothing else is, fills them, opens and registers the descriptors, all by the first
 *    thread through system calls.
 * 2. An actor's thread waits for work, does its calls one after the other, and waits again. A signal ends a call, not the thread.
 * 3. Settling runs the engine until nobody can go on; whoever still has work by then sleeps in it.
 *
 * The clock gear runs calls by time. The step gear interleaves them access by access, at random by seed: for races.
 * Pairs with model_calls.ts, which makes a generator of a step, and runner.ts, which knows no model.
 */
import { Prng } from '../base/prng.ts'
import { brokenAtRest } from '../checkers/invariants.ts'
import { Execution } from '../engine/execution.ts'
import { BLOCK, type Proc } from '../engine/op.ts'
import { Timeline } from '../engine/timeline.ts'
import { random } from '../explore/schedulers.ts'
import type { Thread } from '../hw/cpu.ts'
import { ZEN5 } from '../hw/presets/zen5.ts'
import { Identity, Machine } from '../machine/machine.ts'
import { Process } from '../machine/process.ts'
import type { ProtectionName } from '../mm/kconfig.ts'
import type { FaultPath } from '../mm/kernel.ts'
import { threadIdOf } from '../mm/uffd_fault.ts'
import { Recorder } from '../trace/recorder.ts'
import type { CallStep, ConformCase } from './case.ts'
import { callOnModel } from './model_calls.ts'
import { setUp } from './model_setup.ts'
import { Names } from './names.ts'
import { BLOCKED, type Outcome } from './outcome.ts'
import type { World } from './runner.ts'

export interface Actor {
  readonly name: string
  readonly thread: Thread
  readonly process: Process
  /** What to do next, in order; the first one is under way. */
  readonly work: ((actor: Actor) => Proc<Outcome>)[]
  /** Of the work begun last. */
  outcomes: Outcome[]
}

/** Which of the models: how it faults, and what protects it. */
export interface ModelOptions {
  readonly faultPath?: FaultPath
  readonly without?: readonly ProtectionName[]
  readonly engine?: Timeline | Execution
}

const QUANTUM_NS = 100
/** Memory of the machine, its swap device, and the size of a process's window, in pages. */
const FRAMES = 1024
const SWAP_SLOTS = 64
const WINDOW_PAGES = 4096
/** A case that takes longer than this has a thread that never sleeps. */
const MAX_TURNS = 1_000_000

export class ModelWorld implements World {
  readonly names = new Names()
  readonly machine: Machine
  readonly processes: Process[] = []
  readonly #engine: Timeline | Execution
  readonly #actors = new Map<string, Actor>()

  /** Round 0 of a case is run by time, each later one in another random interleaving; or all in an engine of somebody's own. */
  constructor(one: ConformCase, round = 0, { faultPath = 'vma-lock', without = [], engine }: ModelOptions = {}) {
    this.#engine = engine ?? (round === 0 ? new Timeline(QUANTUM_NS) : new Execution(random(new Prng(round))))
    const options = {
      name: 'destination',
      preset: ZEN5,
      frames: FRAMES,
      windowPages: WINDOW_PAGES,
      without: new Set(without),
    } as const
    this.machine = new Machine({ ...options, lockdep: true }, this.#engine, new Identity(), new Recorder({ keep: false }))
    this.machine.kernel.swap.on(SWAP_SLOTS)
    this.machine.kernel.faultPath = faultPath
    const process = new Process(this.machine)
    this.processes.push(process)
    const first = this.addActor('t0', process)
    this.#give(first, [(actor) => setUp(this, actor, one)])
    this.settle()
    if (first.work.length > 0) throw new Error(`setting up sleeps: ${first.thread.waitsFor}`)
  }

  /** A thread of `process` by that name. */
  addActor(name: string, process: Process): Actor {
    const actor: Actor = { name, thread: this.machine.makeThread(name), process, work: [], outcomes: [] }
    this.#actors.set(name, actor)
    process.adopt(actor.thread)
    this.machine.start(actor.thread, live(actor))
    return actor
  }

  /** The actor behind a thread's id, as THREAD_ID reports it. */
  actorOfThread(id: number): string | null {
    for (const { name, thread } of this.#actors.values()) if (threadIdOf(thread.id) === id) return name
    return null
  }

  #actor(name: string): Actor {
    const known = this.#actors.get(name)
    if (known !== undefined) return known
    const process = this.processes[0]
    if (process === undefined) throw new Error('there is no process')
    return this.addActor(name, process)
  }

  #give(actor: Actor, work: Actor['work']): void {
    actor.outcomes = []
    actor.work.push(...work)
    // Idle CPUs stand still: whoever acts now acts after all that was.
    actor.thread.wake(Math.max(...this.machine.kernel.cpus.map((cpu) => cpu.nowNs)))
  }

  begin(name: string, steps: readonly CallStep[]): void {
    this.#give(
      this.#actor(name),
      steps.map((step) => (actor) => callOnModel(this, actor, step)),
    )
  }

  /** A run is over when nobody can go on, though actors are never done: for a search, which would call that a deadlock. */
  restIsEnd(is: boolean): void {
    for (const { thread } of this.#actors.values()) thread.daemon = is
  }

  settle(): true {
    const engine = this.#engine
    const state = engine instanceof Timeline ? engine.run(MAX_TURNS) : engine.run(engine.step + MAX_TURNS)
    if (state !== 'idle' && state !== 'deadlock') throw new Error(`the case does not come to rest in ${MAX_TURNS} turns`)
    return true
  }

  outcomes(name: string): readonly Outcome[] {
    const { outcomes, work } = this.#actor(name)
    return work.length > 0 ? [...outcomes, BLOCKED] : outcomes
  }

  audit(): string | null {
    const broken = brokenAtRest({ kernels: [this.machine.kernel] })
    return broken === null ? null : `${broken.invariant}: ${broken.message}`
  }
}

/** A thread's life: work, and waiting for it. Its process is the one it was started in. */
function* live(actor: Actor): Proc<void> {
  const { thread, work } = actor
  for (;;) {
    thread.park('the next step of the case')
    const next = work[0]
    if (next === undefined) {
      yield BLOCK
      continue
    }
    thread.unpark()
    actor.outcomes.push(yield* next(actor))
    work.shift()
  }
}
