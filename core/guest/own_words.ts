/**
 * What vCPUs write where they run at the same time, on real memory: each its own words of every page, so that each load can be checked.
 *
 * Word 0 of a page is the first bytes, word 1 the last, as in the model; vCPU v owns the v-th 32 bits from either end. It stores a stamp of
 * page, word, vCPU and a version that counts its stores there; `versions` is the shadow, which never migrates.
 *
 *  its own word: what it stored last, exactly.
 *  another's: that one may be storing just now. The version goes to the shadow first, then the stamp to the page. So with the shadow's
 *  version before the load and after it, the page holds one from before - 1 to after.
 *
 *     owner                          reader
 *     versions = 8                   before = 8
 *     page = stamp(8)                found = stamp(7)   still fine: 8 was not in the page yet
 *                                    after = 8
 *
 * A stamp is never 0 and tells its version, so what a wrong word is can be read off it. Pairs with shadow.ts, the model's.
 */
import { mix32 } from '../base/hash.ts'

export const PAGE_WORDS = 1024
/** Odd, and its inverse modulo 2^32. */
const SPREAD = 0x9e3779b1 | 0
const UNSPREAD = inverse(SPREAD)
const LOW_31 = 0x7fffffff
const STAMPED = 0x80000000 | 0

/** More would overlap in the middle of a page long after; this many leave most of it to be checked for zeros. */
export const MOST_OWNERS = 64

/** How a word is wrong. */
export type WordFault = 'lost' | 'stale' | 'misplaced'

/** Index of a 32-bit word of RAM. */
export function ownWordAt(page: number, word: number, vcpu: number): number {
  return page * PAGE_WORDS + (word === 0 ? vcpu : PAGE_WORDS - 1 - vcpu)
}

/** Index of its version. */
export function versionAt(page: number, word: number, vcpu: number, pages: number): number {
  return (vcpu * pages + page) * 2 + word
}

/** What the `version`-th store leaves there; 0 before the first. */
export function ownStamp(page: number, word: number, vcpu: number, version: number): number {
  return version === 0 ? 0 : ((baseOf(page, word, vcpu) ^ Math.imul(version, SPREAD)) & LOW_31) | STAMPED
}

/** Which store left that in this word, if it belongs here: 0 for nothing stored, -1 for what no store here can have left. */
export function versionOf(found: number, page: number, word: number, vcpu: number): number {
  if (found === 0) return 0
  if (found >= 0) return -1
  return Math.imul(found ^ baseOf(page, word, vcpu), UNSPREAD) & LOW_31
}

/** What a wrong word is. `newest`: the version that its owner stored last. */
export function faultOf(found: number, page: number, word: number, vcpu: number, newest: number): WordFault {
  if (found === 0) return 'lost'
  const version = versionOf(found, page, word, vcpu)
  return version > 0 && version < newest ? 'stale' : 'misplaced'
}

function baseOf(page: number, word: number, vcpu: number): number {
  return mix32(Math.imul(page + 1, 0x85ebca77) ^ Math.imul(vcpu * 2 + word + 1, 0xc2b2ae3d))
}

/** By Newton's steps, each of which doubles the bits that are right. */
function inverse(odd: number): number {
  let x = odd
  for (let i = 0; i < 5; i++) x = Math.imul(x, 2 - Math.imul(odd, x))
  return x
}
