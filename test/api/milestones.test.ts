/** The few events that a timeline names, planted one by one and read off real runs. */
import { describe, expect, it } from 'vitest'
import { MilestoneCollector } from '../../core/api/milestones.ts'
import { EventKind, INCIDENT_NAME, MIGRATION_STATUS } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { sampleRun } from '../trace/sample_run.ts'

function planted(): Recorder {
  const r = new Recorder({ keep: true })
  r.addLane({ name: 'vCPU 0', machine: 'source' })
  r.addLane({ name: 'vCPU 0', machine: 'destination' })
  return r
}

describe('milestones', () => {
  it('tell states, passes and throttles in their order, and nothing else', () => {
    const r = planted()
    r.event(1, EventKind.State, 0, -1, MIGRATION_STATUS.indexOf('active'))
    r.event(2, EventKind.Dirty, 0, 3, 0)
    r.event(3, EventKind.Pass, 0, -1, 12)
    r.event(4, EventKind.Throttle, 0, -1, 20)
    expect(new MilestoneCollector(r).read()).toEqual({
      states: [{ timeNs: 1, status: 'active' }],
      passes: [{ timeNs: 3, dirtyPages: 12 }],
      throttles: [{ timeNs: 4, percent: 20 }],
      incidents: [],
      running: [],
      forecasts: [],
    })
  })

  it('an interval is open until the event that ends it was recorded', () => {
    const r = planted()
    const collector = new MilestoneCollector(r)
    const down = INCIDENT_NAME.indexOf('link-down')
    r.event(5, EventKind.Incident, 0, -1, down)
    r.event(6, EventKind.VcpuRun, 1, -1, 1)
    expect(collector.read().incidents).toEqual([{ name: 'link-down', fromNs: 5, toNs: Number.POSITIVE_INFINITY }])
    r.event(9, EventKind.Incident, 0, -1, ~down)
    r.event(10, EventKind.VcpuRun, 1, -1, 0)
    expect(collector.read().incidents).toEqual([{ name: 'link-down', fromNs: 5, toNs: 9 }])
    expect(collector.read().running).toEqual([{ lane: 'vCPU 0', machine: 'destination', fromNs: 6, toNs: 10 }])
  })

  it('what happens at once has no length', () => {
    const r = planted()
    r.event(5, EventKind.Incident, 0, -1, INCIDENT_NAME.indexOf('cancel'))
    expect(new MilestoneCollector(r).read().incidents).toEqual([{ name: 'cancel', fromNs: 5, toNs: 5 }])
  })

  it('a forecast stands until another is made, and the end of all is told', () => {
    const collector = new MilestoneCollector(planted())
    collector.foresee(10, null)
    collector.foresee(1000, { kind: 'converges', inNs: 5e9 })
    collector.foresee(1001, { kind: 'converges', inNs: 4e9 })
    collector.foresee(2000, { kind: 'never', dirtyingBytesPerSec: 2 ** 30, sendingBytesPerSec: 2 ** 20 })
    collector.foresee(2001, null)
    const { forecasts } = collector.read()
    expect(forecasts.map(({ timeNs, never }) => [timeNs, never])).toEqual([
      [1000, false],
      [2000, true],
      [2001, false],
    ])
    expect(forecasts.map(({ sentence }) => sentence)).toEqual([
      'will converge in 5.00 s',
      'will never converge: dirtying 1.00 GiB/s, sending 1.00 MiB/s',
      '',
    ])
  })

  it('in a real run the guest runs on one machine at a time, until its end', () => {
    const { recorder } = sampleRun({ guest: 'uniform:rate=5M/s,set=2M', memBytes: 4 * 2 ** 20 })
    const { running, states } = new MilestoneCollector(recorder).read()
    const source = running.filter(({ machine }) => machine === 'source')
    const destination = running.filter(({ machine }) => machine === 'destination')
    expect(source.length).toBeGreaterThan(0)
    expect(destination.length).toBe(source.length)
    const lastAtSource = Math.max(...source.map(({ toNs }) => toNs))
    expect(Math.min(...destination.map(({ fromNs }) => fromNs))).toBeGreaterThan(lastAtSource)
    expect(states.at(-1)?.status).toBe('completed')
  })
})
