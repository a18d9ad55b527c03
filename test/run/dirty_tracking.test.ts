/**
 * Migrations whose dirty pages are known from the vCPUs' rings, or from PAGEMAP_SCAN.
 */
import { describe, expect, it } from 'vitest'
import type { MigrateOptions } from '../../core/run/options.ts'
import { finish, MIB, small } from './small.ts'

const report = (options: Partial<MigrateOptions>) => finish({ memBytes: 8 * MIB, ...options }).report()

describe.each(['ring', 'pagemap'] as const)('a guest that writes all the time, tracked by %s', (dirtyTracking) => {
  const writer = { guest: 'uniform:rate=40MB/s', bandwidthBitsPerSec: 5e8, downtimeLimitNs: 30e6 } as const

  it.each(['precopy', 'hybrid'] as const)('is migrated by %s without a store lost', (mode) => {
    const { migration, consistency, options } = report({ ...writer, mode, dirtyTracking })
    expect(migration.status).toBe('completed')
    expect(consistency.verdict).toBe('consistent')
    expect(migration.ram['dirty-sync-count']).toBeGreaterThan(1)
    expect(options['dirty-tracking']).toBe(dirtyTracking)
  })

  it('sends what the log by write protection would have sent, within a tenth', () => {
    const [pages = 0, expected = 0] = ([dirtyTracking, 'bitmap'] as const).map(
      (tracking) => report({ ...writer, mode: 'precopy', dirtyTracking: tracking }).migration.ram.normal,
    )
    expect(Math.abs(pages - expected)).toBeLessThan(expected / 10)
  })

  it('goes on at the source without its log when the migration is cancelled', () => {
    const run = finish({
      ...writer,
      memBytes: 16 * MIB,
      mode: 'precopy',
      dirtyTracking,
      inject: [{ what: 'cancel', state: 'active', afterNs: 5e6, durationNs: null }],
    })
    expect(run.state.status).toBe('cancelled')
    expect(run.check.verdict).toBe('consistent')
    expect(run.check.pagesCompared).toBeGreaterThan(0)
    expect(run.sourceProcess.mm.dirtyLog).toBeNull()
    expect(run.sourceProcess.mm.tree.areas.filter(({ uffd }) => uffd !== null)).toEqual([])
  })
})

describe('dirty-limit', () => {
  // Each vCPU's share has to be more than a ring holds: else no ring is ever full.
  const sweep = {
    guest: 'sweep:rate=100MB/s',
    memBytes: 64 * MIB,
    bandwidthBitsPerSec: 5e8,
    mode: 'precopy',
    timeLimitNs: 60e9,
  } as const

  it('lets a guest converge that never would, and says how long its vCPUs slept', () => {
    expect(finish({ ...sweep, timeLimitNs: 5e9 }).state.status).toBe('active')
    const capabilities = { ...small().capabilities, 'dirty-limit': true }
    const { migration, consistency, guest } = report({ ...sweep, capabilities, dirtyTracking: 'ring' })
    expect(migration.status).toBe('completed')
    expect(consistency.verdict).toBe('consistent')
    expect(migration['dirty-limit-throttle-time-per-round']).toBeGreaterThan(0)
    expect(migration['dirty-limit-ring-full-time']).toBeGreaterThanOrEqual(0)
    expect(guest.slowdown).toBeGreaterThan(1)
  })

  it('says nothing of itself where it never had to set in', () => {
    const capabilities = { ...small().capabilities, 'dirty-limit': true }
    const { migration } = report({ mode: 'precopy', guest: 'idle', capabilities, dirtyTracking: 'ring' })
    expect(migration.status).toBe('completed')
    expect(migration).not.toHaveProperty('dirty-limit-throttle-time-per-round')
  })
})
