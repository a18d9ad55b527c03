/**
 * What somebody says to a migration under way: it is done when the migration next looks, or refused and nothing happens.
 */
import { describe, expect, it } from 'vitest'
import { MigrationRun, type RunState } from '../../core/run/migration_run.ts'
import type { MigrateOptions } from '../../core/run/options.ts'
import { EventKind, MIGRATION_STATUS } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { MIB, small } from './small.ts'

/** A pre-copy over a link so slow that it does not end by itself, driven until it is active. */
function underWay(options: Partial<MigrateOptions>): MigrationRun {
  const run = new MigrationRun(
    small({
      guest: 'sweep',
      memBytes: 4 * MIB,
      mode: 'precopy',
      bandwidthBitsPerSec: 50e6,
      downtimeLimitNs: 1_000_000,
      ...options,
    }),
    new Recorder({ keep: true }),
  )
  while (run.state.status !== 'active') run.advance(1)
  return run
}

function capabilities(postcopy: boolean): Partial<MigrateOptions> {
  const both = { 'postcopy-ram': postcopy, 'return-path': postcopy }
  return { capabilities: { ...small().capabilities, ...both } }
}

describe('migrate_start_postcopy', () => {
  it('ends a pre-copy that would not end, and all arrives', () => {
    const run = underWay(capabilities(true))
    for (let turn = 0; turn < 1000; turn++) expect(run.advance(1)).toBe('running')
    expect(run.state.status).toBe('active')
    expect(run.control.startPostcopy()).toBeNull()
    while (run.advance(1000) !== 'done');
    const { migration, consistency } = run.report()
    expect([migration.status, consistency.verdict, consistency.lost]).toEqual(['completed', 'consistent', 0])
    expect(migration.ram['precopy-bytes']).toBeGreaterThan(0)
    expect(migration.ram['postcopy-bytes']).toBeGreaterThan(0)
  })

  it('is refused without postcopy-ram, and before there is a migration', () => {
    expect(underWay(capabilities(false)).control.startPostcopy()).toContain('needs postcopy-ram')
    const early = new MigrationRun(small(), new Recorder({ keep: false }))
    expect(early.control.startPostcopy()).toContain('has nothing to act on yet')
    expect(early.control.postcopyAsked).toBe(false)
  })

  it('that nobody says changes nothing, whether a pre-copy may end in post-copy or not', () => {
    for (const postcopy of [false, true]) {
      const run = underWay({ ...capabilities(postcopy), guest: 'idle', bandwidthBitsPerSec: 1e9, downtimeLimitNs: 300e6 })
      while (run.advance(1000) !== 'done');
      const { migration, consistency } = run.report()
      expect([migration.status, consistency.verdict, migration.ram['postcopy-bytes']]).toEqual(['completed', 'consistent', 0])
    }
  })
})

function untilPaused(run: MigrationRun): RunState {
  let state = run.advance(1)
  while (state !== 'done' && run.state.status !== 'postcopy-paused') state = run.advance(1)
  expect(run.state.status).toBe('postcopy-paused')
  return state
}

describe('migrate_cancel, migrate_pause and migrate_recover', () => {
  it('do what is possible, and say what is not', () => {
    const run = new MigrationRun(
      small({ guest: 'uniform', memBytes: 4 * MIB, bandwidthBitsPerSec: 50e6 }),
      new Recorder({ keep: false }),
    )
    const { control } = run
    control.attended = true
    expect(control.cancel()).toContain('has nothing to act on yet')
    while (run.state.requests === 0) run.advance(1)
    expect(control.cancel()).toBe('a migration that is postcopy-active cannot be cancelled')
    expect(control.recover()).toBe('a migration that is postcopy-active has nothing to recover')
    expect(control.pause()).toBeNull()
    let state = untilPaused(run)
    // Nobody says a word: it waits, and in the end with every vCPU asleep on a page.
    for (let slice = 0; slice < 1000 && state !== 'waiting'; slice++) state = run.advance(1000)
    expect(state).not.toBe('done')
    expect(control.pause()).toBe('a migration that is postcopy-paused cannot be paused')
    expect(control.recover()).toBeNull()
    while (run.advance(1000) !== 'done');
    const { migration, consistency } = run.report()
    expect([migration.status, consistency.verdict, consistency.lost]).toEqual(['completed', 'consistent', 0])
  })

  it('what was released cannot be recovered', () => {
    const capabilities = { ...small().capabilities, 'release-ram': true }
    const run = new MigrationRun(
      small({ guest: 'uniform', memBytes: 4 * MIB, bandwidthBitsPerSec: 50e6, capabilities }),
      new Recorder({ keep: false }),
    )
    run.control.attended = true
    while (run.state.requests === 0) run.advance(1)
    expect(run.control.pause()).toBeNull()
    untilPaused(run)
    expect(run.control.recover()).toContain('release-ram rules out a recovery')
  })
})

describe('pause-before-switchover', () => {
  const pausing = (mode: 'precopy' | 'hybrid', attended: boolean, timeLimitNs = Number.POSITIVE_INFINITY): MigrationRun => {
    const { capabilities, ...rest } = small({ guest: 'sweep:rate=1MB/s', memBytes: MIB, mode, timeLimitNs })
    const run = new MigrationRun(
      { ...rest, capabilities: { ...capabilities, 'pause-before-switchover': true, 'postcopy-ram': mode === 'hybrid' } },
      new Recorder({ keep: true }),
    )
    run.control.attended = attended
    return run
  }

  const untilWaiting = (run: MigrationRun): void => {
    for (let slice = 0; slice < 100_000; slice++) if (run.advance(100) === 'waiting') return
    throw new Error(`it is ${run.state.status}, and waits for nobody`)
  }

  const entered = ({ recorder }: MigrationRun): Map<string, number> => {
    const rows = Array.from({ length: recorder.rows }, (_, row) => row).filter((row) => recorder.kind(row) === EventKind.State)
    return new Map(rows.map((row) => [MIGRATION_STATUS[recorder.arg(row)] ?? '', recorder.time(row)]))
  }

  it.each([
    ['precopy', ['setup', 'active', 'pre-switchover', 'device', 'completed']],
    ['hybrid', ['setup', 'active', 'pre-switchover', 'device', 'postcopy-active', 'completed']],
  ] as const)('in mode %s that nobody attends goes through its state, and on at once', (mode, states) => {
    const run = pausing(mode, false)
    while (run.advance(1000) !== 'done');
    const times = entered(run)
    expect([...times.keys()]).toEqual(states)
    expect(times.get('device')).toBe(times.get('pre-switchover'))
    expect(run.report().consistency).toMatchObject({ verdict: 'consistent', lost: 0 })
  })

  it.each(['precopy', 'hybrid'] as const)(
    'in mode %s waits with its guest stopped for migrate_continue, however long',
    (mode) => {
      const run = pausing(mode, true)
      while (run.state.status !== 'active') run.advance(1)
      expect(run.control.continueFrom('pre-switchover')).toBe('Migration not in expected state: active')
      // As in QEMU: right, and without effect.
      expect(run.control.continueFrom('active')).toBeNull()
      untilWaiting(run)
      expect([run.state.status, run.vm.isRunning]).toEqual(['pre-switchover', false])
      expect(run.advance(1000)).toBe('waiting')
      expect(run.control.continueFrom('device')).toBe('Migration not in expected state: pre-switchover')
      expect(run.advance(1000)).toBe('waiting')
      expect(run.control.continueFrom('pre-switchover')).toBeNull()
      while (run.advance(1000) !== 'done');
      const { migration, consistency } = run.report()
      expect([migration.status, consistency.verdict, consistency.lost]).toEqual(['completed', 'consistent', 0])
    },
  )

  it('does not use up a time limit while somebody is waited for', () => {
    const run = pausing('precopy', true, 60e9)
    untilWaiting(run)
    expect(run.advance(1000)).toBe('waiting')
    expect(run.nowNs).toBeLessThan(1e9)
    expect(run.control.continueFrom('pre-switchover')).toBeNull()
    while (run.advance(1000) !== 'done');
    expect([run.timedOut, run.report().migration.status]).toEqual([false, 'completed'])
  })

  it.each(['precopy', 'hybrid'] as const)('in mode %s can be cancelled there: the guest goes on at the source', (mode) => {
    const run = pausing(mode, true)
    untilWaiting(run)
    const opsBefore = run.report().guest.opsDuring
    expect(run.control.cancel()).toBeNull()
    while (run.advance(1000) !== 'done');
    const { migration, consistency, guest } = run.report()
    expect([migration.status, consistency.verdict, consistency.lost]).toEqual(['cancelled', 'consistent', 0])
    expect([...entered(run).keys()].slice(-3)).toEqual(['pre-switchover', 'cancelling', 'cancelled'])
    expect(guest.opsDuring + guest.opsAfter).toBeGreaterThan(opsBefore)
  })

  it.each(['source-crash', 'destination-crash', 'link-down'] as const)('a %s there fails it', (what) => {
    const run = pausing('precopy', true)
    untilWaiting(run)
    run.inject({ what, state: 'pre-switchover', afterNs: 0, durationNs: 1_000_000, value: 0 })
    for (let slice = 0; run.advance(1000) === 'running' && slice < 1000; slice++);
    // Unless the source itself is gone, it learns of it when it goes on, as QEMU does.
    if (what === 'source-crash') expect(run.state.status).toBe('failed')
    else expect(run.control.continueFrom('pre-switchover')).toBeNull()
    while (run.advance(1000) !== 'done');
    const { migration, consistency } = run.report()
    expect([migration.status, consistency.mismatches]).toEqual(['failed', 0])
  })
})

describe('stop', () => {
  it('lets a pre-copy end that would not, since nothing is written any more, and the guest goes on at the destination', () => {
    const run = underWay({})
    expect(run.control.stop()).toBeNull()
    while (run.vm.isRunning) run.advance(1)
    const opsBefore = run.report().guest.opsDuring
    expect(run.state.status).toBe('active')
    while (run.state.status === 'active') run.advance(1)
    expect(run.report().guest.opsDuring).toBe(opsBefore)
    while (run.advance(1000) !== 'done');
    const { migration, consistency, guest } = run.report()
    expect([migration.status, consistency.verdict, consistency.lost]).toEqual(['completed', 'consistent', 0])
    expect(guest.opsAfter).toBeGreaterThan(0)
  })

  it('is refused where the guest already stands', () => {
    const run = underWay({})
    run.control.stop()
    while (run.vm.isRunning) run.advance(1)
    expect(run.control.stop()).toContain('already')
  })
})
