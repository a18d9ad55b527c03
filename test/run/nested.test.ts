/**
 * A migration of a guest that has page tables of its own: more references a walk, the same guest, and off unless asked for.
 */
import { describe, expect, it } from 'vitest'
import type { GuestPageSize } from '../../core/hw/nested_paging.ts'
import { finish, MIB } from './small.ts'

const HUGE = { memBytes: 8 * MIB, pageSizeBytes: 2 * MIB, resolver: 'move' as const }

describe('a migration with nested paging', () => {
  it('is consistent, and its walks of more references take the guest longer', () => {
    const of = (nested: boolean) => finish({ guest: 'uniform', memBytes: 8 * MIB, nested }).report()
    const [nested, plain] = [of(true), of(false)]
    expect(nested.consistency.verdict).toBe('consistent')
    expect(nested.mmu.nestedRefs).toBeGreaterThan(nested.mmu.walks / 2)
    expect(nested.mmu.walkRefs).toBeGreaterThan(plain.mmu.walkRefs + nested.mmu.nestedRefs / 2)
    expect(nested.guest.opsBefore).toBeLessThan(plain.guest.opsBefore)
  })

  it('has no more references where it is off, which it is by default', () => {
    const [usual, off] = [finish().report(), finish({ nested: false }).report()]
    expect([usual.mmu.nestedRefs, usual.options.nested, usual.options['guest-page-size']]).toEqual([0, 'off', '4k'])
    expect(usual.traceHash).toBe(off.traceHash)
  })

  it('walks for 4 KiB where guest pages are small, and for 2 MiB where both are huge', () => {
    const of = (guestPageSizeBytes: GuestPageSize) =>
      finish({ ...HUGE, guest: 'uniform', nested: true, guestPageSizeBytes }).report()
    const [fractured, whole] = [of(4096), of(2 ** 21)]
    expect([fractured.consistency.verdict, whole.consistency.verdict]).toEqual(['consistent', 'consistent'])
    expect(fractured.mmu.walks).toBeGreaterThan(10 * whole.mmu.walks)
  })

  it.each(['precopy', 'hybrid'] as const)('keeps %s consistent, whose write protection splits and flushes', (mode) => {
    const run = finish({ ...HUGE, guest: 'sweep', mode, nested: true, bandwidthBitsPerSec: 1e10 })
    expect([run.report().migration.status, run.report().consistency.verdict]).toEqual(['completed', 'consistent'])
  })
})
