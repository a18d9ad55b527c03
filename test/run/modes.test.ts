/**
 * The three modes of a migration: what each sends, when the guest stands, and that a limit is a limit.
 */
import { describe, expect, it } from 'vitest'
import type { MigrateOptions } from '../../core/run/options.ts'
import { finish, small } from './small.ts'

const report = (options: Partial<MigrateOptions>) => finish(options).report()

const SLOW = { bandwidthBitsPerSec: 1e8, memBytes: 16 * 2 ** 20 }

describe('pre-copy', () => {
  it('ends with the guest at the destination, consistent, and asks for no page', () => {
    const { migration, consistency, guest } = report({ mode: 'precopy' })
    expect(migration.status).toBe('completed')
    expect(consistency.verdict).toBe('consistent')
    expect(migration.ram['postcopy-requests']).toBe(0)
    expect(migration.ram['postcopy-bytes']).toBe(0)
    expect(guest.opsAfter).toBeGreaterThan(0)
  })

  it.each([50, 100, 300])('keeps a downtime limit of %i ms, fixed costs included', (limit) => {
    const { migration } = report({ ...SLOW, mode: 'precopy', guest: 'kv:rate=2k/s', downtimeLimitNs: limit * 1e6 })
    expect(migration.status).toBe('completed')
    expect(migration.downtime).toBeLessThanOrEqual(limit * 1.05)
  })

  it('sends again what was written meanwhile: passes, and more bytes than RAM', () => {
    const { migration } = report({ ...SLOW, mode: 'precopy', guest: 'kv:rate=4k/s,set=16M', downtimeLimitNs: 30e6 })
    expect(migration.ram['dirty-sync-count']).toBeGreaterThan(2)
    expect(migration.ram.normal).toBeGreaterThan(4096)
    expect(migration.ram['precopy-bytes']).toBeGreaterThan(16 * 2 ** 20)
  })

  it('never ends while the guest writes faster than the link carries', () => {
    const run = finish({ ...SLOW, mode: 'precopy', guest: 'sweep:rate=100MB/s', timeLimitNs: 6e9 })
    expect(run.timedOut).toBe(true)
    expect(run.state.status).toBe('active')
    expect(run.state.dirtySyncCount).toBeGreaterThan(2)
  })

  it('ends when auto-converge slows that guest', () => {
    const capabilities = { ...small().capabilities, 'auto-converge': true }
    const { migration, guest, consistency } = report({
      ...SLOW,
      mode: 'precopy',
      guest: 'sweep:rate=20MB/s',
      capabilities,
      timeLimitNs: 120e9,
    })
    expect(migration.status).toBe('completed')
    expect(consistency.verdict).toBe('consistent')
    expect(guest.slowdown).toBeGreaterThan(1.1)
  })

  it('sends no faster than max-bandwidth', () => {
    const parameters = { ...small().parameters, 'max-bandwidth': 2 ** 20 * 20 }
    const { migration } = report({
      mode: 'precopy',
      memBytes: 16 * 2 ** 20,
      guest: 'idle:set=16M',
      parameters,
      downtimeLimitNs: 50e6,
    })
    const sentMs = migration['total-time'] - migration.downtime
    expect((migration.ram['precopy-bytes'] / sentMs) * 1000).toBeLessThan(2 ** 20 * 20 * 1.15)
  })

  it('takes max-bandwidth for its bandwidth, though what it may send in 100 ms goes in a burst', () => {
    const { migration } = report({
      mode: 'precopy',
      memBytes: 16 * 2 ** 20,
      guest: 'sweep',
      bandwidthBitsPerSec: 1e11,
      parameters: { ...small().parameters, 'max-bandwidth': 2 ** 20 * 20 },
      downtimeLimitNs: 100e6,
      timeLimitNs: 1e9,
    })
    // 16 MiB, of which 2 MiB at most may be left: 0.7 s; the sweep writes all of it meanwhile.
    expect(migration.status).toBe('active')
    expect(migration.ram['dirty-sync-count']).toBeGreaterThan(1)
  })
})

describe('post-copy', () => {
  const LIMIT = 2 ** 20 * 16
  const push = ({ limit = 0, preempts = false }) =>
    report({
      mode: 'postcopy',
      capabilities: { ...small().capabilities, 'postcopy-preempt': preempts },
      memBytes: 16 * 2 ** 20,
      guest: 'uniform:rate=200/s',
      parameters: { ...small().parameters, 'max-postcopy-bandwidth': limit },
    })

  it('pushes no faster than max-postcopy-bandwidth, and as fast as the link carries without', () => {
    const [free, limited] = [push({}), push({ limit: LIMIT })]
    for (const { migration, consistency } of [free, limited])
      expect([migration.status, consistency.verdict]).toEqual(['completed', 'consistent'])
    // 16 MiB: 0.14 s at 1 Gb/s; at 16 MiB a second, less the burst of the last tenth.
    expect(free.migration['total-time']).toBeLessThan(300)
    expect(limited.migration['total-time']).toBeGreaterThan(850)
    expect(limited.migration['total-time']).toBeLessThan(1100)
  })

  it('leaves what is asked for, once that is used up, to the next delay, as QEMU does', () => {
    const { migration, guest } = push({ limit: 2 ** 20 })
    expect(migration.status).toBe('completed')
    // Ten delays a second, most of each asleep: who asks waits for half of one, more or less, and a delay serves few.
    expect(migration['postcopy-latency']).toBeGreaterThan(20e6)
    expect(migration.ram['postcopy-requests']).toBeLessThan(migration['total-time'] / 20)
    expect(guest.opsDuring).toBeGreaterThan(0)
  })

  it('does not keep the urgent channel to it', () => {
    const { migration } = push({ limit: 2 ** 20, preempts: true })
    expect(migration.status).toBe('completed')
    expect(migration['postcopy-latency']).toBeLessThan(5e6)
  })
})

describe('hybrid', () => {
  it('switches after the passes asked for, and sends the rest on demand', () => {
    const { migration, consistency } = report({
      ...SLOW,
      mode: 'hybrid',
      guest: 'sweep:rate=100MB/s',
      postcopyAfter: { passes: 2 },
    })
    expect(migration.status).toBe('completed')
    expect(consistency.verdict).toBe('consistent')
    expect(migration.ram['dirty-sync-count']).toBeGreaterThanOrEqual(3)
    expect(migration.ram['precopy-bytes']).toBeGreaterThan(16 * 2 ** 20)
    expect(migration.ram['postcopy-bytes']).toBeGreaterThan(0)
    expect(migration.ram['postcopy-requests']).toBeGreaterThan(0)
  })

  it('switches after the time asked for', () => {
    const { migration } = report({ ...SLOW, mode: 'hybrid', guest: 'sweep:rate=100MB/s', postcopyAfter: { ns: 500e6 } })
    expect(migration.status).toBe('completed')
    // 0.5 s at 100 Mb/s are 6 MB; one look takes at most 50 ms.
    expect(migration.ram['precopy-bytes']).toBeGreaterThan(5e6)
    expect(migration.ram['precopy-bytes']).toBeLessThan(10e6)
  })

  it.each(['remap', 'move', 'copy'] as const)('is consistent with the resolver %s', (resolver) => {
    const { migration, consistency } = report({ mode: 'hybrid', resolver, guest: 'uniform' })
    expect(migration.status).toBe('completed')
    expect(consistency.verdict).toBe('consistent')
  })
})
