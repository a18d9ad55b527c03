/**
 * Migrations whose dirty pages are known from the vCPUs' rings.
 */
import { describe, expect, it } from 'vitest'
import type { MigrateOptions } from '../../core/run/options.ts'
import { finish, MIB } from './small.ts'

const report = (options: Partial<MigrateOptions>) => finish({ memBytes: 16 * MIB, ...options }).report()

describe('a guest that writes all the time, with dirty rings', () => {
  const writer = { guest: 'uniform:rate=40MB/s', bandwidthBitsPerSec: 5e8, downtimeLimitNs: 30e6 } as const

  it.each(['precopy', 'hybrid'] as const)('is migrated by %s without a store lost', (mode) => {
    const { migration, consistency, options } = report({ ...writer, mode, dirtyTracking: 'ring' })
    expect(migration.status).toBe('completed')
    expect(consistency.verdict).toBe('consistent')
    expect(migration.ram['dirty-sync-count']).toBeGreaterThan(1)
    expect(options['dirty-tracking']).toBe('ring')
  })

  it('sends what the log by write protection would have sent, within a tenth', () => {
    const [ring, bitmap] = (['ring', 'bitmap'] as const).map((dirtyTracking) =>
      report({ ...writer, mode: 'precopy', dirtyTracking }),
    )
    const pages = ring?.migration.ram.normal ?? 0
    const expected = bitmap?.migration.ram.normal ?? 0
    expect(Math.abs(pages - expected)).toBeLessThan(expected / 10)
  })

  it('goes on at the source without its log when the migration is cancelled', () => {
    const run = finish({
      ...writer,
      memBytes: 16 * MIB,
      mode: 'precopy',
      dirtyTracking: 'ring',
      inject: [{ what: 'cancel', state: 'active', afterNs: 5e6, durationNs: null }],
    })
    expect(run.state.status).toBe('cancelled')
    expect(run.check.verdict).toBe('consistent')
    expect(run.check.pagesCompared).toBeGreaterThan(0)
    expect(run.sourceProcess.mm.dirtyLog).toBeNull()
  })
})
