/**
 * Runs that never end: a livelock is named when it is one, and a run that is only long is cut and not accused.
 */
import { describe, expect, it } from 'vitest'
import { touch } from '../../core/engine/footprint.ts'
import { AccessMode, type Proc, read, write } from '../../core/engine/op.ts'
import { searchDfs } from '../../core/explore/dfs.ts'
import { searchDpor } from '../../core/explore/dpor.ts'
import type { Program } from '../../core/explore/program.ts'
import { searchRandom } from '../../core/explore/random.ts'
import { replayed, searchReplay } from '../../core/explore/replay.ts'
import { finish } from '../../core/explore/search.ts'
import { type Body, stepTasks } from '../engine/tasks.ts'

function program(...bodies: Body[]): Program {
  return (scheduler) => ({ execution: stepTasks(scheduler, bodies), check: () => null, finish: () => null, outcome: () => '' })
}

/** Looks at the word for ever. */
function* looks(): Proc<void> {
  for (;;) yield read(0, 'word')
}

function* writes(): Proc<void> {
  for (;;) yield write(0, 'word')
}

/** 6,000 reads, and then it is done. */
function* ends(): Proc<void> {
  for (let i = 0; i < 6_000; i++) yield read(i, 'word')
}

describe('a task that only looks, for ever', () => {
  it.each([
    ['dfs', searchDfs],
    ['dpor', searchDpor],
    ['random', searchRandom],
  ] as const)('is a livelock to %s, and on replay', (_, search) => {
    const spin = program(looks)
    const verdict = finish(search(spin, { schedules: 10 }))
    const violation = { invariant: 'I-WAIT', message: 'livelock: A repeat the same 1 steps and change nothing' }
    expect(verdict).toMatchObject({ verdict: 'violation', counterexample: { violation } })
    expect(finish(searchReplay(spin, verdict.counterexample?.schedule ?? [])).counterexample?.violation).toEqual(violation)
  })

  it('is none while another task could bring a change', () => {
    const verdict = finish(searchDfs(program(looks, looks)))
    expect(verdict).toMatchObject({ verdict: 'bounded', bound: { steps: 5_000 }, counterexample: null })
  })
})

it('a task that writes is cut, and no livelock', () => {
  expect(finish(searchDpor(program(writes)))).toMatchObject({ verdict: 'bounded', bound: { steps: 5_000 }, counterexample: null })
})

it('a long run without a period is cut, and no livelock', () => {
  expect(finish(searchDpor(program(ends)))).toMatchObject({ verdict: 'bounded', bound: { steps: 5_000 }, counterexample: null })
})

it('a cut run is left where it was cut', () => {
  const quiet: Body = function* () {
    for (;;) {
      yield read(0, 'word')
      touch(1, 'word', AccessMode.write)
    }
  }
  expect(replayed(program(quiet), [0, 0], 10).steps).toBe(10)
})
