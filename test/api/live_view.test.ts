/**
 * The live view: two maps side by side, figures that fit, a cursor that always comes back, and silence where nobody looks.
 */
import { describe, expect, it } from 'vitest'
import { type LiveFacts, liveFrame, sparkline } from '../../core/api/live_frame.ts'
import { LiveView } from '../../core/api/live_view.ts'
import { drawCells, pageMap } from '../../core/api/page_map.ts'
import { PageState } from '../../core/api/protocol.ts'
import type { MigrationRun } from '../../core/run/migration_run.ts'
import type { Progress } from '../../core/run/report.ts'
import { Recorder } from '../../core/trace/recorder.ts'

const { missing, resident, inflight, fault, error, zero } = PageState

const PROGRESS: Progress = {
  phase: 'during',
  status: 'postcopy-active',
  nowNs: 5e6,
  startedNs: 1e6,
  pagesTotal: 1000,
  pagesReceived: 430,
  transferredBytes: 1.7e6,
  mbps: 9400,
  requests: 12,
  vcpusBlocked: 1,
  loadsChecked: 123_456,
  mismatches: 0,
  latencyP50Ns: 310_000,
  latencyP99Ns: 1_900_000,
  pagesPopulated: 1000,
  forecast: null,
}

function facts(more: Partial<Progress> = {}): LiveFacts {
  const source = new Uint8Array(1000).fill(resident)
  const destination = new Uint8Array(1000).fill(missing)
  return {
    progress: { ...PROGRESS, ...more },
    vcpus: 2,
    source,
    destination,
    rates: [1e9, 9e9],
    pagesPerSecond: 400_000,
    secondsLeft: 1.4,
  }
}

function drawn(states: number[], width: number, height: number): string[] {
  return pageMap(Uint8Array.from(states), width, height).map((cells) => drawCells(cells, width, 'none'))
}

describe('a page map', () => {
  it('shows one page a cell where there is room', () => {
    expect(drawn([missing, zero, resident, inflight, fault, error], 4, 2)).toEqual(['·0█»', '!X  '])
  })

  it('shows the worst of a group, else the most common', () => {
    expect(drawn([resident, resident, fault, missing, missing, missing, missing, resident], 2, 1)).toEqual(['!·'])
    expect(drawn([fault, error, resident, resident, resident, resident, resident, missing], 2, 1)).toEqual(['X█'])
  })

  it('never takes more room than it was given', () => {
    for (const pages of [1, 7, 64, 65, 1000, 65_536]) {
      const lines = drawn(new Array<number>(pages).fill(resident), 32, 4)
      expect(lines.length).toBeLessThanOrEqual(4)
      for (const line of lines) expect(line.length).toBe(32)
    }
  })

  it('sets a colour once for a row of equal cells, and takes it back', () => {
    expect(drawCells(Uint8Array.of(resident, resident, fault), 3, 'basic')).toBe('\u001b[34m██\u001b[91m!\u001b[0m')
  })
})

describe('a frame', () => {
  it('shows the maps, the progress with rate and time left, and the figures', () => {
    const lines = liveFrame(facts(), 120, 40, 'none')
    expect(lines[0]).toMatch(/^SOURCE +DESTINATION$/)
    expect(lines[1]).toBe(`${'█'.repeat(58)}   ${'·'.repeat(58)}`)
    const text = lines.join('\n')
    for (const part of [
      'postcopy-active',
      '43 %',
      '430 of 1,000 pages',
      '400,000 pages/s',
      '1.4 s left',
      '9.00 Gbps  ▁█',
      'p50 310 us  p99 1.90 ms',
      'requests 12',
      'blocked vCPUs 1/2',
      'loads checked 123,456',
      '✓ consistent so far',
    ])
      expect(text).toContain(part)
  })

  it('fits every width, down to a bare percentage', () => {
    for (const columns of [20, 30, 45, 60, 80, 100, 200]) {
      for (const line of liveFrame(facts(), columns, 30, 'none')) expect(line.length).toBeLessThan(columns)
    }
    expect(liveFrame(facts(), 30, 30, 'none').at(-1)).toBe('postcopy-active 43 %')
  })

  it('fits every height', () => {
    for (const rows of [4, 8, 12, 24])
      expect(liveFrame(facts(), 100, rows, 'none').length).toBeLessThanOrEqual(Math.max(3, rows - 1))
  })

  it('says a mismatch with a sign, not by colour alone', () => {
    expect(liveFrame(facts({ mismatches: 3 }), 120, 30, 'none').at(-1)).toContain('✕ 3 mismatches')
  })

  it('a sparkline ends in the newest value and spans to the largest', () => {
    expect(sparkline([0, 1, 2, 4, 8], 4)).toBe('▂▃▅█')
    expect(sparkline([0, 0], 4)).toBe('▁▁')
    expect(sparkline([], 4)).toBe('')
  })
})

describe('the view', () => {
  // Only what the view asks of a run; the states themselves are the run's own affair.
  const run = {
    pageStates: (source: Uint8Array, destination: Uint8Array) => {
      source.fill(resident)
      destination.fill(missing)
    },
    progress: () => PROGRESS,
  } as unknown as MigrationRun

  function watch(isTTY: boolean) {
    const stream = {
      text: '',
      isTTY,
      columns: 100,
      rows: 30,
      write(text: string) {
        this.text += text
      },
    }
    const clock = { seconds: 0 }
    const view = new LiveView(stream, { depth: 'none', now: () => clock.seconds })
    return { stream, clock, view }
  }

  it('draws at most ten times a second, each over the one before', () => {
    const { stream, clock, view } = watch(true)
    view.onRun(run, new Recorder({ keep: false }), 'migrate', false)
    for (let at = 0; at < 1000; at++) {
      clock.seconds = at / 1000
      view.onProgress(PROGRESS)
    }
    const drawings = stream.text.split('SOURCE').length - 1
    expect(drawings).toBeGreaterThanOrEqual(9)
    expect(drawings).toBeLessThanOrEqual(10)
    expect(stream.text.match(/\u001b\[\d+A/g)?.length).toBe(drawings - 1)
  })

  it('hides the cursor once and shows it again, however the run ends', () => {
    const { stream, view } = watch(true)
    view.onRun(run, new Recorder({ keep: false }), 'migrate', false)
    view.onProgress(PROGRESS)
    expect(stream.text.split('\u001b[?25l').length).toBe(2)
    view.onEnd('done')
    view.restore()
    expect(stream.text.split('\u001b[?25h').length).toBe(2)
    expect(stream.text.endsWith('\u001b[?25h')).toBe(true)
  })

  it('draws less often where a drawing takes long, and not at all for who interrupted', () => {
    const { stream, clock, view } = watch(true)
    const slow = {
      ...run,
      pageStates: () => {
        clock.seconds += 0.05
      },
    } as unknown as MigrationRun
    view.onRun(slow, new Recorder({ keep: false }), 'migrate', false)
    while (clock.seconds < 5) {
      view.onProgress(PROGRESS)
      clock.seconds += 0.01
    }
    const drawings = stream.text.split('SOURCE').length - 1
    expect(drawings).toBeGreaterThanOrEqual(16)
    expect(drawings).toBeLessThanOrEqual(20)
    view.onEnd('interrupted')
    expect(stream.text.split('SOURCE').length - 1).toBe(drawings)
    expect(stream.text.endsWith('\u001b[?25h')).toBe(true)
  })

  it('the cursor comes back even if the last drawing fails', () => {
    const { stream, view } = watch(true)
    const broken = {
      ...run,
      progress: () => {
        throw new Error('gone')
      },
    } as unknown as MigrationRun
    view.onRun(broken, new Recorder({ keep: false }), 'migrate', false)
    view.onProgress(PROGRESS)
    expect(() => view.onEnd('done')).toThrow('gone')
    expect(stream.text.endsWith('\u001b[?25h')).toBe(true)
  })

  it('elsewhere nothing is written in the first two seconds, then one line for every tenth', () => {
    const { stream, clock, view } = watch(false)
    view.onRun(run, new Recorder({ keep: false }), 'migrate', false)
    view.onProgress(PROGRESS)
    expect(stream.text).toBe('')
    clock.seconds = 2.5
    for (const pagesReceived of [430, 440, 505, 510]) view.onProgress({ ...PROGRESS, pagesReceived })
    view.onEnd('done')
    expect(stream.text).toBe('postcopy-active 40 %, 430 of 1,000 pages\npostcopy-active 50 %, 505 of 1,000 pages\n')
  })

  it('a quiet run shows nothing', () => {
    for (const isTTY of [true, false]) {
      const { stream, clock, view } = watch(isTTY)
      view.onRun(run, new Recorder({ keep: false }), 'migrate', true)
      clock.seconds = 5
      view.onProgress(PROGRESS)
      view.onEnd('done')
      expect(stream.text).toBe('')
    }
  })
})
