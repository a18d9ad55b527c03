/**
 * A stand-in for the engine, for tests of the screen only: a short made-up run whose every picture can be worked out by
 * hand. Page p is populated in row p, sent and placed in order, and every eighth page is asked for first.
 */

import type {
  CommandOutput,
  Completion,
  EngineApi,
  EventRow,
  Frame,
  Milestones,
  RaceListing,
  RaceView,
  RunInfo,
  RunStatus,
  Series,
} from '../../../core/api/protocol.ts'
import { PageState, PROTOCOL_VERSION } from '../../../core/api/protocol.ts'

interface DoubleEvent {
  readonly timeNs: number
  readonly kind: string
  readonly lane: string
  readonly machine: 'source' | 'destination'
  readonly page: number
  readonly apply: (source: Uint8Array, destination: Uint8Array) => void
}

const FAULT_EVERY = 8
const VCPUS = 2

export class EngineDouble implements EngineApi {
  readonly calls: string[] = []
  machine: RunInfo['machine'] = 'simulated'
  #generation = 0
  #command = ''
  #events: DoubleEvent[] = []
  #revealed = 0
  #startedNs = 0
  #completedNs = 0
  readonly #faults: { timeNs: number; latencyNs: number; page: number }[] = []

  /** `slices`: how many looks at the status until the run is done. */
  constructor(
    readonly pages = 64,
    readonly slices = 4,
    readonly stepNs = 1000,
  ) {}

  async command(line: string, output: CommandOutput): Promise<number> {
    this.calls.push(line)
    if (!line.startsWith('migrate')) {
      output.out(line === 'help' ? 'migrate  moves a guest\nhelp     this list\n' : `no such command: ${line}\n`)
      return line === 'help' ? 0 : 127
    }
    this.#command = line
    this.#build()
    this.#generation++
    for (let slice = 1; slice <= this.slices; slice++) {
      this.#revealed = Math.floor((this.#events.length * slice) / this.slices)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    output.out(`completed: ${this.pages} pages\n`)
    return 0
  }

  async interrupt(): Promise<void> {
    this.calls.push('interrupt')
  }

  async complete(line: string): Promise<readonly Completion[]> {
    const word = /\S*$/.exec(line)?.[0] ?? ''
    return [
      { word: 'migrate', meaning: 'moves a guest' },
      { word: 'man', meaning: 'the manual' },
    ].filter((c) => c.word.startsWith(word))
  }

  async generation(): Promise<number> {
    return this.#generation
  }

  async info(): Promise<RunInfo | null> {
    const lanes = (['source', 'destination'] as const).flatMap((machine) =>
      Array.from({ length: VCPUS }, (_, vcpu) => ({ name: `vCPU ${vcpu}`, machine })),
    )
    const wire = { bandwidthBitsPerSec: 1e9, rttNs: 150_000, urgentChannel: false, multifdChannels: 0 }
    return {
      machine: this.machine,
      command: this.#command,
      seed: 1,
      pages: this.pages,
      vcpus: VCPUS,
      lanes,
      ...wire,
    }
  }

  async status(): Promise<RunStatus | null> {
    const endNs = this.#events[this.#revealed - 1]?.timeNs ?? 0
    const reached = (ns: number) => (endNs >= ns ? ns : -1)
    return {
      state: this.#revealed === this.#events.length ? 'done' : 'running',
      migration: endNs >= this.#completedNs ? 'completed' : 'postcopy-active',
      rows: this.#revealed,
      endNs,
      startedNs: reached(this.#startedNs),
      switchedNs: reached(this.#startedNs + 5 * this.stepNs),
      completedNs: reached(this.#completedNs),
      error: '',
    }
  }

  async frameAtRow(row: number): Promise<Frame | null> {
    const source = new Uint8Array(this.pages)
    const destination = new Uint8Array(this.pages)
    const done = this.#events.slice(0, Math.min(row, this.#revealed))
    for (const event of done) event.apply(source, destination)
    const last = done.at(-1)
    const count = (kind: string) => done.filter((event) => event.kind === kind).length
    const timeNs = last?.timeNs ?? 0
    const placed = count('Place')
    return {
      version: PROTOCOL_VERSION,
      row: done.length,
      timeNs,
      status:
        timeNs < this.#startedNs
          ? 'none'
          : timeNs < this.#startedNs + 5 * this.stepNs
            ? 'device'
            : timeNs >= this.#completedNs
              ? 'completed'
              : 'postcopy-active',
      source,
      destination,
      counters: {
        pagesSent: count('Send'),
        zeroPagesSent: 0,
        bytesSent: count('Send') * 4104,
        pagesPlaced: placed,
        pagesInFlight: count('Send') - count('Receive'),
        bytesInFlight: (count('Send') - count('Receive')) * 4104,
        requests: count('Request'),
        requestsPending: Math.max(0, count('Fault') - count('Wake')),
        faults: count('Fault'),
        vcpusBlocked: Math.min(VCPUS, Math.max(0, count('Fault') - count('Wake'))),
        dirtied: count('Dirty'),
        shootdowns: 0,
        guestOps: 0,
        violations: 0,
        checksPassed: timeNs >= this.#completedNs ? 4 : 0,
        passes: 1,
        dirtyAtPass: this.pages,
        throttlePercent: 0,
        linksDown: 0,
      },
      narration: last ? `${last.lane} on the ${last.machine}: ${last.kind} of page ${last.page}.` : '',
      page: last?.page ?? -1,
    }
  }

  async frameAtTime(timeNs: number): Promise<Frame | null> {
    let row = 0
    while (row < this.#revealed && (this.#events[row]?.timeNs ?? Number.POSITIVE_INFINITY) <= timeNs) row++
    return this.frameAtRow(row)
  }

  async series(binNs: number): Promise<Series | null> {
    const { endNs } = (await this.status()) ?? { endNs: 0 }
    const bins = Math.ceil(endNs / binNs) + 1
    const sentBytes = new Float64Array(bins)
    for (const event of this.#events.slice(0, this.#revealed)) {
      if (event.kind === 'Send')
        sentBytes[Math.floor(event.timeNs / binNs)] = (sentBytes[Math.floor(event.timeNs / binNs)] ?? 0) + 4104
    }
    const faults = this.#faults.filter((fault) => fault.timeNs <= endNs)
    return {
      binNs,
      sentBytes,
      receivedBytes: sentBytes,
      dirtiedPages: new Float64Array(bins),
      guestOps: new Float64Array(bins),
      blockedVcpus: new Float64Array(bins),
      faultTimeNs: Float64Array.from(faults, (fault) => fault.timeNs),
      faultLatencyNs: Float64Array.from(faults, (fault) => fault.latencyNs),
      faultPage: Int32Array.from(faults, (fault) => fault.page),
    }
  }

  async milestones(): Promise<Milestones | null> {
    const states = [{ timeNs: this.#startedNs, status: 'postcopy-active' as const }]
    return { states, passes: [], incidents: [], throttles: [], running: [], forecasts: [] }
  }

  async events(from: number, to: number): Promise<readonly EventRow[]> {
    return this.#events.slice(from, Math.min(to, this.#revealed)).map((event, index) => row(event, from + index))
  }

  async biography(page: number, limit: number): Promise<readonly EventRow[]> {
    return this.#events
      .slice(0, this.#revealed)
      .flatMap((event, index) => (event.page === page ? [row(event, index)] : []))
      .slice(-limit)
  }

  async findRow(from: number, dir: 1 | -1, kind: string, page: number): Promise<number> {
    for (let at = from + dir; at >= 0 && at < this.#revealed; at += dir) {
      const event = this.#events[at]
      if (event && (kind === '' || event.kind === kind) && (page < 0 || event.page === page)) return at
    }
    return -1
  }

  async races(): Promise<readonly RaceListing[]> {
    return [
      {
        litmus: 'two-movers-one-destination',
        title: 'Two calls place a page at one destination',
        result: 'never',
        refs: ['R36'],
        protections: [
          { name: 'remap-pte-recheck', meaning: 'looks again under the locks', prevents: 'a page over a page (R36)' },
        ],
        memoryModel: 'sc',
        start: 'src -> page',
        history: null,
      },
    ]
  }

  async raceGeneration(): Promise<number> {
    return 0
  }

  async race(): Promise<RaceView | null> {
    return null
  }

  async prediction() {
    return null
  }

  async kernelRun() {
    return null
  }

  async report() {
    return null
  }

  async registerFile(file: File): Promise<void> {
    this.calls.push(`file ${file.name}`)
  }

  async onDownload(): Promise<void> {}

  #build(): void {
    this.#events = []
    this.#faults.length = 0
    let now = 0
    const add = (
      kind: string,
      machine: 'source' | 'destination',
      lane: string,
      page: number,
      apply: DoubleEvent['apply'],
    ): void => {
      now += this.stepNs
      this.#events.push({ timeNs: now, kind, lane, machine, page, apply })
    }
    const source =
      (state: number, page: number) =>
      (map: Uint8Array): void =>
        void map.fill(state, page, page + 1)
    const destination =
      (state: number, page: number) =>
      (_: Uint8Array, map: Uint8Array): void =>
        void map.fill(state, page, page + 1)
    for (let page = 0; page < this.pages; page++) {
      const state = page % 7 === 6 ? PageState.zero : page % 5 < 2 ? PageState.dirty : PageState.resident
      add('Populate', 'source', `vCPU ${page % VCPUS}`, page, source(state, page))
    }
    now += 1000 * this.stepNs
    this.#startedNs = now + this.stepNs
    add('State', 'source', 'migration', -1, () => {})
    now += 10 * this.stepNs
    for (let page = 0; page < this.pages; page++) {
      if (page % FAULT_EVERY === 0) {
        const asked = (page * 13 + this.pages / 2) % this.pages
        const lane = `vCPU ${(page / FAULT_EVERY) % VCPUS}`
        const since = now
        add('Fault', 'destination', lane, asked, destination(PageState.fault, asked))
        add('Request', 'destination', 'fault', asked, () => {})
        now += 40 * this.stepNs
        add('Place', 'destination', 'listen', asked, destination(PageState.resident, asked))
        add('Wake', 'destination', lane, asked, () => {})
        this.#faults.push({ timeNs: now, latencyNs: now - since, page: asked })
      }
      add('Send', 'source', 'migration', page, (from, to) => {
        from[page] = PageState.resident
        for (let ahead = page; ahead < Math.min(this.pages, page + 9); ahead++)
          if (to[ahead] === PageState.missing) to[ahead] = PageState.inflight
      })
      add('Receive', 'destination', 'listen', page, () => {})
      add('Place', 'destination', 'listen', page, destination(page % 7 === 6 ? PageState.zero : PageState.resident, page))
    }
    add('State', 'destination', 'migration', -1, () => {})
    this.#completedNs = now
    for (let page = 0; page < this.pages; page += 3)
      add('Dirty', 'destination', 'vCPU 0', page, destination(PageState.dirty, page))
  }
}

const row = (event: DoubleEvent, index: number): EventRow => ({
  row: index,
  timeNs: event.timeNs,
  kind: event.kind,
  lane: event.lane,
  machine: event.machine,
  page: event.page,
  text: `${event.kind} of page ${event.page}`,
})
