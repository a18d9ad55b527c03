/**
 * Runs conformance cases on the host's kernel, a few at a time, each in a process of its own.
 *
 * Every few milliseconds the program's other affairs get their turn. Whatever the host cannot do at all is
 * NotPermitted; what one case asks beyond this kernel is a reason to skip that case.
 */
import { setImmediate } from 'node:timers/promises'
import { type KernelTraits, whyNotOnKernel } from '../../../core/conform/applies.ts'
import type { ConformCase } from '../../../core/conform/case.ts'
import type { KernelRun } from '../../../core/conform/report.ts'
import { type CaseResult, runningCase } from '../../../core/conform/runner.ts'
import { kernelInfo } from '../info.ts'
import { NotPermitted } from '../sys/errors.ts'
import { framesOf } from './kernel_observers.ts'
import { CASE_LIMIT_MS, KernelWorld } from './kernel_world.ts'
import { CODE_ADDRESS } from './puppet_code.ts'
import { Puppets, whyNoPuppets } from './puppets.ts'

/** Cases under way at the same time, each with puppets of its own: most of a case is waiting for a thread to run, or to sleep for sure. */
const AT_ONCE = 4
/** Puppets that nobody has used for so long end. They end with the program, too. */
const IDLE_MS = 1000
/** How long the program's other affairs wait at most. */
const BREATH_MS = 10
/** Of a case in which somebody is stopped each time. */
const MOST_TRIES = 5
const NEVER: Stop = { aborted: false }

interface Stop {
  readonly aborted: boolean
}

interface Limits {
  /** Of each case. */
  readonly limitMs?: number
  readonly stop?: Stop
}

/** Empty if it was stopped. */
export async function runCasesOnKernel(
  cases: readonly ConformCase[],
  { limitMs = CASE_LIMIT_MS, stop = NEVER }: Limits = {},
): Promise<readonly KernelRun[]> {
  const info = kernelInfo()
  const why = whyNoPuppets() ?? info.why
  if (why !== null) throw new NotPermitted(why)
  const troupes = takeTroupes(Math.min(AT_ONCE, cases.length))
  let areSound = false
  try {
    // The page of its code that a puppet executes is present.
    const tellsFrames = troupes.some(({ nursery }) => (framesOf(nursery.pid, CODE_ADDRESS, 1)[0] ?? 0) > 0)
    const traits = { release: info.release, features: info.features, tellsFrames }
    const runs: KernelRun[] = []
    let next = 0
    const lanes = troupes.slice(0, cases.length).map((puppets) => {
      return lane(() => (next < cases.length ? next++ : -1), cases, runs, traits, puppets, limitMs)
    })
    let breathedAt = performance.now()
    while (lanes.filter((one) => one.next().done !== true).length > 0) {
      if (performance.now() - breathedAt < BREATH_MS) continue
      await setImmediate()
      if (stop.aborted) return []
      breathedAt = performance.now()
    }
    areSound = true
    return runs
  } finally {
    giveBack(troupes, areSound)
  }
}

/** Puppets of the last run: whoever runs cases mostly runs more at once. */
let idle: Puppets[] = []
let closing: NodeJS.Timeout | undefined

function takeTroupes(count: number): readonly Puppets[] {
  clearTimeout(closing)
  const troupes = idle.splice(0).filter(({ hasEnded }) => !hasEnded)
  try {
    while (troupes.length < count) troupes.push(new Puppets())
  } catch (error) {
    for (const puppets of troupes) puppets.close()
    throw error
  }
  return troupes
}

function giveBack(troupes: readonly Puppets[], areSound: boolean): void {
  if (areSound) idle.push(...troupes)
  else for (const puppets of troupes) puppets.close()
  clearTimeout(closing)
  closing = setTimeout(() => {
    for (const puppets of idle) puppets.close()
    idle = []
  }, IDLE_MS)
  closing.unref()
}

/** Runs one case after the other; yields whenever a world needs time. */
function* lane(
  take: () => number,
  cases: readonly ConformCase[],
  runs: KernelRun[],
  traits: KernelTraits,
  puppets: Puppets,
  limitMs: number,
): Generator<void, void> {
  for (let at = take(); at >= 0; at = take()) {
    const one = cases[at]
    if (one === undefined) return
    const why = whyNotOnKernel(one, traits)
    runs[at] =
      why === null
        ? { case: one.id, skipped: null, ...(yield* undisturbed(one, puppets, limitMs)) }
        : { case: one.id, skipped: why, disagreement: null, told: [] }
    yield
  }
}

/** Runs a case; again, if somebody was stopped meanwhile. */
function* undisturbed(one: ConformCase, puppets: Puppets, limitMs: number): Generator<void, CaseResult> {
  for (let tries = 1; ; tries++) {
    const worlds: KernelWorld[] = []
    const result = yield* runningCase(one, (each, round) => {
      const world = new KernelWorld(puppets, each, round, limitMs)
      worlds.push(world)
      return world
    })
    if (tries === MOST_TRIES || !worlds.some(({ wasStopped }) => wasStopped)) return result
  }
}
