/**
 * The text of a trace: one line an event, in fixed columns, each with a sentence that makes sense.
 *
 * Every kind of event is described once by hand, then all lines of a real run are checked for their shape.
 */
import { describe, expect, it } from 'vitest'
import { EVENT_KIND_NAME, EventKind } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { describeRow, REAL_RUN_HEADER, TRACE_TEXT_HEADER, writeText } from '../../core/trace/text.ts'
import { sampleRun } from './sample_run.ts'

function described(kind: EventKind, page: number, arg: number): string {
  const r = new Recorder({ keep: true })
  r.addLane({ name: 'vCPU 0', machine: 'destination' })
  r.event(1_500_000, kind, 0, page, arg)
  return describeRow(r, 0)
}

const LINE = /^ *\d+ +\d+\.\d{6} ms (?:src|dst) \S.{11,} [A-Z][A-Za-z]+ {1,}\S/

describe('a row in words', () => {
  it.each<[keyof typeof EventKind, number, number, string]>([
    ['State', -1, 5, 'the migration is postcopy-active'],
    ['Populate', 31, 0, 'page 0x1f gets its first frame'],
    ['Populate', 31, 1, 'page 0x1f is mapped to the zero page'],
    ['Dirty', 31, 0, 'vCPU 0 writes page 0x1f, which was clean'],
    ['Send', 31, 4104, 'page 0x1f goes out in 4104 bytes'],
    ['Send', 31, 9, 'page 0x1f is zero; its record goes out in 9 bytes'],
    ['Receive', 31, 4104, 'page 0x1f arrives'],
    ['Place', 31, 0, 'page 0x1f is in place at the destination'],
    ['Place', 31, 1, 'page 0x1f is in place at the destination as the zero page'],
    ['Fault', 31, 1, 'vCPU 0 writes page 0x1f before it arrived; it sleeps'],
    ['Fault', 31, 0, 'vCPU 0 reads page 0x1f before it arrived; it sleeps'],
    ['Request', 31, 0, 'the destination asks for page 0x1f'],
    ['RequestReceived', 31, 0, 'the source takes the request for page 0x1f'],
    ['Wake', 31, 432_100, 'vCPU 0 runs again after 432.1 us on page 0x1f'],
    ['Wake', 31, 16_000_000, 'vCPU 0 runs again after 16.00 ms on page 0x1f'],
    ['Shootdown', 31, 1, 'the TLB entry of page 0x1f is flushed on 1 other CPU'],
    ['Shootdown', 31, 3, 'the TLB entry of page 0x1f is flushed on 3 other CPUs'],
    ['Violation', 31, 1, 'page 0x1f is stale'],
    ['VcpuRun', -1, 1, 'vCPU 0 starts'],
    ['VcpuRun', -1, 0, 'vCPU 0 stops'],
    ['CheckPassed', -1, 0, 'checked: pages compared'],
    ['GuestOps', -1, 12, 'vCPU 0 did 12 operations'],
    ['Pass', -1, 300, 'the dirty bitmap is synced; 300 pages are dirty'],
    ['Pass', -1, 1, 'the dirty bitmap is synced; 1 page is dirty'],
  ])('%s of page %d with %d: %s', (kind, page, arg, text) => {
    expect(described(EventKind[kind], page, arg)).toBe(text)
  })

  it.each<[keyof typeof EventKind, number]>([
    ['Shootdown', 1],
    ['Violation', 5],
    ['Fault', 1],
  ])('%s without a guest page names none', (kind, arg) => {
    const text = described(EventKind[kind], -1, arg)
    expect(text).not.toContain('-1')
    expect(text.length).toBeGreaterThan(10)
  })
})

describe('the text of a real run', () => {
  const { recorder } = sampleRun()
  const lines = [...writeText(recorder)].join('').split('\n')

  it('has a header, a line an event, and a last line with count and hash', () => {
    expect(`${lines[0]}\n`).toBe(TRACE_TEXT_HEADER)
    expect(lines.at(-1)).toBe('')
    expect(lines.at(-2)).toBe(`# ${recorder.rows} events, hash ${recorder.hash()}`)
    expect(lines).toHaveLength(recorder.rows + 3)
  })

  it('has every line in its columns, numbered from 0', () => {
    const events = lines.slice(1, -2)
    expect(events.filter((line) => !LINE.test(line))).toEqual([])
    expect(events.map((line) => Number.parseInt(line, 10))).toEqual(events.map((_, i) => i))
    const kinds = new Set(events.map((line) => line.slice(44, 60).trim().split(' ')[0] ?? ''))
    for (const kind of kinds) expect(EVENT_KIND_NAME).toContain(kind)
  })

  it('says nothing undefined or infinite', () => {
    expect(lines.filter((line) => /undefined|NaN|Infinity/.test(line))).toEqual([])
  })

  it('comes in pieces that a host can write one by one', () => {
    const pieces = [...writeText(recorder)]
    expect(pieces.length).toBeGreaterThan(2)
    expect(Math.max(...pieces.map((p) => p.length))).toBeLessThan(70_000)
  })
})

it('a run on a real kernel is marked, has no hash, and says where its events end', () => {
  const r = new Recorder({ keep: true })
  r.addLane({ name: 'migration', machine: 'source' })
  r.event(1e6, EventKind.State, 0, -1, 1)
  const lines = (missedFromNs: number | null) => [...writeText(r, { release: '6.18.44', missedFromNs })].join('').split('\n')
  const [header, mark, event, end] = lines(null)
  expect([`${header}\n`, end]).toEqual([TRACE_TEXT_HEADER, '# 1 events, no hash'])
  expect(mark).toBe(`${REAL_RUN_HEADER}6.18.44: times were measured, and no other run is the same`)
  expect(event).toMatch(LINE)
  expect(lines(2e6).at(-3)).toBe('# from 2.000000 ms on there was no room for more events')
})

it('no events make a text of a header and a last line', () => {
  const r = new Recorder({ keep: true })
  expect([...writeText(r)].join('')).toBe(`${TRACE_TEXT_HEADER}# 0 events, hash ${r.hash()}\n`)
})
