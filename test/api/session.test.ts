/**
 * A session as a screen uses it: a line makes a run, questions about it are answered from its events, Ctrl-C stops it.
 *
 * The host is in memory; the runs are real.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import type { EngineApi, Frame, RunInfo } from '../../core/api/protocol.ts'
import { Session } from '../../core/api/session.ts'
import { EVENT_KIND_NAME } from '../../core/trace/event.ts'
import { MemoryHost } from '../shell/memory_host.ts'

const LINE = 'migrate --guest kv:rate=2M/s --mem 3M --bandwidth 1Gbps --duration 2ms --seed 5'

class Output {
  text = ''
  errors = ''
  out(text: string): void {
    this.text += text
  }
  err(text: string): void {
    this.errors += text
  }
}

async function run(session: EngineApi, line: string): Promise<{ code: number; text: string; errors: string }> {
  const output = new Output()
  const code = await session.command(line, output, 100)
  return { code, text: output.text, errors: output.errors }
}

function there<T>(value: T | null): T {
  if (value === null) throw new Error('the session answers null')
  return value
}

describe('a session without a run', () => {
  const session = new Session(new MemoryHost())

  it('has no picture', async () => {
    const answers = [
      session.info(),
      session.status(),
      session.frameAtRow(0),
      session.frameAtTime(0),
      session.series(1e6),
      session.report(),
    ]
    expect(await Promise.all(answers)).toEqual([null, null, null, null, null, null])
    expect(await Promise.all([session.generation(), session.events(0, 10), session.biography(0, 5)])).toEqual([0, [], []])
    expect(await session.findRow(0, 1, '', -1)).toBe(-1)
  })

  it('answers a wrong line in one sentence, and still has none', async () => {
    const wrong = await run(session, 'migrate --mem 64')
    expect([wrong.code, wrong.text]).toEqual([2, ''])
    expect(wrong.errors.trim().split('\n')).toHaveLength(1)
    expect((await run(session, 'migrat')).code).toBe(127)
    expect((await run(session, 'info migrate')).errors).toContain('no migration was made')
    expect(await session.generation()).toBe(0)
  })

  it('completes', async () => {
    expect((await session.complete('mig')).map((c) => c.word)).toContain('migrate')
    expect(await session.complete('migrate --resolver ')).toEqual(
      expect.arrayContaining([expect.objectContaining({ word: expect.stringContaining('remap') })]),
    )
  })
})

describe('a session with a run', () => {
  const session = new Session(new MemoryHost())
  let info: RunInfo
  let rows = 0
  let endNs = 0

  beforeAll(async () => {
    expect((await run(session, LINE)).code).toBe(0)
    info = there(await session.info())
    const status = there(await session.status())
    rows = status.rows
    endNs = status.endNs
  })

  it('knows its options and the line that makes it again', async () => {
    expect(info).toMatchObject({ seed: 5, pages: 768, vcpus: 2, bandwidthBitsPerSec: 1e9, rttNs: 150_000 })
    expect(await session.generation()).toBe(1)
    const again = new Session(new MemoryHost())
    await run(again, info.command)
    expect(there(await again.report()).traceHash).toBe(there(await session.report()).traceHash)
    expect((await again.info())?.command).toBe(info.command)
  })

  it('tells when it started, switched and completed, in that order', async () => {
    const status = there(await session.status())
    expect(status).toMatchObject({ state: 'done', error: '' })
    expect(status.startedNs).toBeGreaterThan(0)
    expect(status.switchedNs).toBeGreaterThan(status.startedNs)
    expect(status.completedNs).toBeGreaterThan(status.switchedNs)
    expect(endNs).toBeGreaterThanOrEqual(status.completedNs)
    // A vCPU may be ahead by a quantum of 10 us and the fault that it began in it, and a row is not shown before those that stand in front of it.
    expect(there(await session.frameAtTime(status.completedNs + 30_000)).status).toBe('completed')
    expect(there(await session.frameAtTime(status.completedNs - 1)).status).toBe('postcopy-active')
  })

  it('has the picture of each time: empty at 0, all resident at the end', async () => {
    const first = there(await session.frameAtTime(-1))
    expect([first.row, first.status, first.destination.every((s) => s === 0)]).toEqual([0, 'none', true])
    const last = there(await session.frameAtTime(1e15))
    expect([last.row, last.status, last.destination.every((s) => s !== 0)]).toEqual([rows, 'completed', true])
    expect(await session.frameAtRow(rows)).toEqual(last)
  })

  it('steps forward and back between rows', async () => {
    const frames: Frame[] = []
    for (const row of [300, 301, 300]) frames.push(there(await session.frameAtRow(row)))
    expect(frames[2]).toEqual(frames[0])
    expect(frames[1]?.row).toBe(301)
    const [event] = await session.events(300, 301)
    expect([frames[1]?.narration, frames[1]?.page]).toEqual([event?.text, event?.page])
  })

  it('lists events by row, none before the first or behind the last', async () => {
    expect((await session.events(10, 15)).map((e) => e.row)).toEqual([10, 11, 12, 13, 14])
    expect((await session.events(-5, 2)).map((e) => e.row)).toEqual([0, 1])
    expect(await session.events(rows, rows + 5)).toEqual([])
    const all = await session.events(0, rows)
    expect(all).toHaveLength(rows)
    for (const { kind, lane, machine } of all) {
      expect(EVENT_KIND_NAME).toContain(kind)
      expect(info.lanes).toContainEqual({ name: lane, machine })
    }
  })

  it('finds the next and the previous row of a kind and of a page, as a search by hand does', async () => {
    const all = await session.events(0, rows)
    const wakes = all.filter((e) => e.kind === 'Wake')
    expect(wakes.length).toBeGreaterThan(3)
    const [one, two] = wakes as [(typeof all)[number], (typeof all)[number]]
    expect(await session.findRow(-1, 1, 'Wake', -1)).toBe(one.row)
    expect(await session.findRow(one.row, 1, 'Wake', -1)).toBe(two.row)
    expect(await session.findRow(two.row, -1, 'Wake', -1)).toBe(one.row)
    expect(await session.findRow(one.row, -1, 'Wake', -1)).toBe(-1)
    expect(await session.findRow(rows, -1, '', -1)).toBe(rows - 1)
    expect(await session.findRow(-1, 1, 'Place', one.page)).toBe(all.find((e) => e.kind === 'Place' && e.page === one.page)?.row)
    expect(await session.findRow(-1, 1, 'Nonsense', -1)).toBe(-1)
  })

  it('tells the life of a page: booted, faulted on, sent, received, placed, the vCPU woken', async () => {
    const wake = (await session.events(0, rows)).find((e) => e.kind === 'Wake')
    const page = wake?.page ?? -1
    const life = await session.biography(page, 1000)
    const first = (kind: string) => life.findIndex((e) => e.kind === kind)
    const order = ['Populate', 'Send', 'Receive', 'Place', 'Wake'].map(first)
    expect(order).toEqual(order.toSorted((a, b) => a - b))
    expect(Math.min(...order, first('Fault'))).toBeGreaterThanOrEqual(0)
    expect(first('Fault')).toBeLessThan(first('Wake'))
    expect(life.every((e) => e.page === page)).toBe(true)
  })

  it('tells of a long life the newest part, oldest first', async () => {
    const whole = await session.biography(0, 1e9)
    expect(whole.length).toBeGreaterThan(3)
    expect(await session.biography(0, 2)).toEqual(whole.slice(-2))
    expect(await session.biography(-1, 5)).toEqual([])
  })

  it('has charts and a report that agree', async () => {
    const series = there(await session.series(1e6))
    const report = there(await session.report())
    expect(series.sentBytes.length).toBe(Math.floor(endNs / 1e6) + 1)
    expect(report).toMatchObject({ seed: 5, consistency: { verdict: 'consistent' }, migration: { status: 'completed' } })
  })

  it('answers info migrate and info status for it', async () => {
    const migrate = await run(session, 'info migrate')
    expect([migrate.code, migrate.errors]).toEqual([0, ''])
    expect(migrate.text).toContain('completed')
    expect((await run(session, 'info status')).text).toContain('VM status')
  })

  it('keeps the run on screen when a line is wrong, and takes the next run when one is made', async () => {
    await run(session, 'migrate --mem nonsense')
    expect([await session.generation(), (await session.info())?.seed]).toEqual([1, 5])
    await run(session, LINE.replace('--seed 5', '--seed 6'))
    expect([await session.generation(), (await session.info())?.seed]).toEqual([2, 6])
  })
})

describe('while a run goes on', () => {
  /** Says what is to happen at the host's next breath. */
  class BreathingHost extends MemoryHost {
    onBreath: () => Promise<void> = async () => {}
    override async breathe(): Promise<void> {
      await super.breathe()
      await this.onBreath()
    }
  }
  const LONG = 'migrate --guest kv:rate=2M/s --mem 8M --bandwidth 100Mbps'

  it('questions are answered, another command is refused, and interrupt ends it with 130', async () => {
    const host = new BreathingHost()
    const session = new Session(host)
    const seen: unknown[] = []
    let breaths = 0
    host.onBreath = async () => {
      if (++breaths !== 5) return
      const status = await session.status()
      const frame = await session.frameAtRow(1e9)
      seen.push(status?.state, frame?.row === status?.rows, await session.report())
      seen.push(await run(session, 'help'))
      await session.interrupt()
    }
    const { code, errors } = await run(session, LONG)
    expect(seen).toEqual([
      'running',
      true,
      null,
      { code: 1, text: '', errors: 'a command is still running; press Ctrl-C to stop it first\n' },
    ])
    expect(code).toBe(130)
    expect(errors).toContain('interrupted after')
    expect(breaths).toBe(5)
    expect((await session.status())?.state).toBe('interrupted')
    // What was recorded until then stays to be looked at.
    expect((await session.frameAtRow(1e9))?.row).toBeGreaterThan(100)
  })

  it('an interrupt that comes when nothing runs does not stop the next command', async () => {
    const session = new Session(new MemoryHost())
    await session.interrupt()
    expect((await run(session, LINE)).code).toBe(0)
  })

  it('a run that ends at its time limit is done with 124', async () => {
    const session = new Session(new MemoryHost())
    const { code } = await run(session, `${LINE} --time-limit 25ms`)
    expect([code, (await session.status())?.state]).toEqual([124, 'done'])
  })
})

describe('a guest from a file', () => {
  const lines = Array.from(
    { length: 3000 },
    (_, i) => ` ${i % 3 === 0 ? 'S' : 'L'} ${(0x4000000 + ((i * 677) % 90_000)).toString(16)},8\n`,
  )

  it('is read through the host, over and over, and migrates', async () => {
    const session = new Session(new MemoryHost({ 'dir/t.lackey': lines.join('') }))
    expect((await run(session, 'migrate --guest dir/t.lackey --mem 2M --duration 1ms')).code).toBe(0)
    expect(there(await session.report()).consistency.verdict).toBe('consistent')
  })

  it('with a broken line fails with file and line', async () => {
    const session = new Session(new MemoryHost({ 'dir/t.lackey': `${lines.join('')}broken\n` }))
    const { code, errors } = await run(session, 'migrate --guest dir/t.lackey --mem 2M')
    expect(code).toBe(1)
    expect(errors).toContain('dir/t.lackey:3001: not a memory access ("broken")')
    expect((await session.status())?.state).toBe('failed')
  })

  it('that is not there fails before anything runs', async () => {
    const session = new Session(new MemoryHost())
    const { code, errors } = await run(session, 'migrate --guest dir/none.lackey --mem 2M')
    expect(code).not.toBe(0)
    expect(errors).toContain('there is no file dir/none.lackey')
    expect(await session.generation()).toBe(0)
  })
})
