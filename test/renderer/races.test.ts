/**
 * The race explorer's facts: what is chosen, left out and narrowed, and how the newest search reaches the screen.
 */
import { beforeEach, describe, expect, test } from 'vitest'
import type { RaceListing, RaceView } from '../../core/api/protocol.ts'
import { RaceClient } from '../../renderer/races/race_client.ts'
import { choose, lookAtStep, narrowed, toggleProtection, useRaces } from '../../renderer/races/race_state.ts'
import { EngineDouble } from './double/engine_double.ts'

const race = (litmus: string, refs: string[], protections: string[]): RaceListing => ({
  litmus,
  title: `What ${litmus} asks`,
  result: 'never',
  refs,
  protections: protections.map((name) => ({ name, meaning: 'does something', prevents: 'something' })),
  memoryModel: 'sc',
  start: 'src -> page',
  history: null,
})

const MUSEUM = [
  race('two-movers', ['R36'], ['remap-pte-recheck']),
  race('late-flush', ['R33', 'R49'], ['tlb-flush', 'early-free']),
]

const view = (id: number, litmus: string, verdict: RaceView['verdict'] = null): RaceView => ({
  id,
  litmus,
  without: ['tlb-flush'],
  verdict,
  sentence: 'searching',
  progress: { schedules: id, traces: 0, depth: 0, frontier: 0 },
  story: null,
})

/** An engine whose newest search is set by hand. */
class Engine extends EngineDouble {
  news: RaceView | null = null
  told = 0

  tell(news: RaceView): void {
    this.news = news
    this.told++
  }

  override async races(): Promise<readonly RaceListing[]> {
    return MUSEUM
  }

  override async raceGeneration(): Promise<number> {
    return this.told
  }

  override async race(): Promise<RaceView | null> {
    return this.news
  }
}

beforeEach(() => useRaces.setState(useRaces.getInitialState(), true))

describe('choosing', () => {
  beforeEach(() => useRaces.setState({ museum: MUSEUM }))

  test('another test begins with its first protection left out', () => {
    choose('late-flush')
    expect(useRaces.getState()).toMatchObject({ chosen: 'late-flush', without: ['tlb-flush'] })
  })

  test('the same test again keeps what was chosen', () => {
    choose('late-flush')
    toggleProtection('early-free')
    choose('late-flush')
    expect(useRaces.getState().without).toEqual(['tlb-flush', 'early-free'])
  })

  test('a protection is left out and put back', () => {
    choose('late-flush')
    toggleProtection('tlb-flush')
    expect(useRaces.getState().without).toEqual([])
    toggleProtection('tlb-flush')
    expect(useRaces.getState().without).toEqual(['tlb-flush'])
  })

  test('steps stop at the start and at the end of the story', () => {
    lookAtStep(5)
    expect(useRaces.getState().step).toBe(0)
    lookAtStep(-1)
    expect(useRaces.getState().step).toBe(0)
  })
})

test.each([
  ['', 2],
  ['r36', 1],
  ['FLUSH', 1],
  ['late r49', 1],
  ['late r36', 0],
  ['pte-recheck', 1],
])('the words "%s" leave %i of the list', (filter, count) => expect(narrowed(MUSEUM, filter)).toHaveLength(count))

describe('the client', () => {
  test('reads the museum once and chooses its first test', async () => {
    await new RaceClient(new Engine(), (done) => done()).start()
    expect(useRaces.getState()).toMatchObject({ museum: MUSEUM, chosen: 'two-movers', without: ['remap-pte-recheck'] })
  })

  test('a search typed into the terminal opens the explorer at its test', async () => {
    const engine = new Engine()
    const client = new RaceClient(engine, (done) => done())
    await client.start()
    engine.tell(view(1, 'late-flush'))
    await client.look()
    expect(useRaces.getState()).toMatchObject({ open: true, chosen: 'late-flush', without: ['tlb-flush'] })
  })

  test('looks while a command runs, and once more when it is over', async () => {
    const engine = new Engine()
    const client = new RaceClient(engine, (done) => done())
    await client.start()
    let looks = 0
    await client.follow(() => {
      engine.tell(view(1, 'late-flush', looks === 3 ? 'verified' : null))
      return looks++ < 3
    })
    expect(useRaces.getState().view?.verdict).toBe('verified')
    expect(looks).toBe(4)
  })
})
