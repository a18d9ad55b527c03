/**
 * Random call sequences as cases: sequence n of a seed is the same wherever and in whatever company it is made.
 *
 * Even ones are sequential: each call by any actor who is awake, waited for until it returns or sleeps. Odd ones have a shorter prologue of
 * that kind and then two calls at once by two threads, after which a third looks at what they left: what they may answer is not one thing, and
 * allowed_outcomes.ts knows which.
 */
import { Prng } from '../base/prng.ts'
import type { ConformCase, Step } from './case.ts'
import type { ModelOptions } from './model_world.ts'
import { drawCall, drawSetting, readSizeOf } from './random_calls.ts'
import { type Call, caseOf, type Setting, Telling } from './telling.ts'

const SEQUENTIAL_CALLS = 16
const PROLOGUE_CALLS = 7
const MOST_CHILDREN = 2
/** How often a pair is run on a kernel: each time the two meet a little differently. */
const PAIR_ROUNDS = 4

/** A sequence as the list of calls that it was drawn from, so that calls can be left out of it. */
export interface Sequence {
  readonly id: string
  readonly setting: Setting
  readonly calls: readonly Call[]
  /** Two calls at once behind them. */
  readonly pair: readonly [Call, Call] | null
}

export interface Drawn {
  readonly sequence: Sequence
  /** What caseOfSequence makes of it. */
  readonly one: ConformCase
}

export function drawSequence(seed: number, n: number, options: ModelOptions = {}): Sequence {
  return drawCase(seed, n, options).sequence
}

export function drawCase(seed: number, n: number, options: ModelOptions = {}): Drawn {
  const prng = new Prng(seed).fork(`sequence ${n}`)
  const setting = drawSetting(prng)
  const telling = new Telling(setting, options)
  const calls: Call[] = []
  const children: string[] = []
  const isPair = n % 2 === 1
  const draw = (actors: readonly string[]) =>
    drawCall(prng, actors, {
      descriptors: [...Object.keys(setting.uffds), ...telling.descriptors],
      readSize: readSizeOf(setting),
      children,
    })
  for (let i = 0; i < (isPair ? PROLOGUE_CALLS : SEQUENTIAL_CALLS); i++) {
    // Three threads must stay awake for a pair, and one for anything.
    const awake = telling.awake
    if (awake.length === 0 || telling.isOver) break
    const call = draw(awake)
    if (call.call === 'fork' && children.length === MOST_CHILDREN) continue
    if (!telling.perform(call)) continue
    calls.push(call)
    if (call.call === 'fork' && typeof call.args.child === 'string') children.push(call.args.child)
  }
  const id = `r${n}-seed-${seed}`
  const threads = telling.awake.filter((actor) => actor.startsWith('t'))
  const pairOf = (): [Call, Call] => {
    const first = drawUntil(() => draw(['t0']), isForPairs)
    return [first, drawUntil(() => draw(['t1']), isForPairs)]
  }
  const sequence = { id, setting, calls, pair: isPair && threads.length === 3 ? pairOf() : null }
  return { sequence, one: concluded(telling, sequence) }
}

/** Observers see a state between two others that no thread need ever see, and a fork copies while others write. */
function isForPairs({ call }: Call): boolean {
  return !['vmas', 'pagemap', 'fork', 'exit', 'poll', 'mincore'].includes(call)
}

function drawUntil(draw: () => Call, isGood: (call: Call) => boolean): Call {
  for (;;) {
    const call = draw()
    if (isGood(call)) return call
  }
}

/** The case that it is: what the model answers is what it expects, but for a pair and what is seen after it. */
export function caseOfSequence(sequence: Sequence, options: ModelOptions = {}): ConformCase {
  const telling = new Telling(sequence.setting, options)
  for (const call of sequence.calls) telling.perform(call)
  return concluded(telling, sequence)
}

/** Behind the calls: the pair, and what is looked at in the end. */
function concluded(telling: Telling, { id, setting, calls, pair }: Sequence): ConformCase {
  const looks = looksAt(setting)
  if (pair === null || ![...pair, { ...pair[0], actor: 't2' }].every((call) => telling.canPerform(call))) {
    // One thread of each process looks.
    const lookers = ['t', 'c'].flatMap((kind) => telling.awake.find((actor) => actor.startsWith(kind)) ?? [])
    for (const actor of lookers) for (const look of looks) telling.perform({ actor, ...look })
    return caseOf(id, `${calls.length} calls, one after the other`, setting, telling.steps)
  }
  const expect = { anything: true } as const
  const steps: Step[] = [
    ...telling.steps,
    { together: pair.map((call) => ({ ...call, expect })) },
    ...looks.map((look) => ({ actor: 't2', ...look, expect })),
  ]
  return { ...caseOf(id, `${pair[0].call} and ${pair[1].call} at once`, setting, steps), rounds: PAIR_ROUNDS }
}

/** What is there, how many areas, and what waits to be read. */
function looksAt(setting: Setting): readonly Pick<Call, 'call' | 'args'>[] {
  const { regions, uffds } = setting
  const ranges = Object.entries(regions).map(([at, { pages }]) => ({ at, length: `${pages + 1}p` }))
  return [
    ...ranges.map((args) => ({ call: 'pagemap', args }) as const),
    ...ranges.map((args) => ({ call: 'vmas', args }) as const),
    ...Object.keys(uffds).map((fd) => ({ call: 'read', args: { fd, size: readSizeOf(setting) } }) as const),
  ]
}
