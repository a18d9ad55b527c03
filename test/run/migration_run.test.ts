/**
 * A whole run: the same seed gives the same report and hashes, however it is sliced and whether or not it is recorded;
 * every guest comes over right by every resolver; limits and left-out protections end it as they should.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PROTECTIONS } from '../../core/mm/kconfig.ts'
import { MigrationRun, RunError } from '../../core/run/migration_run.ts'
import { RESOLVERS } from '../../core/run/options.ts'
import { EventKind, MIGRATION_STATUS } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { finish, MIB, small } from './small.ts'

describe('the same seed', () => {
  it('gives the same report and both hashes', () => {
    const [a, b] = [finish({ seed: 5 }).report(), finish({ seed: 5 }).report()]
    expect(a).toEqual(b)
    expect(a.traceHash).toMatch(/^[0-9a-f]{16}$/)
    expect(a.stateHash).toMatch(/^[0-9a-f]{16}$/)
  })

  it('gives the same report whether or not the events are kept', () => {
    const kept = finish({ seed: 5 }, 10_000, true)
    expect(kept.recorder.rows).toBeGreaterThan(0)
    expect(kept.report()).toEqual(finish({ seed: 5 }).report())
  })

  it('gives the same report for any sizes of slices', () => {
    const whole = JSON.stringify(finish({ seed: 9 }).report())
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 6 }), (sizes) => {
        const run = new MigrationRun(small({ seed: 9 }), new Recorder({ keep: false }))
        for (let i = 0; run.advance(sizes[i % sizes.length] ?? 1) !== 'done'; i++) run.progress()
        expect(JSON.stringify(run.report())).toBe(whole)
      }),
      { numRuns: 12 },
    )
  })
})

describe('another', () => {
  it('seed gives another trace hash (8 seeds, 8 hashes)', () => {
    const hashes = [1, 2, 3, 4, 5, 6, 7, 2 ** 40].map((seed) => finish({ seed }).report().traceHash)
    expect(new Set(hashes).size).toBe(8)
  })

  it.each([
    ['resolver', { resolver: 'copy' }],
    ['bandwidth', { bandwidthBitsPerSec: 2e9 }],
    ['round trip', { rttNs: 1_000_000 }],
    ['number of vCPUs', { vcpus: 3 }],
    ['guest', { guest: 'uniform' }],
  ] as const)('%s gives another trace hash and stays consistent', (_what, change) => {
    const base = finish().report()
    const other = finish(change).report()
    expect(other.traceHash).not.toBe(base.traceHash)
    expect(other.consistency.verdict).toBe('consistent')
  })
})

describe.each(RESOLVERS)('by %s', (resolver) => {
  it.each(['kv', 'sweep', 'uniform', 'idle', 'kv:set=64k,writes=100%', 'sweep:set=256k'])(
    '%s comes over complete and right',
    (guest) => {
      const run = finish({ resolver, guest, memBytes: 2 * MIB })
      const report = run.report()
      expect(report.consistency).toMatchObject({
        verdict: 'consistent',
        mismatches: 0,
        accounting: 0,
        firstViolation: null,
        pagesCompared: 512,
      })
      expect(report.migration.status).toBe('completed')
      expect(report.migration.ram.normal + report.migration.ram.duplicate).toBe(512)
      expect(report.migration.ram.remaining).toBe(0)
      expect(run.incoming?.map.received).toBe(512)
      expect(run.incoming?.duplicates).toBe(0)
    },
  )
})

describe('figures', () => {
  it('agree with the events they are made of', () => {
    const run = finish({ memBytes: 4 * MIB }, 10_000, true)
    const { recorder } = run
    const count = new Map<number, number>()
    const statuses: (string | undefined)[] = []
    const shootdownCpus: number[] = []
    for (let row = 0; row < recorder.rows; row++) {
      const kind = recorder.kind(row)
      count.set(kind, (count.get(kind) ?? 0) + 1)
      if (kind === EventKind.State) statuses.push(MIGRATION_STATUS[recorder.arg(row)])
      if (kind === EventKind.Shootdown) shootdownCpus.push(recorder.arg(row))
    }
    const report = run.report()
    expect(statuses).toEqual(['setup', 'active', 'device', 'postcopy-active', 'completed'])
    expect(count.get(EventKind.Send)).toBe(1024)
    expect(count.get(EventKind.Place)).toBe(1024)
    expect(count.get(EventKind.RequestReceived) ?? 0).toBe(report.migration.ram['postcopy-requests'])
    expect(count.get(EventKind.Request) ?? 0).toBe(run.incoming?.requestsSent)
    expect(report.mmu.shootdowns).toBe(shootdownCpus.length)
    expect(report.mmu.ipis).toBe(shootdownCpus.reduce((a, b) => a + b, 0))
    expect(report.migration['postcopy-latency-dist'].reduce((a, b) => a + b, 0)).toBe(count.get(EventKind.Wake) ?? 0)
    expect(count.get(EventKind.Violation) ?? 0).toBe(0)
  })

  it('are in order: times, quantiles, and downtime within the total', () => {
    const { migration: m } = finish({ memBytes: 4 * MIB }).report()
    expect(m.downtime).toBeGreaterThan(0)
    expect(m.downtime).toBeLessThan(m['total-time'])
    expect(m['postcopy-latency-p50']).toBeLessThanOrEqual(m['postcopy-latency-p99'])
    expect(m['postcopy-latency-p99']).toBeLessThanOrEqual(m['postcopy-latency-p999'])
    expect(m['postcopy-latency-p999']).toBeLessThanOrEqual(m['postcopy-latency-max'])
    expect(m['postcopy-blocktime']).toBeLessThanOrEqual(Math.min(...m['postcopy-vcpu-blocktime']))
  })

  it('of single vCPUs are told with postcopy-blocktime, agree with the mean of all, and change nothing else', () => {
    const capabilities = { ...small().capabilities, 'postcopy-blocktime': true }
    const plain = finish({ memBytes: 4 * MIB }).report()
    const told = finish({ memBytes: 4 * MIB, capabilities }).report()
    expect(plain.migration).not.toHaveProperty('postcopy-vcpu-latency')
    const { 'postcopy-vcpu-latency': each = [], 'postcopy-latency': mean } = told.migration
    expect(each.length).toBe(2)
    expect(Math.min(...each)).toBeLessThanOrEqual(mean)
    expect(Math.max(...each)).toBeGreaterThanOrEqual(mean)
    expect(told.traceHash).toBe(plain.traceHash)
  })

  it('of faults add up: minor and major are all that ended', () => {
    const { faults } = finish({ memBytes: 4 * MIB }).report()
    expect(faults.minor + faults.major).toBe(faults.total)
    expect(faults.userfault).toBeGreaterThanOrEqual(faults.major)
  })
})

describe('a time limit', () => {
  it('ends the run there, unfinished, with what was found until then', () => {
    const run = finish({ timeLimitNs: 25_000_000, memBytes: 4 * MIB })
    expect(run.timedOut).toBe(true)
    expect(run.phaseNs.end).toBe(25_000_000)
    expect(run.report().migration.status).not.toBe('completed')
    expect(run.report().consistency.verdict).toBe('consistent')
  })

  it('later than the end changes nothing but the trace of one more thread', () => {
    const run = finish({ timeLimitNs: 60e9 })
    expect(run.timedOut).toBe(false)
    expect(run.report().migration.status).toBe('completed')
    expect(run.report().stateHash).toBe(finish().report().stateHash)
  })

  it.each([1, 1000, 1_000_000, 21_500_000])('of %i ns is kept', (timeLimitNs) => {
    const run = finish({ timeLimitNs })
    expect(run.timedOut).toBe(true)
    expect(() => run.report()).not.toThrow()
  })
})

describe('protections left out', () => {
  it('remap-tlb-flush: inconsistent, naming a page, its versions and who saw it', () => {
    const report = finish({ without: ['remap-tlb-flush'], memBytes: 4 * MIB }).report()
    expect(report.consistency.verdict).toBe('inconsistent')
    const first = report.consistency.firstViolation
    expect(first?.page).toBeGreaterThanOrEqual(0)
    expect(first?.message).toMatch(/^page 0x[0-9a-f]+ is (lost|stale|torn|misplaced|duplicated)/)
    expect(report.options.without).toEqual(['remap-tlb-flush'])
  })

  it.each(PROTECTIONS.map((p) => p.name))('%s: the run ends all the same', (name) => {
    for (const resolver of RESOLVERS) {
      const run = finish({ without: [name], resolver, timeLimitNs: 1e9 })
      expect(run.finished || run.timedOut).toBe(true)
    }
  })
})

describe('what cannot be', () => {
  it.each([
    ['a guest larger than its memory', { guest: 'kv:set=64M' }, /set=64M/],
    ['an unknown guest', { guest: 'kw' }, /kv/],
    ['an unknown CPU', { cpu: 'z80' }, /z80.*zen5/],
    ['an unknown protection', { without: ['gravity'] }, /gravity/],
  ])('%s is refused in one sentence', (_what, change, message) => {
    const make = () => new MigrationRun(small(change), new Recorder({ keep: false }))
    expect(make).toThrow(RunError)
    expect(make).toThrow(message)
  })
})
