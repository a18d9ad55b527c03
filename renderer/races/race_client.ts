/**
 * Keeps the race explorer's facts up to date: the museum once, and while a command runs, the newest search.
 *
 * A search is started as in the terminal, by its command line, so that what a click does can be read, repeated and scripted.
 */
import type { EngineApi } from '../../core/api/protocol.ts'
import { choose, useRaces } from './race_state.ts'

const POLL_MS = 150

export class RaceClient {
  #generation = 0
  #looking = false

  constructor(
    readonly engine: EngineApi,
    readonly later: (callback: () => void, ms: number) => void,
  ) {}

  async start(): Promise<void> {
    const museum = await this.engine.races()
    useRaces.setState({ museum })
    if (museum[0] !== undefined && useRaces.getState().chosen === '') choose(museum[0].litmus)
  }

  /** Looks again and again while `isBusy`, and once more after that. */
  async follow(isBusy: () => boolean): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    try {
      while (isBusy()) {
        await this.look()
        await new Promise<void>((done) => this.later(done, POLL_MS))
      }
      await this.look()
    } finally {
      this.#looking = false
    }
  }

  async look(): Promise<void> {
    const generation = await this.engine.raceGeneration()
    if (generation === this.#generation) return
    const view = await this.engine.race()
    this.#generation = generation
    if (view === null) return
    const { view: before, museum } = useRaces.getState()
    const isNew = before?.id !== view.id || before.story !== view.story
    useRaces.setState({ view })
    // Whoever searches in the terminal wants to see the same test here.
    if (before?.id !== view.id && museum.some(({ litmus }) => litmus === view.litmus))
      useRaces.setState({ open: true, chosen: view.litmus, without: view.without })
    if (isNew) useRaces.setState({ step: view.story?.steps.length ?? 0 })
  }
}
