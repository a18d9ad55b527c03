/**
 * Shows a migration while it runs, on standard error.
 *
 * On a terminal: the picture of live_frame.ts, drawn over itself at most ten times a second, with the cursor hidden while
 * it stands there and always shown again. Elsewhere nothing moves: after two seconds, one line for every tenth done.
 */
import { formatCount } from '../base/units.ts'
import { forecastText } from '../run/forecast.ts'
import type { MigrationRun } from '../run/migration_run.ts'
import type { Progress } from '../run/report.ts'
import type { RunObserver, RunOutcome } from '../shell/shell_state.ts'
import type { Recorder } from '../trace/recorder.ts'
import { type LiveFacts, liveFrame, shareDone } from './live_frame.ts'
import type { ColourDepth } from './page_map.ts'

const SECONDS_BETWEEN_DRAWINGS = 0.1
/** Of the host's time, at most this share goes into drawing: a map of a million pages takes a while to make. */
const SHARE_FOR_DRAWING = 0.2
const SECONDS_BEFORE_LINES = 2
const RATES_KEPT = 64

const HIDE_CURSOR = '\u001b[?25l'
const SHOW_CURSOR = '\u001b[?25h'
/** A terminal that knows these shows the drawing at once; others pass them over. */
const BEGIN_DRAWING = '\u001b[?2026h'
const END_DRAWING = '\u001b[?2026l'

/** What the view needs of a stream: process.stderr, or a test's own. */
export interface LiveStream {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

export interface LiveOptions {
  readonly depth: ColourDepth
  /** Seconds of host time. */
  now(): number
}

interface Sample {
  readonly at: number
  readonly pages: number
  readonly bytes: number
  readonly simulatedNs: number
  readonly phase: Progress['phase']
}

export class LiveView implements RunObserver {
  readonly #stream: LiveStream
  readonly #options: LiveOptions
  #run: MigrationRun | null = null
  #recorder: Recorder | null = null
  #source = new Uint8Array()
  #destination = new Uint8Array()
  #startedAt = 0
  #drawnAt = 0
  #pauseSeconds = SECONDS_BETWEEN_DRAWINGS
  #tenths = 0
  #linesDrawn = 0
  #isCursorHidden = false
  #samples: Sample[] = []
  #rates: number[] = []

  constructor(stream: LiveStream, options: LiveOptions) {
    this.#stream = stream
    this.#options = options
  }

  onRun(run: MigrationRun, recorder: Recorder, _command: string, quiet: boolean): void {
    this.#run = quiet ? null : run
    this.#recorder = recorder
    this.#startedAt = this.#options.now()
    this.#drawnAt = Number.NEGATIVE_INFINITY
    this.#tenths = 0
    this.#linesDrawn = 0
    this.#samples = []
    this.#rates = []
  }

  onProgress(progress: Progress): void {
    if (this.#run === null) return
    const now = this.#options.now()
    if (!this.#stream.isTTY) this.#printTenth(progress, now)
    else if (now - this.#drawnAt >= this.#pauseSeconds) this.#draw(this.#run, progress, now)
  }

  onEnd(outcome: RunOutcome): void {
    // Who interrupts wants the prompt back, not another picture.
    const run = outcome === 'interrupted' ? null : this.#run
    this.#run = null
    try {
      if (run !== null && this.#stream.isTTY) this.#draw(run, run.progress(), this.#options.now())
    } finally {
      this.restore()
      this.#recorder = null
      this.#source = new Uint8Array()
      this.#destination = new Uint8Array()
    }
  }

  /** Shows the cursor again; safe at any moment, the end of the process included. */
  restore(): void {
    if (!this.#isCursorHidden) return
    this.#isCursorHidden = false
    this.#stream.write(`${END_DRAWING}${SHOW_CURSOR}`)
  }

  #draw(run: MigrationRun, progress: Progress, now: number): void {
    this.#drawnAt = now
    const facts = this.#facts(run, progress, now)
    const lines = liveFrame(facts, this.#stream.columns || 80, this.#stream.rows || 24, this.#options.depth)
    const up = this.#linesDrawn > 0 ? `\u001b[${this.#linesDrawn}A` : ''
    const hide = this.#isCursorHidden ? '' : HIDE_CURSOR
    this.#isCursorHidden = true
    // Lines of the drawing before may be longer, or more.
    this.#stream.write(`${hide}${BEGIN_DRAWING}${up}\r${lines.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J${END_DRAWING}`)
    this.#linesDrawn = lines.length
    this.#pauseSeconds = Math.max(SECONDS_BETWEEN_DRAWINGS, (this.#options.now() - now) / SHARE_FOR_DRAWING)
  }

  #facts(run: MigrationRun, progress: Progress, now: number): LiveFacts {
    if (this.#source.length !== progress.pagesTotal) {
      this.#source = new Uint8Array(progress.pagesTotal)
      this.#destination = new Uint8Array(progress.pagesTotal)
    }
    run.pageStates(this.#source, this.#destination)

    const { phase } = progress
    const sample = {
      at: now,
      pages: phase === 'boot' ? progress.pagesPopulated : progress.pagesReceived,
      bytes: progress.transferredBytes,
      simulatedNs: progress.nowNs,
      phase,
    }
    const before = this.#samples[this.#samples.length - 1]
    if (before !== undefined && before.phase !== phase) this.#samples = []
    this.#samples.push(sample)
    if (this.#samples.length > 12) this.#samples.shift()
    if (before !== undefined && phase === 'during' && sample.simulatedNs > before.simulatedNs) {
      this.#rates.push(((sample.bytes - before.bytes) * 8e9) / (sample.simulatedNs - before.simulatedNs))
      if (this.#rates.length > RATES_KEPT) this.#rates.shift()
    }
    const oldest = this.#samples[0] ?? sample
    const isCounting = (phase === 'boot' || phase === 'during') && now > oldest.at
    const pagesPerSecond = isCounting ? (sample.pages - oldest.pages) / (now - oldest.at) : 0
    const secondsLeft = pagesPerSecond > 0 ? (progress.pagesTotal - sample.pages) / pagesPerSecond : 0
    // A vCPU has a lane on each machine.
    const vcpus = new Set((this.#recorder?.lanes ?? []).map(({ name }) => name).filter((name) => name.startsWith('vCPU'))).size
    return {
      progress,
      vcpus,
      source: this.#source,
      destination: this.#destination,
      rates: this.#rates,
      pagesPerSecond,
      secondsLeft,
    }
  }

  #printTenth(progress: Progress, now: number): void {
    if (progress.phase !== 'during' || now - this.#startedAt < SECONDS_BEFORE_LINES) return
    const tenths = Math.floor(shareDone(progress) * 10)
    if (tenths <= this.#tenths) return
    this.#tenths = tenths
    const forecast = progress.forecast === null ? '' : `, ${forecastText(progress.forecast)}`
    this.#stream.write(
      `${progress.status} ${tenths * 10} %, ${formatCount(progress.pagesReceived)} of ${formatCount(progress.pagesTotal)} pages${forecast}\n`,
    )
  }
}
