/**
 * xbzrle: pages that are sent again go as their difference, and the guest finds what it wrote.
 */
import { describe, expect, it } from 'vitest'
import type { MigrateOptions } from '../../core/run/options.ts'
import { finish, MIB, small } from './small.ts'

const BUSY = {
  mode: 'precopy',
  guest: 'kv:rate=20k/s,set=12M',
  memBytes: 16 * MIB,
  bandwidthBitsPerSec: 1e8,
  downtimeLimitNs: 30e6,
} as const

function precopy(isOn: boolean, cacheBytes = 64 * MIB, options: Partial<MigrateOptions> = {}) {
  const base = small()
  return finish({
    ...BUSY,
    timeLimitNs: 20e9,
    capabilities: { ...base.capabilities, xbzrle: isOn },
    parameters: { ...base.parameters, 'xbzrle-cache-size': cacheBytes },
    ...options,
  })
}

describe('a pre-copy with xbzrle', () => {
  it('converges where it never would without, and the guest finds what it wrote', () => {
    expect(precopy(false).timedOut).toBe(true)
    const { migration, consistency } = precopy(true).report()
    expect(migration.status).toBe('completed')
    expect(consistency.verdict).toBe('consistent')
    const cache = migration['xbzrle-cache']
    // Not in the first pass, in which every page is new; in the second each is missed and remembered; from the third on they are found.
    expect(migration.ram['dirty-sync-count']).toBeGreaterThan(3)
    expect(cache?.pages).toBeGreaterThan(1000)
    expect(cache?.['cache-miss']).toBeGreaterThan(1000)
    expect(cache?.['cache-miss']).toBeLessThan(3072 + 100)
    expect(cache?.bytes).toBeLessThan(((cache?.pages ?? 0) * 4096) / 4)
    expect(cache?.overflow).toBe(0)
  })

  it('sends nothing smaller in the first pass', () => {
    const { migration } = precopy(true, 64 * MIB, { bandwidthBitsPerSec: 1e10, guest: 'idle' }).report()
    expect(migration['xbzrle-cache']?.pages).toBe(0)
  })

  it('misses more with a cache that is too small', () => {
    const misses = (bytes: number) => precopy(true, bytes).report().migration['xbzrle-cache']?.['cache-miss'] ?? 0
    expect(misses(4 * MIB)).toBeGreaterThan(1.2 * misses(64 * MIB))
  })

  it('ends with post-copy: what is asked for there goes whole', () => {
    const run = precopy(true, 64 * MIB, { mode: 'hybrid', postcopyAfter: { passes: 4 } })
    expect(run.state.status).toBe('completed')
    expect(run.report().consistency.verdict).toBe('consistent')
    expect(run.channels.xbzrle?.pages).toBeGreaterThan(0)
    expect(run.state.requests).toBeGreaterThan(0)
  })
})

describe('zero-page-detection', () => {
  it.each([
    ['none', 0],
    ['legacy', 192],
    ['multifd', 192],
  ] as const)('%s finds %d of the 192 zero pages of an idle guest of 1 MiB', (detection, duplicate) => {
    const run = finish({ guest: 'idle', parameters: { ...small().parameters, 'zero-page-detection': detection } })
    expect(run.report().consistency.verdict).toBe('consistent')
    expect(run.state.duplicate).toBe(duplicate)
    expect(run.state.normal).toBe(256 - duplicate)
  })
})
