/**
 * postcopy-preempt: requested pages have a channel of their own, and wait neither behind the stream's socket nor behind a huge page.
 */
import { describe, expect, it } from 'vitest'
import type { MigrateOptions } from '../../core/run/options.ts'
import { finish, small } from './small.ts'

const GUEST = { guest: 'uniform:rate=200k/s', memBytes: 32 * 2 ** 20, bandwidthBitsPerSec: 1e9 }

function withUrgent(isOn: boolean, options: Partial<MigrateOptions> = {}) {
  const capabilities = { ...small().capabilities, 'postcopy-preempt': isOn }
  return finish({ ...GUEST, ...options, capabilities })
}

describe('an urgent channel', () => {
  it('cuts the mean remote fault at least fivefold, and the migration takes no longer', () => {
    const [off, on] = [withUrgent(false).report(), withUrgent(true).report()]
    expect(off.migration['postcopy-latency']).toBeGreaterThan(5 * on.migration['postcopy-latency'])
    expect(on.migration['total-time']).toBeLessThan(1.01 * off.migration['total-time'])
    expect([off.consistency.verdict, on.consistency.verdict]).toEqual(['consistent', 'consistent'])
  })

  it('brings what was asked for, and each page comes by one of the two channels', () => {
    const run = withUrgent(true)
    const { urgent } = run.channels
    expect(urgent?.bytesSent).toBeGreaterThan(100 * 4096)
    expect(run.incoming?.duplicates).toBe(0)
    expect(run.state.normal + run.state.duplicate).toBe(run.pages)
    expect(run.report().migration.ram.transferred).toBe(run.channels.stream.bytesSent + (urgent?.bytesSent ?? 0))
  })

  it.each(['remap', 'move', 'copy'] as const)('brings huge pages whole, placed by %s', (resolver) => {
    const run = withUrgent(true, { pageSizeBytes: 2 ** 21, resolver, guest: 'uniform:rate=20k/s' })
    expect(run.state.status).toBe('completed')
    expect(run.report().consistency.verdict).toBe('consistent')
    expect(run.channels.urgent?.bytesSent).toBeGreaterThan(2 ** 21)
  })

  it('does so after a pre-copy, too, and where the source gives up its pages', () => {
    const capabilities = { ...small().capabilities, 'postcopy-preempt': true, 'release-ram': true }
    const run = finish({ ...GUEST, mode: 'hybrid', capabilities })
    expect(run.state.status).toBe('completed')
    expect(run.report().consistency.verdict).toBe('consistent')
    expect(run.state.requests).toBeGreaterThan(0)
  })
})

describe('release-ram', () => {
  const resident = (isOn: boolean) => {
    const capabilities = { ...small().capabilities, 'release-ram': isOn }
    const run = finish({ ...GUEST, capabilities })
    expect(run.report().consistency.verdict).toBe('consistent')
    let pages = 0
    for (let page = 0; page < run.pages; page++) if (run.sourceProcess.mm.table.lookup(run.ramPage + page) !== 0) pages++
    return pages
  }

  it('leaves nothing at the source once all is sent; without it all of it stays', () => {
    expect(resident(true)).toBe(0)
    expect(resident(false)).toBe(GUEST.memBytes / 4096)
  })
})
