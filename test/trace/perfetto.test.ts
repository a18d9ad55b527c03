/**
 * The Perfetto file: JSON that Chrome's format allows, whole slices that nest on their tracks, flows with a start and an end.
 *
 * Real runs are written and read back; a planted recorder covers what they do not do.
 */
import { describe, expect, it } from 'vitest'
import { EventKind, MIGRATION_STATUS } from '../../core/trace/event.ts'
import { writePerfetto } from '../../core/trace/perfetto.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { sampleRun } from './sample_run.ts'

/** One CPU may be ahead of another by so much (core/run/migration_run.ts). */
const QUANTUM_US = 10

interface TraceEvent {
  readonly ph: string
  readonly pid: number
  readonly tid?: number
  readonly name: string
  readonly cat?: string
  readonly id?: number
  readonly ts?: number
  readonly dur?: number
  readonly args?: Record<string, unknown>
}

function written(r: Recorder): TraceEvent[] {
  const file = JSON.parse([...writePerfetto(r)].join('')) as { traceEvents: TraceEvent[] }
  return file.traceEvents
}

const RUNS = [
  ['kv', sampleRun()],
  ['a fast uniform guest on 4 vCPUs', sampleRun({ guest: 'uniform:rate=20M/s', vcpus: 4 })],
  ['sweep by UFFDIO_COPY', sampleRun({ guest: 'sweep', resolver: 'copy' })],
] as const

/** Overlaps of slices on one track, of more than `slackNs`, that are neither one inside the other nor one behind the other. */
function crossings(events: readonly TraceEvent[], slackNs: number): string[] {
  const tracks = new Map<string, { from: number; to: number; name: string }[]>()
  for (const e of events) {
    if (e.ph !== 'X') continue
    const key = `${e.pid}/${e.tid}`
    const from = Math.round((e.ts ?? 0) * 1000)
    const track = tracks.get(key) ?? []
    track.push({ from, to: from + Math.round((e.dur ?? 0) * 1000), name: e.name })
    tracks.set(key, track)
  }
  const found: string[] = []
  for (const [key, track] of tracks) {
    const open: typeof track = []
    for (const slice of track.sort((a, b) => a.from - b.from || b.to - a.to)) {
      while ((open.at(-1)?.to ?? Number.POSITIVE_INFINITY) <= slice.from + slackNs) open.pop()
      const outer = open.at(-1)
      if (outer !== undefined && outer.to < slice.to) {
        found.push(`${key}: ${outer.name} to ${outer.to}, ${slice.name} ${slice.from} to ${slice.to}`)
      }
      open.push(slice)
    }
  }
  return found
}

describe.each(RUNS)('the file of %s', (_name, { recorder, run }) => {
  const events = written(recorder)

  it('has what each phase of the format must have', () => {
    const wrong = events.filter((e) => {
      if (!['M', 'X', 'C', 'i', 's', 't', 'f'].includes(e.ph)) return true
      if (e.name === '' || ![1, 2].includes(e.pid)) return true
      if (e.ph === 'M') return e.args === undefined
      if (e.ts === undefined || !(e.ts >= 0)) return true
      return e.ph === 'X' ? e.dur === undefined || !(e.dur >= 0) : e.dur !== undefined
    })
    expect(wrong).toEqual([])
  })

  it('names both machines and each lane, and puts events on named tracks only', () => {
    const named = new Set(events.filter((e) => e.name === 'thread_name').map((e) => `${e.pid}/${e.tid}`))
    expect(named.size).toBe(recorder.lanes.length + 1)
    expect(events.filter((e) => e.name === 'process_name').map((e) => e.args?.name)).toEqual(['source', 'destination'])
    const homeless = events.filter((e) => e.ph !== 'M' && e.ph !== 'C' && !named.has(`${e.pid}/${e.tid}`))
    expect(homeless).toEqual([])
  })

  it('has a slice for each time a vCPU slept', () => {
    const wakes = Array.from({ length: recorder.rows }, (_, row) => recorder.kind(row)).filter((k) => k === EventKind.Wake)
    expect(wakes.length).toBeGreaterThan(5)
    expect(events.filter((e) => e.cat === 'fault' && e.ph === 'X')).toHaveLength(wakes.length)
  })

  it('has the states of the migration one behind the other, from the first to the end of the run', () => {
    const states = events.filter((e) => e.cat === 'status')
    const rows = Array.from({ length: recorder.rows }, (_, row) => row).filter((row) => recorder.kind(row) === EventKind.State)
    expect(states.map((e) => e.name)).toEqual(rows.map((row) => MIGRATION_STATUS[recorder.arg(row)]))
    states.forEach((e, i) => {
      const next = states[i + 1]
      if (next !== undefined) expect((e.ts ?? 0) + (e.dur ?? 0)).toBeCloseTo(next.ts ?? 0, 2)
    })
    const last = states.at(-1)
    expect(last?.name).toBe(run.state.status)
    expect((last?.ts ?? 0) + (last?.dur ?? 0)).toBeCloseTo(recorder.endNs / 1000, 2)
  })

  it('has slices that nest on every track, to a nanosecond; requests are looked at below', () => {
    const slices = events.filter((e) => e.cat !== 'request')
    expect(crossings(slices, 1).slice(0, 5)).toEqual([])
  })

  it('has flows that start once, go on, and end once', () => {
    const open = new Map<number, number>()
    const wrong: TraceEvent[] = []
    let ended = 0
    for (const e of events) {
      if (!['s', 't', 'f'].includes(e.ph)) continue
      const id = e.id ?? -1
      if ((e.ph === 's') === open.has(id)) wrong.push(e)
      if (e.ph === 'f') {
        open.delete(id)
        ended++
      } else open.set(id, e.ts ?? 0)
    }
    expect(wrong).toEqual([])
    expect(open.size).toBe(0)
    expect(ended).toBeGreaterThan(5)
  })

  it('has flow steps in the order of time, but for the quantum by which lanes overlap', () => {
    const newest = new Map<number, number>()
    const backwards = events.filter((e) => {
      if (!['s', 't', 'f'].includes(e.ph) || e.id === undefined || e.ts === undefined) return false
      const before = e.ph === 's' ? 0 : (newest.get(e.id) ?? 0)
      newest.set(e.id, e.ts)
      return e.ts < before - QUANTUM_US
    })
    expect(backwards.slice(0, 5)).toEqual([])
  })
})

describe('planted events', () => {
  it('none make a valid file', () => {
    expect(written(new Recorder({ keep: true })).map((e) => e.ph)).toEqual(['M', 'M', 'M', 'M'])
  })

  it('two vCPUs asleep on one page share a flow, which the first to wake ends', () => {
    const r = new Recorder({ keep: true })
    for (const name of ['vCPU 0', 'vCPU 1']) r.addLane({ name, machine: 'destination' })
    r.event(100, EventKind.Fault, 0, 5, 1)
    r.event(150, EventKind.Fault, 1, 5, 0)
    r.event(400, EventKind.Place, 1, 5, 0)
    r.event(500, EventKind.Wake, 0, 5, 400)
    r.event(510, EventKind.Wake, 1, 5, 360)
    const events = written(r)
    expect(events.filter((e) => e.ph === 'X').map((e) => [e.tid, e.ts, e.dur])).toEqual([
      [1, 0.1, 0.4],
      [2, 0.15, 0.36],
    ])
    expect(events.filter((e) => ['s', 't', 'f'].includes(e.ph)).map((e) => `${e.ph}${e.ts}`)).toEqual(['s0.1', 't0.4', 'f0.5'])
  })

  it('requests in quick succession nest on their track', () => {
    const r = new Recorder({ keep: true })
    r.addLane({ name: 'fault', machine: 'destination' })
    r.event(1000, EventKind.Request, 0, 1, 0)
    r.event(1300, EventKind.Request, 0, 2, 0)
    expect(crossings(written(r), 0)).toEqual([])
  })

  it('a state ends exactly where the next begins, whatever their times round to', () => {
    const r = new Recorder({ keep: true })
    r.addLane({ name: 'migration', machine: 'source' })
    // 0.6 rounds to 1, 1.2 to 1, and 1.2 - 0.6 to 1: a slice from 1 to 2 before one from 1.
    r.event(0.6, EventKind.State, 0, -1, 1)
    r.event(1.2, EventKind.State, 0, -1, 4)
    r.event(100, EventKind.State, 0, -1, 9)
    const states = written(r).filter((e) => e.cat === 'status')
    const ends = states.map((e) => Math.round(((e.ts ?? 0) + (e.dur ?? 0)) * 1000))
    expect(ends.slice(0, -1)).toEqual(states.slice(1).map((e) => Math.round((e.ts ?? 0) * 1000)))
  })

  it('a lane name with quotes stays JSON', () => {
    const r = new Recorder({ keep: true })
    r.addLane({ name: 'a "b" \\ c', machine: 'source' })
    r.event(0, EventKind.VcpuRun, 0, -1, 1)
    expect(written(r).find((e) => e.ph === 'i')?.name).toBe('a "b" \\ c starts')
  })
})

it('a run on a real kernel says so beside the name of the producer', () => {
  const { otherData } = JSON.parse(
    [...writePerfetto(new Recorder({ keep: true }), { release: '6.18.44', missedFromNs: null })].join(''),
  )
  expect(otherData).toEqual({ producer: 'pageferry', machine: 'kernel', release: '6.18.44', missedFromNs: null })
})
