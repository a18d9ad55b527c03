/**
 * The story of one schedule: what each actor did at each step, where in the kernel, and what changed; as plain data.
 *
 * A schedule is run again, step by step. Each step has its lane (the task), the announced access in words, the place (place.ts),
 * what it changed (snapshot.ts), and whether the scheduler switched before it. The story ends with the broken invariant and the
 * two values that disagree, or with the outcome. The screen, the terminal, JSON and Perfetto all show this one value.
 */
import { Hash64 } from '../base/hash.ts'
import type { Task } from '../engine/task.ts'
import type { Violation } from '../explore/program.ts'
import { stayOn } from '../explore/replay.ts'
import { STEP_LIMIT } from '../explore/search.ts'
import { Walk } from '../explore/walk.ts'
import { accessWords } from './access_words.ts'
import type { History, LitmusResult } from './litmus.ts'
import { type Place, PlaceWatch, placeOf, type SourceFinder } from './place.ts'
import { type LitmusRun, programOf } from './program.ts'
import { type LitmusSchedule, spellSchedule } from './schedule_text.ts'
import { type Change, changes, snapshot } from './snapshot.ts'

export interface StoryLane {
  /** Id of the task, as in schedules. */
  readonly task: number
  readonly name: string
  /** It serves the others: an interrupt handler, a store buffer. */
  readonly isDaemon: boolean
}

export interface StoryStep {
  /** From 1. */
  readonly step: number
  /** Index into the lanes. */
  readonly lane: number
  /** Another task ran the step before. */
  readonly isSwitch: boolean
  /** And that one could have gone on. */
  readonly isPreemption: boolean
  /** The access that was announced and is now made; `goes on` after a wake-up. */
  readonly access: string
  readonly place: Place | null
  /** What the step did, up to the task's next announcement. */
  readonly changes: readonly Change[]
}

export interface Story {
  readonly schema: 'pageferry.story/1'
  readonly litmus: string
  readonly title: string
  readonly result: LitmusResult
  /** Those left out. */
  readonly protections: readonly string[]
  readonly memoryModel: string
  /** What stands at the start, drawn. */
  readonly start: string
  readonly history: History | null
  readonly schedule: string
  readonly lanes: readonly StoryLane[]
  readonly steps: readonly StoryStep[]
  readonly preemptions: number
  readonly violation: Violation | null
  /** What the actors saw; null where they did not come to their ends. */
  readonly outcome: string | null
  /** The schedule ends and the run would go on. */
  readonly isCut: boolean
  /** 16 hex digits over every step and the end: the same schedule gives the same hash. */
  readonly traceHash: string
}

/** The schedule does not fit the code: the task that should run next cannot. */
export class StoryError extends Error {}

/** Runs a schedule and tells it; after the schedule's end the run goes on without a switch that is not needed. */
export function tellStory(told: LitmusSchedule, find: SourceFinder = () => null): Story {
  const { litmus, without, model, steps: schedule } = told
  const watch = new PlaceWatch()
  const hash = new Hash64()
  const start = programOf(litmus, new Set(without), model)
  const runs: LitmusRun[] = []
  const walk = new Walk((scheduler) => {
    const run = start(scheduler)
    watch.watch(run.execution)
    runs.push(run)
    return run
  })
  const { execution } = walk
  const [{ world }] = runs
  const steps: (Omit<StoryStep, 'lane'> & { readonly task: Task })[] = []
  let before = snapshot(world)
  let isCut = false
  while (walk.violation === null) {
    const ready = walk.ready()
    if (ready.length === 0) {
      if (walk.steps < schedule.length)
        throw new StoryError(`does not fit this version: the run ends after ${walk.steps} of its ${schedule.length} steps`)
      walk.end()
      break
    }
    isCut = walk.steps >= Math.max(STEP_LIMIT, schedule.length)
    if (isCut) break
    const { last } = walk
    const task = chosen(ready, walk, schedule)
    const op = execution.pending(task)
    const access = op === null ? 'goes on' : accessWords(world, op)
    const place = placeOf(watch.stack(task), find)
    walk.perform(task)
    watch.watch(execution)
    const after = snapshot(world)
    const isSwitch = last !== null && last !== task
    const changed = changes(before, after)
    before = after
    steps.push({
      step: walk.steps,
      task,
      isSwitch,
      isPreemption: isSwitch && ready.includes(last),
      access,
      place,
      changes: changed,
    })
    hash.int(task.id)
    hash.text(access)
    for (const change of changed) hash.text(`${change.what} ${change.after}`)
  }
  const { violation } = walk
  const outcome = execution.alive || isCut ? null : walk.run.outcome()
  hash.text(violation?.message ?? '')
  hash.text(outcome ?? '')
  const acted = lanesOf(steps.map(({ task }) => task))
  return {
    schema: 'pageferry.story/1',
    litmus: litmus.name,
    title: litmus.title,
    result: litmus.result,
    protections: [...without],
    memoryModel: model,
    start: litmus.start,
    history: litmus.history ?? null,
    schedule: spellSchedule({ litmus, without, model, steps: execution.schedule }),
    lanes: acted.map((task) => ({ task: task.id, name: task.name, isDaemon: task.daemon })),
    steps: steps.map(({ task, ...step }) => ({ ...step, lane: acted.indexOf(task) })),
    preemptions: walk.preemptions,
    violation,
    outcome,
    isCut,
    traceHash: hash.digest(),
  }
}

function chosen(ready: readonly Task[], walk: Walk, schedule: readonly number[]): Task {
  if (walk.steps >= schedule.length) return stayOn(ready, walk.last)
  const id = schedule[walk.steps]
  const known = ready.map((task) => `${task.id} (${task.name})`).join(', ')
  return (
    ready.find((task) => task.id === id) ??
    stop(`does not fit this version: at step ${walk.steps + 1} task ${id} cannot run, only ${known}`)
  )
}

function stop(message: string): never {
  throw new StoryError(message)
}

/** Who did anything: the actors in the order in which they were made, then whoever serves them. */
function lanesOf(tasks: readonly Task[]): Task[] {
  return [...new Set(tasks)].sort((a, b) => Number(a.daemon) - Number(b.daemon) || a.id - b.id)
}
