/**
 * The host's loop: it ends with the run, stops within a breath when asked, feeds a trace block by block and over again, and
 * closes the file whatever happens. The result does not depend on the host's clock.
 */
import { describe, expect, it } from 'vitest'
import { type DriveHost, driveRun } from '../../core/run/drive.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import type { MigrateOptions } from '../../core/run/options.ts'
import type { Progress } from '../../core/run/report.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { finish, small } from './small.ts'

const LINES = Array.from(
  { length: 400 },
  (_, i) => ` ${i % 3 === 0 ? 'S' : 'L'} ${(0x4000000 + (i % 40) * 4096 + (i % 2) * 8).toString(16)},8`,
)
const TRACE = `==1== Lackey\n${LINES.join('\n')}\n`

interface TestHost extends DriveHost {
  breaths: number
  opened: string[]
  closed: number
}

/** A host whose clock goes `stepSeconds` at each look, with a file of the trace above in blocks of 100 bytes. */
function host(stepSeconds: number): TestHost {
  let clock = 0
  const made: TestHost = {
    breaths: 0,
    opened: [],
    closed: 0,
    wallSeconds: () => {
      clock += stepSeconds
      return clock
    },
    breathe: async () => {
      made.breaths++
    },
    async *open(path) {
      made.opened.push(path)
      try {
        const bytes = new TextEncoder().encode(TRACE)
        for (let i = 0; i < bytes.length; i += 100) yield bytes.slice(i, i + 100)
      } finally {
        made.closed++
      }
    },
  }
  return made
}

function start(options: Partial<MigrateOptions> = {}): MigrationRun {
  return new MigrationRun(small(options), new Recorder({ keep: false }))
}

describe('driving', () => {
  it('ends with the run, and its last slice says so', async () => {
    const run = start()
    const slices: Progress[] = []
    expect(await driveRun(run, [], host(0.001), { aborted: false }, (p) => slices.push(p))).toBe('done')
    expect(slices.at(-1)).toMatchObject({ phase: 'done', status: 'completed', pagesReceived: 256 })
    expect(run.report()).toEqual(finish().report())
  })

  it('gives the same report on a slow host and on a fast one, which breathes less often', async () => {
    const [slow, fast] = [host(0.02), host(0.000_001)]
    const [a, b] = [start({ seed: 3 }), start({ seed: 3 })]
    await driveRun(a, [], slow, { aborted: false }, () => {})
    await driveRun(b, [], fast, { aborted: false }, () => {})
    expect(a.report()).toEqual(b.report())
    expect(slow.breaths).toBeGreaterThan(fast.breaths)
  })

  it('stops at the first breath after it was asked to', async () => {
    const h = host(0.02)
    const stop = { aborted: false }
    let slices = 0
    const end = await driveRun(start(), [], h, stop, () => {
      if (++slices === 2) stop.aborted = true
    })
    expect(end).toBe('interrupted')
    expect(h.breaths).toBe(2)
  })

  it('says when the time limit ended it', async () => {
    expect(await driveRun(start({ timeLimitNs: 1_000_000 }), [], host(0.001), { aborted: false }, () => {})).toBe('time-limit')
  })
})

describe('a trace', () => {
  it('is opened by its path, fed over again as long as the guest runs, closed, and comes over right', async () => {
    const h = host(0.001)
    const run = start({ guest: 'x/tiny.lackey', vcpus: 1 })
    expect(await driveRun(run, ['x/tiny.lackey'], h, { aborted: false }, () => {})).toBe('done')
    expect(new Set(h.opened)).toEqual(new Set(['x/tiny.lackey']))
    expect(h.opened.length).toBeGreaterThan(1)
    expect(h.closed).toBe(h.opened.length)
    const report = run.report()
    expect(report.consistency.verdict).toBe('consistent')
    expect(report.guest.touchedPages).toBe(40)
    expect(report.consistency.loadsChecked).toBeGreaterThan(0)
  })

  it('is closed when the run is interrupted', async () => {
    const h = host(0.02)
    const run = start({ guest: 'x/tiny.lackey', vcpus: 1 })
    expect(await driveRun(run, ['x/tiny.lackey'], h, { aborted: true }, () => {})).toBe('interrupted')
    expect(h.closed).toBe(h.opened.length)
  })
})
