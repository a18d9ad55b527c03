/**
 * Faults injected into a run, and what is left after each: nothing lost, or an honest account of what is.
 *
 * The guest has 1 MiB and the link 1 Gb/s: post-copy of it takes some 10 ms, a pre-copy round as long.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Injection, TimedInjection } from '../../core/run/injection.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import { DEFAULT_OPTIONS, type MigrateOptions, MODES, RESOLVERS } from '../../core/run/options.ts'
import { EventKind, INCIDENT_NAME, MIGRATION_STATUS } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { finish, small } from './small.ts'

const MS = 1_000_000

const timed = (what: TimedInjection['what'], state: TimedInjection['state'], afterNs: number, durationNs: number | null = null) =>
  ({ what, state, afterNs, durationNs }) satisfies TimedInjection

function inject(injections: readonly Injection[], options: Partial<MigrateOptions> = {}) {
  const run = finish({ inject: injections, ...options }, 10_000, true)
  return { run, report: run.report() }
}

/** The states that the migration went through. */
function states({ recorder }: MigrationRun): string[] {
  const seen: string[] = []
  for (let row = 0; row < recorder.rows; row++)
    if (recorder.kind(row) === EventKind.State) seen.push(MIGRATION_STATUS[recorder.arg(row)] ?? '')
  return seen
}

const CLEAN = { verdict: 'consistent', mismatches: 0, stale: 0, torn: 0, misplaced: 0, duplicated: 0 }

describe('a link that goes down in post-copy', () => {
  const down = timed('link-down', 'postcopy', 6 * MS, 50 * MS)

  it.each(RESOLVERS)('by %s is recovered when it is up again, through the states of QEMU, and nothing is lost', (resolver) => {
    const { run, report } = inject([down], { recover: true, resolver })
    expect(states(run)).toEqual([
      'setup',
      'active',
      'device',
      'postcopy-active',
      'postcopy-paused',
      'postcopy-recover-setup',
      'postcopy-recover',
      'postcopy-active',
      'completed',
    ])
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 0, missing: 0, pagesCompared: 256 })
    expect(report.migration['total-time']).toBeGreaterThan(50)
    expect(run.incoming?.map.received).toBe(256)
  })

  it('sends again what was on its way, and nothing that had come', () => {
    const { run, report } = inject([down], { recover: true })
    const { normal, duplicate } = report.migration.ram
    // At most what the buffers hold went twice.
    expect(normal + duplicate).toBeGreaterThan(256)
    expect(run.incoming?.duplicates).toBe(0)
  })

  it.each(RESOLVERS)('with an urgent channel, by %s, is recovered even where that channel had come to its end', (resolver) => {
    const capabilities = { ...DEFAULT_OPTIONS.capabilities, 'postcopy-preempt': true }
    const { run, report } = inject([down], { recover: true, resolver, capabilities, guest: 'uniform' })
    expect(states(run)).toContain('postcopy-recover')
    expect(report.migration.status).toBe('completed')
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 0, missing: 0, pagesCompared: 256 })
  })

  it('and again while it recovers is recovered all the same', () => {
    const { run, report } = inject([down, timed('link-down', 'postcopy-recover', 100_000, 20 * MS)], { recover: true })
    expect(states(run).filter((s) => s === 'postcopy-paused')).toHaveLength(2)
    expect(report.migration.status).toBe('completed')
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 0, missing: 0 })
  })

  it('and is recovered by nobody leaves the rest on the source: missing, not lost', () => {
    const { run, report } = inject([down])
    expect(report.migration.status).toBe('postcopy-paused')
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 0, pagesCompared: 256 })
    expect(report.consistency.missing).toBeGreaterThan(0)
    expect(report.consistency.missing).toBeLessThanOrEqual(256 - (run.incoming?.map.received ?? 0))
    expect(report.migration['error-desc']).toMatch(/on the source.*give --recover/)
  })

  it('for good ends the run, recover or not', () => {
    const { report } = inject([timed('link-down', 'postcopy', 6 * MS)], { recover: true })
    expect(report.migration.status).toBe('postcopy-paused')
    expect(report.migration['error-desc']).toMatch(/down for good/)
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 0 })
  })

  it('is recovered when somebody asks for it', () => {
    const run = new MigrationRun(small({ inject: [down], durationNs: 1e9 }), new Recorder({ keep: false }))
    while (run.state.status !== 'postcopy-paused' && run.advance(1) !== 'done');
    expect(run.control.recover()).toBeNull()
    while (run.advance(1000) !== 'done');
    expect(run.report().migration.status).toBe('completed')
    expect(run.report().consistency).toMatchObject({ ...CLEAN, lost: 0, missing: 0 })
  })

  it('before the state of the devices has come there, though it was sent, lets the guest go on at the source', () => {
    const { run, report } = inject([timed('link-down', 'postcopy', 1 * MS)])
    expect(states(run).slice(-2)).toEqual(['postcopy-active', 'failed'])
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 0, missing: 0, pagesCompared: 256 })
    expect(report.guest.opsAfter).toBeGreaterThan(0)
  })

  it('of a source that gives up what it sent loses what was on its way, and says so', () => {
    const capabilities = { ...DEFAULT_OPTIONS.capabilities, 'release-ram': true }
    const { run, report } = inject([down], { recover: true, capabilities, guest: 'sweep' })
    const left = run.outgoing?.bitmap.count ?? 0
    const received = run.incoming?.map.received ?? 0
    expect(report.migration.status).toBe('postcopy-paused')
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 256 - received - left, missing: left })
    expect(report.consistency.lost).toBeGreaterThan(0)
    expect(report.migration['error-desc']).toMatch(/release-ram rules out a recovery/)
  })

  it('of such a source, before the guest has come there, stops the guest: it never runs on pages that were given up', () => {
    const capabilities = { ...DEFAULT_OPTIONS.capabilities, 'release-ram': true }
    const { run, report } = inject([timed('link-down', 'postcopy', 1 * MS)], { capabilities, guest: 'sweep' })
    const left = run.outgoing?.bitmap.count ?? 0
    expect(run.incoming?.has).toBe('no guest')
    expect(report.migration.status).toBe('postcopy-paused')
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 256 - left, missing: left })
    expect(report.consistency.lost).toBeGreaterThan(0)
    expect(report.guest.opsAfter).toBe(0)
  })

  it('in huge pages starts the page over that had come in part', () => {
    const huge = { pageSizeBytes: 2 ** 21, memBytes: 2 ** 23, recover: true, guest: 'sweep' }
    const { report } = inject([timed('link-down', 'postcopy', 10 * MS, 5 * MS)], huge)
    expect(report.migration.status).toBe('completed')
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 0, missing: 0, pagesCompared: 2048 })
  })
})

describe('before the hand-over', () => {
  // It never converges.
  const precopy = { mode: 'precopy', guest: 'sweep', downtimeLimitNs: 1 * MS } as const

  it.each(['link-down', 'destination-crash'] as const)(
    '%s: the migration has failed, and the guest goes on at the source',
    (what) => {
      const { run, report } = inject([timed(what, 'active', 2 * MS)], precopy)
      expect(states(run).at(-1)).toBe('failed')
      expect(report.consistency).toMatchObject({ ...CLEAN, lost: 0, missing: 0, pagesCompared: 256 })
      expect(report.guest.opsAfter).toBeGreaterThan(0)
      expect(report.migration['error-desc']).toMatch(/goes on at the source/)
    },
  )

  it('a cancel: cancelling, cancelled, and the guest goes on at the source, where nothing logs its stores', () => {
    const { run, report } = inject([timed('cancel', 'active', 2 * MS)], precopy)
    expect(states(run)).toEqual(['setup', 'active', 'cancelling', 'cancelled'])
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 0, pagesCompared: 256 })
    expect(report.guest.opsAfter).toBeGreaterThan(0)
  })

  it('a cancel while the guest stands lets it run again', () => {
    const { run, report } = inject([timed('cancel', 'device', 100_000)], { mode: 'precopy' })
    expect(states(run).slice(-3)).toEqual(['device', 'cancelling', 'cancelled'])
    expect(report.guest.opsAfter).toBeGreaterThan(0)
    expect(run.vm.threads.every((k) => run.source.threads.includes(k))).toBe(true)
  })

  it('a crash of the source takes the guest with it, and all that it had written', () => {
    const { report } = inject([timed('source-crash', 'active', 2 * MS)], precopy)
    expect(report.migration.status).toBe('failed')
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 256, missing: 0, pagesCompared: 0 })
    expect(report.guest.opsAfter).toBe(0)
  })
})

describe('after the hand-over', () => {
  it('a crash of the source: what only it had is lost, what had come is right, and nothing is invented', () => {
    const { run, report } = inject([timed('source-crash', 'postcopy', 6 * MS)], { guest: 'sweep' })
    const received = run.incoming?.map.received ?? 0
    expect(report.migration.status).toBe('postcopy-paused')
    expect(received).toBeGreaterThan(0)
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 256 - received, missing: 0, pagesCompared: received })
    expect(run.destinationProcess.mm.table.lookup(run.ramPage + 255)).toBe(0)
    expect(report.migration['error-desc']).toMatch(/the source crashed/)
  })

  it('a crash of the destination: the guest is lost, and so is what had come there', () => {
    const { run, report } = inject([timed('destination-crash', 'postcopy', 6 * MS)], { guest: 'sweep' })
    const received = run.incoming?.map.received ?? 0
    expect(report.migration.status).toBe('postcopy-paused')
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: received, missing: 256 - received })
    expect(report.migration['error-desc']).toMatch(/the guest, which is lost/)
  })

  it('a cancel is refused, as QEMU refuses it, and the migration completes', () => {
    const { report } = inject([timed('cancel', 'postcopy', 6 * MS)])
    expect(report.migration.status).toBe('completed')
    expect(report.migration.incidents).toMatchObject([
      { what: 'cancel', refused: 'a migration that is postcopy-active cannot be cancelled' },
    ])
  })

  it('a pause breaks the connection, and recovery mends it', () => {
    const { run, report } = inject([timed('pause', 'postcopy', 6 * MS)], { recover: true })
    expect(states(run)).toContain('postcopy-paused')
    expect(report.migration.status).toBe('completed')
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 0 })
  })

  it('a fault thread that stalls delays faults, and loses none', () => {
    const stall = timed('handler-stall', 'postcopy', 0, 100 * MS)
    const slow = inject([stall], { guest: 'uniform', resolver: 'copy' })
    const usual = inject([], { guest: 'uniform', resolver: 'copy' })
    expect(slow.report.consistency).toMatchObject({ ...CLEAN, lost: 0 })
    expect(slow.report.migration.ram['postcopy-requests']).toBeLessThan(usual.report.migration.ram['postcopy-requests'])
    expect(slow.report.migration.status).toBe('completed')
  })
})

describe('memory of the source that fails in post-copy', () => {
  const poison = timed('poison', 'postcopy', 5 * MS)
  const BIG = { memBytes: 2 ** 23, guest: 'sweep' }

  it.each(RESOLVERS)(
    'placed by %s: the page is lost and called so, all others are right, and the migration completes',
    (resolver) => {
      const { run, report } = inject([poison], { ...BIG, resolver })
      expect(report.migration.status).toBe('completed')
      expect(report.consistency).toMatchObject({ ...CLEAN, lost: 1, missing: 0, accounting: 0, pagesCompared: 2047 })
      expect(report.migration['error-desc']).toMatch(/memory of 1 page failed at the source before it was sent/)
      expect(run.incoming?.map.received).toBe(2048)
    },
  )

  it.each(RESOLVERS)('placed by %s: a vCPU that touches it halts by a machine check, and sees nothing invented', (resolver) => {
    const { run, report } = inject([poison], { ...BIG, guest: 'sweep:rate=200MB/s', vcpus: 1, resolver, durationNs: 100 * MS })
    expect(report.migration.poisoned).toEqual({ pages: 1, 'machine-checks': 1 })
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 1 })
    expect(run.vm.isRunning).toBe(false)
  })

  it('goes by the urgent channel, too, and once more after a break', () => {
    const capabilities = { ...DEFAULT_OPTIONS.capabilities, 'postcopy-preempt': true }
    const down = timed('link-down', 'postcopy', 6 * MS, 5 * MS)
    const { run, report } = inject([poison, down], { ...BIG, recover: true, capabilities, guest: 'uniform', resolver: 'copy' })
    expect(states(run)).toContain('postcopy-paused')
    expect(report.migration.status).toBe('completed')
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 1, missing: 0, pagesCompared: 2047 })
  })

  it('twice takes two pages; and is refused when all that the guest has written was sent', () => {
    expect(inject([poison, poison], BIG).report.consistency).toMatchObject({ ...CLEAN, lost: 2, pagesCompared: 2046 })
    const { report } = inject([timed('poison', 'postcopy', 5 * MS)])
    expect(report.migration.incidents).toMatchObject([{ refused: 'every page that the guest has written was sent' }])
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 0, pagesCompared: 256 })
  })
})

describe('the network', () => {
  it('that loses, doubles and reorders packets costs time and nothing else', () => {
    const weather: Injection[] = [
      { what: 'loss', share: 0.02 },
      { what: 'duplicate', share: 0.02 },
      { what: 'reorder', share: 0.02 },
    ]
    const { report } = inject(weather)
    const fair = inject([]).report
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 0 })
    expect(report.migration['total-time']).toBeGreaterThan(fair.migration['total-time'])
    expect(report.migration.packets).toMatchObject({ sent: expect.any(Number), lost: expect.any(Number) })
    expect(report.migration.packets?.lost).toBeGreaterThan(0)
    expect(report.migration.packets?.retransmitted).toBe(report.migration.packets?.lost)
    expect([fair.migration.packets, fair.migration.incidents]).toEqual([undefined, undefined])
  })

  it.each([
    ['latency', 5 * MS],
    ['rate', 10e6],
  ] as const)('of another %s for a while delays the migration, and is as before after it', (what, value) => {
    const { run, report } = inject([{ ...timed(what, 'postcopy', 0, 20 * MS), value }])
    expect(report.migration['total-time']).toBeGreaterThan(inject([]).report.migration['total-time'] + 2)
    expect(report.consistency).toMatchObject({ ...CLEAN, lost: 0 })
    expect(run.channels.stream.goodputBytesPerSec).toBe(finish().channels.stream.goodputBytesPerSec)
  })
})

describe('somebody who drives the run', () => {
  const startedUntil = (status: string, options: Partial<MigrateOptions>) => {
    const run = new MigrationRun(small(options), new Recorder({ keep: false }))
    while (run.state.status !== status && run.advance(1) !== 'done');
    return run
  }

  it('cancels a pre-copy', () => {
    const run = startedUntil('active', { mode: 'precopy', guest: 'sweep', downtimeLimitNs: 1 * MS })
    expect(run.control.pause()).toBe('a migration that is active cannot be paused')
    expect(run.control.cancel()).toBeNull()
    while (run.advance(1000) !== 'done');
    expect(run.report().migration.status).toBe('cancelled')
    expect(run.report().consistency).toMatchObject({ ...CLEAN, lost: 0, pagesCompared: 256 })
  })

  it('pauses a post-copy, and recovers it', () => {
    const run = startedUntil('postcopy-active', { durationNs: 1e9, guest: 'sweep' })
    while (run.incoming?.has === 'no guest') run.advance(1)
    expect(run.control.recover()).toBe('a migration that is postcopy-active has nothing to recover')
    expect(run.control.cancel()).toBe('a migration that is postcopy-active cannot be cancelled')
    expect(run.control.pause()).toBeNull()
    while (run.state.status !== 'postcopy-paused' && run.advance(1) !== 'done');
    expect(run.control.recover()).toBeNull()
    while (run.advance(1000) !== 'done');
    expect(run.report().migration.status).toBe('completed')
    expect(run.report().consistency).toMatchObject({ ...CLEAN, lost: 0, missing: 0 })
  })
})

it('what happens, and that it is over, is in the trace', () => {
  const { run } = inject([timed('link-down', 'postcopy', 6 * MS, 10 * MS)], { recover: true })
  const told: [number, number][] = []
  const { recorder } = run
  for (let row = 0; row < recorder.rows; row++)
    if (recorder.kind(row) === EventKind.Incident) told.push([recorder.arg(row), recorder.time(row)])
  const index = INCIDENT_NAME.indexOf('link-down')
  expect(told.map(([arg]) => arg)).toEqual([index, ~index])
  expect((told[1]?.[1] ?? 0) - (told[0]?.[1] ?? 0)).toBe(10 * MS)
})

describe('whatever happens, and whenever', () => {
  const TIMED = [
    'link-down',
    'latency',
    'rate',
    'handler-stall',
    'source-crash',
    'destination-crash',
    'cancel',
    'pause',
    'poison',
  ] as const
  const STATES = ['setup', 'active', 'device', 'postcopy-active', 'postcopy-paused', 'postcopy-recover'] as const
  const one: fc.Arbitrary<Injection> = fc.record({
    what: fc.constantFrom(...TIMED),
    state: fc.constantFrom(...STATES),
    afterNs: fc.integer({ min: 0, max: 12 * MS }),
    durationNs: fc.integer({ min: 1, max: 20 * MS }),
    value: fc.integer({ min: 1_000_000, max: 20_000_000 }),
  })
  const share: fc.Arbitrary<Injection> = fc.record({
    what: fc.constantFrom('loss', 'duplicate', 'reorder'),
    share: fc.constantFrom(0.005, 0.02),
  })

  it('no page is wrong, what is lost was on a machine that crashed, and every written page is accounted for', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 4, arbitrary: one }, { weight: 1, arbitrary: share }), { minLength: 1, maxLength: 3 }),
        fc.constantFrom(...MODES),
        fc.constantFrom(...RESOLVERS),
        fc.boolean(),
        fc.boolean(),
        fc.nat(1000),
        (injections, mode, resolver, recover, urgent, seed) => {
          const capabilities = { ...DEFAULT_OPTIONS.capabilities, 'postcopy-preempt': urgent && mode !== 'precopy' }
          const run = finish({ inject: injections, mode, resolver, recover, capabilities, seed, guest: 'sweep:rate=20MB/s' })
          const { consistency, migration } = run.report()
          expect(consistency).toMatchObject({ ...CLEAN, accounting: 0 })
          const crashed = run.incidents.crashed.size > 0
          const poisoned = run.incidents.poisoned.size
          if (!crashed) expect(consistency.lost).toBe(poisoned)
          if (migration.status === 'completed' && !crashed)
            expect(consistency).toMatchObject({ missing: 0, pagesCompared: 256 - poisoned })
          if (migration.status !== 'completed') expect(migration['error-desc']).not.toBe('')
          expect(consistency.pagesCompared + consistency.lost + consistency.missing).toBeGreaterThanOrEqual(256)
        },
      ),
      { numRuns: 60 },
    )
  })
})
