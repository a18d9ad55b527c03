/**
 * Entries of pages that are not present: each kind says what was put in, none is mistaken for a present PTE, for none or for
 * another kind, and the userfault bit lies where a present PTE has it.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { PTE_NONE, PTE_UFFD_WP, ptePresent } from '../../core/hw/pte.ts'
import {
  MARKER_POISON,
  MARKER_UFFD_WP,
  makeMarker,
  makeMigrationEntry,
  makeSwapEntry,
  migrationWritable,
  swapExclusive,
  swapKind,
  swapValue,
} from '../../core/mm/swapops.ts'

const value = fc.nat(2 ** 30)

it('a swap entry keeps slot, exclusiveness and the userfault bit', () => {
  fc.assert(
    fc.property(value, fc.boolean(), fc.boolean(), (slot, exclusive, wp) => {
      const pte = makeSwapEntry(slot, exclusive, wp)
      expect([swapKind(pte), swapValue(pte), swapExclusive(pte), (pte & PTE_UFFD_WP) !== 0]).toEqual([
        'swap',
        slot,
        exclusive,
        wp,
      ])
    }),
  )
})

it('a migration entry keeps frame, write and exclusiveness', () => {
  fc.assert(
    fc.property(value, fc.boolean(), fc.boolean(), (pfn, writable, exclusive) => {
      const pte = makeMigrationEntry(pfn, writable, exclusive)
      expect([swapKind(pte), swapValue(pte), migrationWritable(pte), swapExclusive(pte)]).toEqual([
        'migration',
        pfn,
        writable,
        exclusive,
      ])
    }),
  )
})

it('a marker keeps its bits', () => {
  for (const bits of [MARKER_UFFD_WP, MARKER_POISON, MARKER_UFFD_WP | MARKER_POISON]) {
    expect([swapKind(makeMarker(bits)), swapValue(makeMarker(bits))]).toEqual(['marker', bits])
  }
})

it('none of them is present or none, slot and frame 0 included', () => {
  for (const flag of [false, true]) {
    for (const pte of [makeSwapEntry(0, flag, flag), makeMigrationEntry(0, flag, flag), makeMarker(0)]) {
      expect(ptePresent(pte)).toBe(false)
      expect(pte).not.toBe(PTE_NONE)
    }
  }
})
