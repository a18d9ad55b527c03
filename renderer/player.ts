/**
 * Plays a run: moves the playhead, asks the engine for the picture there, and keeps the screen's facts up to date.
 *
 *  1. `run(line)` sends a command to the engine and looks at its status every 100 ms until it is answered, and, where it went on
 *     in the background (`migrate -d`), until the run is over.
 *  2. When the engine has a new run, the playhead follows the engine's end until the migration has started, then plays
 *     from shortly before that start at a speed that lets the crossing take about twenty seconds. A run on the real kernel is
 *     followed until it is over: ten pictures a second, which take little of the CPUs that are measured.
 *  3. Every animation frame while playing: advance the playhead, ask for its picture. One request is under way at a
 *     time; a newer wish replaces an older one. While paused nothing is scheduled at all.
 *
 * Pairs with playback.ts (the arithmetic) and state.ts (where the facts go).
 */
import type { CommandOutput, EngineApi, Frame, RunInfo, RunStatus } from '../core/api/protocol.ts'
import type { Crossing } from './playback.ts'
import { advance, clampSpeed, fittingSpeed, leadIn } from './playback.ts'
import { bothCrossings } from './prediction.ts'
import {
  focusedPage,
  hoveredPage,
  playheadNs,
  shownFrame,
  shownMilestones,
  shownPrediction,
  shownSeries,
  shownSleeps,
  timelineView,
  useScreen,
} from './state.ts'
import { follow, tickStep } from './timeline/scale.ts'
import { SleepCollector } from './timeline/sleeps.ts'

/** Real time, so that tests can bring their own. */
export interface Clock {
  nowMs(): number
  nextFrame(callback: () => void): void
  later(callback: () => void, ms: number): void
}

type Wish = { readonly row: number } | { readonly timeNs: number }

const POLL_MS = 100
const SERIES_EVERY_MS = 500
const SERIES_BINS = 400
const PREDICTION_BINS = 200
/** A real run that took longer was seen while it went on; a shorter one is played again, slowly. */
const WATCHABLE_NS = 3e9
/** The newest fault draws the inspector's attention, but not more often than one can read. */
const FOCUS_EVERY_MS = 1500

export class Player {
  #generation = 0
  #wish: Wish | null = null
  #asking = false
  /** The row that is being fetched, so that quick steps add up. */
  #asked: number | null = null
  #looping = false
  #lastTickMs = 0
  /** The playhead sits at the engine's end, since the migration has not started yet. */
  #atEngineEnd = false
  #speedChosen = false
  #crossingKnown = false
  #sleeps = new SleepCollector()
  #collecting: SleepCollector | null = null
  /** Commands that are not answered yet, and whether the engine is being looked at. */
  #commands = 0
  #polling = false
  #nextSeriesMs = 0
  #nextFocusMs = 0

  constructor(
    readonly engine: EngineApi,
    readonly clock: Clock,
  ) {
    hoveredPage.watch(() => this.#focus())
  }

  // ---- commands -------------------------------------------------------------------------------------------------

  /** Runs one command line; a `migrate` becomes the run on the screen. Resolves with the exit code. */
  async run(line: string, output: CommandOutput, columns: number): Promise<number> {
    useScreen.setState({ running: line })
    const answer = this.engine.command(line, output, columns)
    this.#commands++
    const poll = async (): Promise<void> => {
      if (this.#commands === 0 && useScreen.getState().status?.state !== 'running') {
        this.#polling = false
        return
      }
      // A dead engine is told by the command itself, which fails then.
      await this.#lookAtEngine().catch(() => {})
      this.clock.later(() => void poll(), POLL_MS)
    }
    if (!this.#polling) {
      this.#polling = true
      void poll()
    }
    try {
      return await answer
    } finally {
      this.#commands--
      useScreen.setState({ running: null })
      await this.#lookAtEngine()
    }
  }

  async #lookAtEngine(): Promise<void> {
    const generation = await this.engine.generation()
    if (generation === 0) return
    if (generation !== this.#generation) {
      const info = await this.engine.info()
      if (!info) return
      const prediction = info.machine === 'kernel' ? await this.engine.prediction(PREDICTION_BINS) : null
      this.#begin(generation)
      shownPrediction.set(prediction)
      useScreen.setState({ info, status: null, report: null, speedNsPerSec: fittingSpeed(this.#crossing(info, null)) })
    }
    const status = await this.engine.status()
    if (!status || generation !== this.#generation) return
    if (unchanged(status, useScreen.getState().status)) return
    useScreen.setState({ status })
    this.#follow(status)
    await this.#readSeries(status)
    if (status.state !== 'running' && generation === this.#generation) useScreen.setState({ report: await this.engine.report() })
  }

  #begin(generation: number): void {
    this.#generation = generation
    this.#atEngineEnd = true
    this.#speedChosen = false
    this.#crossingKnown = false
    this.#sleeps = new SleepCollector()
    this.#nextSeriesMs = 0
    shownSeries.set(null)
    shownPrediction.set(null)
    shownMilestones.set(null)
    shownSleeps.set([])
    shownFrame.set(null)
    playheadNs.set(0)
    focusedPage.set(-1)
    useScreen.setState({ pinnedPage: -1 })
    this.play()
  }

  /** What a grown run means for playhead, speed and timeline. */
  #follow(status: RunStatus): void {
    const { info } = useScreen.getState()
    if (!info) return
    const crossing = this.#crossing(info, status)
    if (this.#atEngineEnd) {
      const isLive = info.machine === 'kernel' && status.state === 'running'
      this.#atEngineEnd = status.state === 'running' && (isLive || status.startedNs < 0)
      playheadNs.set(isLive || status.startedNs < 0 || isSeen(info, status) ? status.endNs : leadIn(crossing))
      this.#ask({ timeNs: playheadNs.value })
    }
    if (!this.#crossingKnown) {
      timelineView.set(bothCrossings(status, shownPrediction.value))
      // One that ends otherwise has its length, too.
      const overNs = status.completedNs >= 0 || status.state === 'running' ? status.completedNs : status.endNs
      if (overNs >= 0) {
        this.#crossingKnown = true
        if (!this.#speedChosen) useScreen.setState({ speedNsPerSec: fittingSpeed({ ...crossing, completedNs: overNs }) })
      }
    }
  }

  #crossing(info: Pick<RunInfo, 'pages' | 'bandwidthBitsPerSec' | 'rttNs'>, status: RunStatus | null): Crossing {
    return { ...info, startedNs: status?.startedNs ?? -1, completedNs: status?.completedNs ?? -1 }
  }

  async #readSeries(status: RunStatus): Promise<void> {
    const now = this.clock.nowMs()
    if (status.state === 'running' && now < this.#nextSeriesMs) return
    this.#nextSeriesMs = now + SERIES_EVERY_MS
    const generation = this.#generation
    const [series, milestones] = await Promise.all([
      this.engine.series(tickStep(status.endNs, SERIES_BINS)),
      this.engine.milestones(),
    ])
    if (generation !== this.#generation) return
    shownSeries.set(series)
    shownMilestones.set(milestones)
    void this.#collectSleeps()
  }

  /** One collector at a time; it goes round again when the series has grown meanwhile. */
  async #collectSleeps(): Promise<void> {
    const collector = this.#sleeps
    if (this.#collecting === collector) return
    this.#collecting = collector
    const stale = () => collector !== this.#sleeps
    for (let read = null; !stale() && shownSeries.value !== null && read !== shownSeries.value; ) {
      read = shownSeries.value
      const sleeps = await collector.collect(this.engine, read, stale)
      if (!stale()) shownSleeps.set(sleeps)
    }
    if (this.#collecting === collector) this.#collecting = null
  }

  // ---- playing --------------------------------------------------------------------------------------------------

  play(): void {
    const { status, playing } = useScreen.getState()
    if (playing) return
    // Play at the very end means: again, from the beginning of the crossing.
    if (status && status.state !== 'running' && playheadNs.value >= status.endNs) {
      const { info } = useScreen.getState()
      this.seekTime(info && status.startedNs >= 0 ? leadIn(this.#crossing(info, status)) : 0)
    }
    useScreen.setState({ playing: true })
    this.#lastTickMs = this.clock.nowMs()
    if (this.#looping) return
    this.#looping = true
    this.clock.nextFrame(() => this.#tick())
  }

  pause(): void {
    useScreen.setState({ playing: false })
    this.#atEngineEnd = false
  }

  toggle(): void {
    if (useScreen.getState().playing) this.pause()
    else this.play()
  }

  setSpeed(speedNsPerSec: number): void {
    this.#speedChosen = true
    useScreen.setState({ speedNsPerSec: clampSpeed(speedNsPerSec) })
  }

  #tick(): void {
    const { playing, status, speedNsPerSec } = useScreen.getState()
    if (!playing) {
      this.#looping = false
      return
    }
    const now = this.clock.nowMs()
    if (status && !this.#atEngineEnd) {
      const step = advance(playheadNs.value, now - this.#lastTickMs, speedNsPerSec, status.endNs, status.state === 'running')
      playheadNs.set(step.playheadNs)
      timelineView.set(follow(timelineView.value, step.playheadNs, status.endNs))
      this.#ask({ timeNs: step.playheadNs })
      if (step.ended) this.pause()
    }
    this.#lastTickMs = now
    this.clock.nextFrame(() => this.#tick())
  }

  // ---- seeking --------------------------------------------------------------------------------------------------

  /** Goes to a moment; while playing, goes on from there. */
  seekTime(timeNs: number): void {
    const { status } = useScreen.getState()
    this.#atEngineEnd = false
    playheadNs.set(Math.min(Math.max(0, timeNs), status?.endNs ?? 0))
    this.#ask({ timeNs: playheadNs.value })
  }

  /** Goes behind row `row - 1` and pauses. */
  seekRow(row: number): void {
    const { status } = useScreen.getState()
    this.pause()
    this.#ask({ row: Math.min(Math.max(0, row), status?.rows ?? 0) })
  }

  step(direction: 1 | -1): void {
    this.pause()
    const wished = this.#wish && 'row' in this.#wish ? this.#wish.row : null
    const row = wished ?? this.#asked ?? shownFrame.value?.row ?? 0
    this.seekRow(row + direction)
  }

  /** Goes to the next or previous event of a kind and of a page; an empty kind or page -1 means any. */
  async seekEvent(direction: 1 | -1, kind: string, page: number): Promise<boolean> {
    this.pause()
    const shown = shownFrame.value?.row ?? 0
    // The shown event is row shown - 1; the engine looks behind it, or before it.
    const row = await this.engine.findRow(shown - 1, direction, kind, page)
    if (row >= 0) this.seekRow(row + 1)
    return row >= 0
  }

  #ask(wish: Wish): void {
    this.#wish = wish
    if (!this.#asking) void this.#serve()
  }

  async #serve(): Promise<void> {
    this.#asking = true
    try {
      while (this.#wish) {
        const wish = this.#wish
        const generation = this.#generation
        this.#wish = null
        this.#asked = 'row' in wish ? wish.row : null
        const frame = await ('row' in wish ? this.engine.frameAtRow(wish.row) : this.engine.frameAtTime(wish.timeNs))
        if (frame && generation === this.#generation) this.#show(frame, 'row' in wish)
      }
    } finally {
      this.#asked = null
      this.#asking = false
    }
  }

  #show(frame: Frame, movePlayhead: boolean): void {
    if (movePlayhead) {
      playheadNs.set(frame.timeNs)
      const { status } = useScreen.getState()
      timelineView.set(follow(timelineView.value, frame.timeNs, status?.endNs ?? frame.timeNs))
    }
    shownFrame.set(frame)
    this.#focus()
  }

  // ---- attention ------------------------------------------------------------------------------------------------

  pin(page: number): void {
    useScreen.setState({ pinnedPage: page, inspectorOpen: page >= 0 })
    this.#nextFocusMs = 0
    this.#focus()
  }

  #focus(): void {
    const { pinnedPage, playing } = useScreen.getState()
    const chosen = hoveredPage.value >= 0 ? hoveredPage.value : pinnedPage
    if (chosen >= 0) {
      focusedPage.set(chosen)
      return
    }
    const now = this.clock.nowMs()
    if (playing && now < this.#nextFocusMs) return
    const page = newestFaultPage(playheadNs.value)
    if (page < 0 || page === focusedPage.value) return
    this.#nextFocusMs = now + FOCUS_EVERY_MS
    focusedPage.set(page)
  }
}

/** The page whose remote fault ended last before `timeNs`, or -1. */
function newestFaultPage(timeNs: number): number {
  const series = shownSeries.value
  if (!series) return -1
  let low = 0
  let high = series.faultTimeNs.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((series.faultTimeNs[middle] ?? 0) <= timeNs) low = middle + 1
    else high = middle
  }
  return low > 0 ? (series.faultPage[low - 1] ?? -1) : -1
}

/** It was followed, and took long enough for one to see it. */
function isSeen(info: RunInfo, { startedNs, endNs }: RunStatus): boolean {
  return info.machine === 'kernel' && endNs - startedNs >= WATCHABLE_NS
}

function unchanged(a: RunStatus, b: RunStatus | null): boolean {
  return (
    b !== null &&
    a.state === b.state &&
    a.migration === b.migration &&
    a.rows === b.rows &&
    a.endNs === b.endNs &&
    a.completedNs === b.completedNs
  )
}
