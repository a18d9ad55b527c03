/**
 * What a non-present, non-none PTE says: a swap entry, a migration entry, or a marker.
 *
 *     51                          12 11 10  9  8  7  6  5  4  3  2  1  0
 *    |   slot, frame or marker      |  |UW|      | EX| WR|  |  kind   | 0|
 *
 * Bit 0 is P, clear. Kind: 1 swap (the value is a slot), 2 migration (a frame), 3 marker (bits below). EX: the anonymous page
 * was exclusive. WR: a migration entry of a writable mapping. UW is the userfault write-protect bit, at the place it has in a
 * present PTE, so it survives swap-out. Hardware ignores all of it and faults.
 *
 * Source: include/linux/swapops.h. @kernel swp_entry_t, pte_marker
 */
import { PTE_NONE, PTE_UFFD_WP, type Pte, ptePresent } from '../hw/pte.ts'

export type SwapKind = 'swap' | 'migration' | 'marker'

const KIND_SHIFT = 1
const KIND_MASK = 0b1110
const KIND = { swap: 1, migration: 2, marker: 3 } as const
const BIT_EXCLUSIVE = 1 << 5
const BIT_WRITE = 1 << 6

export const MARKER_UFFD_WP = 1
export const MARKER_POISON = 2

/** The kind of a PTE that is neither none nor present. */
export function swapKind(pte: Pte): SwapKind {
  switch ((pte & KIND_MASK) >> KIND_SHIFT) {
    case KIND.swap:
      return 'swap'
    case KIND.migration:
      return 'migration'
    default:
      return 'marker'
  }
}

function entry(kind: number, value: number, flags: number): Pte {
  return value * 4096 + (kind << KIND_SHIFT) + flags
}

/** A page in swap slot `slot`. */
export function makeSwapEntry(slot: number, exclusive: boolean, uffdWp = false): Pte {
  return entry(KIND.swap, slot, (exclusive ? BIT_EXCLUSIVE : 0) | (uffdWp ? PTE_UFFD_WP : 0))
}

/** A page that is being moved to another frame: who touches it waits. */
export function makeMigrationEntry(pfn: number, writable: boolean, exclusive: boolean): Pte {
  return entry(KIND.migration, pfn, (writable ? BIT_WRITE : 0) | (exclusive ? BIT_EXCLUSIVE : 0))
}

/** Nothing is mapped, but a touch must be reported (MARKER_UFFD_WP) or fail (MARKER_POISON). */
export function makeMarker(bits: number): Pte {
  return entry(KIND.marker, bits, 0)
}

/** A touch must fail. */
export function isPoison(pte: Pte): boolean {
  return pte !== PTE_NONE && !ptePresent(pte) && swapKind(pte) === 'marker' && (swapValue(pte) & MARKER_POISON) !== 0
}

/** Slot of a swap entry, frame of a migration entry, bits of a marker. */
export function swapValue(pte: Pte): number {
  return Math.floor(pte / 4096)
}

export function swapExclusive(pte: Pte): boolean {
  return (pte & BIT_EXCLUSIVE) !== 0
}

export function migrationWritable(pte: Pte): boolean {
  return (pte & BIT_WRITE) !== 0
}
