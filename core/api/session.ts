/**
 * A session: one shell, and the newest run it made, as a screen sees them. The only thing that hosts and screens import
 * to work with the engine.
 *
 * A command line goes to the shell (core/shell), the same that the command line program uses. When it is a `migrate`, the
 * shell's observer hands over the run and its recorder; from then on every question about the picture is answered from
 * the recorded events (fold.ts), also while the run goes on. A `kernel migrate` does the same with what it measures.
 */

import { drawnLines } from '../litmus/litmus.ts'
import { MUSEUM } from '../litmus/museum.ts'
import { PROTECTIONS } from '../mm/kconfig.ts'
import type { RunReport } from '../run/report.ts'
import type { StopSignal } from '../shell/command.ts'
import { CORE_COMMANDS } from '../shell/core_commands.ts'
import type { Host } from '../shell/host.ts'
import { Registry } from '../shell/registry.ts'
import { Shell } from '../shell/shell.ts'
import { EVENT_KIND_NAME } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'
import { describeRow } from '../trace/text.ts'
import { chartSeries } from './chart_series.ts'
import { Fold } from './fold.ts'
import { MilestoneCollector } from './milestones.ts'
import type {
  CommandOutput,
  Completion,
  EngineApi,
  EventRow,
  Frame,
  KernelRunView,
  Milestones,
  Prediction,
  RaceListing,
  RaceView,
  RunInfo,
  RunStatus,
  Series,
} from './protocol.ts'
import { RealRun, type ShownRun, SimulatedRun } from './shown_run.ts'

interface Shown {
  readonly run: ShownRun
  readonly recorder: Recorder
  readonly fold: Fold
  readonly milestones: MilestoneCollector
}

export class Session implements EngineApi {
  readonly #shell: Shell
  #shown: Shown | null = null
  #simulated: SimulatedRun | null = null
  #generation = 0
  #race: RaceView | null = null
  #raceGeneration = 0
  #real: RealRun | null = null
  #stop: { aborted: boolean } = { aborted: false }
  #busy = false

  constructor(host: Host) {
    this.#shell = new Shell({
      host,
      registry: new Registry(CORE_COMMANDS),
      place: 'terminal',
      program: '',
      keepEvents: true,
      observer: {
        onRun: (run, recorder, command) => {
          this.#real = null
          this.#simulated = new SimulatedRun(run, command)
          this.#show(this.#simulated, recorder, new MilestoneCollector(recorder))
        },
        onProgress: ({ nowNs, forecast }) => this.#shown?.milestones.foresee(nowNs, forecast),
        onEnd: (outcome) => {
          if (this.#simulated !== null) this.#simulated.outcome = outcome
        },
        onKernelRun: (run) => {
          const milestones = new MilestoneCollector(run.recorder)
          this.#real = new RealRun(run, milestones)
          this.#show(this.#real, run.recorder, milestones)
        },
        onKernelEnd: (outcome, report) => {
          if (this.#real === null) return
          this.#real.outcome = outcome
          this.#real.kernelReport = report
        },
        onRace: (news) => {
          this.#raceGeneration++
          this.#race = news
        },
      },
    })
  }

  #show(run: ShownRun, recorder: Recorder, milestones: MilestoneCollector): void {
    this.#generation++
    this.#shown = { run, recorder, fold: new Fold(recorder, run.pages), milestones }
  }

  async command(line: string, output: CommandOutput, columns: number): Promise<number> {
    if (this.#busy) {
      output.err('a command is still running; press Ctrl-C to stop it first\n')
      return 1
    }
    this.#busy = true
    this.#stop = { aborted: false }
    const stop: StopSignal = this.#stop
    const terminal = { out: (text: string) => output.out(text), err: (text: string) => output.err(text), columns, colour: true }
    try {
      return await this.#shell.run(line, terminal, stop)
    } finally {
      this.#busy = false
    }
  }

  async interrupt(): Promise<void> {
    this.#stop.aborted = true
  }

  async complete(line: string): Promise<readonly Completion[]> {
    return this.#shell.complete(line)
  }

  async generation(): Promise<number> {
    return this.#generation
  }

  async info(): Promise<RunInfo | null> {
    const shown = this.#shown
    if (shown === null) return null
    return { ...shown.run.info(), lanes: shown.recorder.lanes.map((lane) => ({ ...lane })) }
  }

  async status(): Promise<RunStatus | null> {
    const shown = this.#shown
    if (shown === null) return null
    return { ...shown.run.status(), rows: shown.recorder.rows, endNs: shown.recorder.endNs }
  }

  async frameAtRow(row: number): Promise<Frame | null> {
    return this.#shown?.fold.at(row) ?? null
  }

  async frameAtTime(timeNs: number): Promise<Frame | null> {
    const fold = this.#shown?.fold
    return fold === undefined ? null : fold.at(fold.rowAt(timeNs))
  }

  async series(binNs: number): Promise<Series | null> {
    return this.#shown === null ? null : chartSeries(this.#shown.recorder, binNs)
  }

  async milestones(): Promise<Milestones | null> {
    return this.#shown?.milestones.read() ?? null
  }

  async events(from: number, to: number): Promise<readonly EventRow[]> {
    const recorder = this.#shown?.recorder
    if (recorder === undefined) return []
    const rows: EventRow[] = []
    for (let row = Math.max(0, from); row < Math.min(to, recorder.rows); row++) rows.push(eventRow(recorder, row))
    return rows
  }

  async biography(page: number, limit: number): Promise<readonly EventRow[]> {
    const recorder = this.#shown?.recorder
    if (recorder === undefined || page < 0) return []
    const rows: EventRow[] = []
    for (let row = recorder.rows - 1; row >= 0 && rows.length < limit; row--) {
      if (recorder.page(row) === page) rows.push(eventRow(recorder, row))
    }
    return rows.reverse()
  }

  async findRow(row: number, dir: 1 | -1, kind: string, page: number): Promise<number> {
    const recorder = this.#shown?.recorder
    if (recorder === undefined) return -1
    for (let r = row + dir; r >= 0 && r < recorder.rows; r += dir) {
      if (kind !== '' && EVENT_KIND_NAME[recorder.kind(r)] !== kind) continue
      if (page >= 0 && recorder.page(r) !== page) continue
      return r
    }
    return -1
  }

  async kernelRun(): Promise<KernelRunView | null> {
    const report = this.#real?.kernelReport ?? null
    return this.#real === null || report === null ? null : { command: this.#real.run.command, report }
  }

  async prediction(bins: number): Promise<Prediction | null> {
    return this.#real?.prediction(bins) ?? null
  }

  async races(): Promise<readonly RaceListing[]> {
    return MUSEUM.map(({ name, title, result, refs, protections, memoryModel, start, history }) => ({
      litmus: name,
      title,
      result,
      refs,
      protections: PROTECTIONS.filter((one) => (protections as readonly string[]).includes(one.name)),
      memoryModel,
      start: drawnLines(start).join('\n'),
      history: history ?? null,
    }))
  }

  async raceGeneration(): Promise<number> {
    return this.#raceGeneration
  }

  async race(): Promise<RaceView | null> {
    return this.#race
  }

  async report(): Promise<RunReport | null> {
    return this.#shown?.run.report() ?? null
  }
}

function eventRow(recorder: Recorder, row: number): EventRow {
  const lane = recorder.lanes[recorder.lane(row)]
  return {
    row,
    timeNs: recorder.time(row),
    kind: EVENT_KIND_NAME[recorder.kind(row)],
    lane: lane.name,
    machine: lane.machine,
    page: recorder.page(row),
    text: describeRow(recorder, row),
  }
}
