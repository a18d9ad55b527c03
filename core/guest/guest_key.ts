/**
 * The keys of a guest, `set=64M,rate=500MB/s`: what each takes, and whether a word is one.
 *
 * A key's table entry is all that help, completion, errors and the guest itself read; a fallback that is not a word of its own
 * unit (`3/4 of memory`) carries its number in `ofMemory`.
 */
import { type Parsed, parseCount, parseOpsRate, parseRate, parseShare, parseSize, parseTime } from '../base/units.ts'

export interface GuestKey {
  readonly key: string
  readonly unit: 'size' | 'rate' | 'share' | 'skew' | 'count' | 'time' | 'word'
  readonly fallback: string
  readonly meaning: string
  /** A size: the share of memory that `fallback` says in words. */
  readonly ofMemory?: number
  /** A word: the ones that are known. */
  readonly words?: readonly string[]
}

export const RATE_OPS = 'operations a second of all vCPUs together, or bytes written a second'
export const RATE_BYTES = 'bytes written a second by all vCPUs together, or operations a second'

const SHARE_NAMES = new Map([
  [1, 'all memory'],
  [0.75, '3/4 of memory'],
  [0.5, 'half of memory'],
  [0.25, '1/4 of memory'],
  [13 / 16, '13/16 of memory'],
])

/** A size that is a share of memory unless given. */
export function sizeKey(key: string, ofMemory: number, meaning: string): GuestKey {
  return { key, unit: 'size', fallback: SHARE_NAMES.get(ofMemory) ?? `${ofMemory * 100}% of memory`, meaning, ofMemory }
}

const MAX_COUNT = 4096

/** Half a sentence that says what is wrong with `value`; empty if nothing is. */
export function checkValue(spec: GuestKey, value: string): string {
  switch (spec.unit) {
    case 'size': {
      const p = parseSize(value)
      return p.ok ? (p.value >= 4096 ? '' : 'is less than a page of 4k') : p.message
    }
    case 'rate': {
      const rate = opsPerSec(value, 4096)
      return typeof rate === 'string' ? rate : rate > 0 ? '' : 'must be more than 0, for example 400k/s or 500MB/s'
    }
    case 'share':
      return messageOf(parseShare(value))
    case 'skew': {
      const n = Number(value)
      return value.trim() !== '' && n >= 0.01 && n <= 0.999 ? '' : 'must be a number from 0.01 to 0.999'
    }
    case 'count':
      return messageOf(parseCount(value, 1, MAX_COUNT))
    case 'time': {
      const p = parseTime(value)
      return p.ok ? (p.value > 0 ? '' : 'must be more than 0, for example 2s') : p.message
    }
    case 'word':
      return spec.words?.includes(value) === true ? '' : `must be one of ${(spec.words ?? []).join(', ')}`
  }
}

function messageOf(parsed: Parsed): string {
  return parsed.ok ? '' : parsed.message
}

/** A rate in operations a second; one given in bytes is divided by the bytes that an operation writes. */
export function opsPerSec(text: string, bytesPerOp: number): number | string {
  const ops = parseOpsRate(text)
  if (ops.ok) return ops.value
  const bits = parseRate(text)
  return bits.ok ? bits.value / 8 / bytesPerOp : 'is no rate; write operations as 400k/s or bytes as 500MB/s'
}
