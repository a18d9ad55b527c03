/**
 * Numbers as cases write them: `4096`, `2p` (pages), `D+1p+8` (a name's value, a page and eight bytes on).
 *
 * The same text means the same on every host, because only names differ: a host binds the regions' addresses before the
 * first step, and what later steps bind with `as`.
 */
import { PAGE_SIZE } from '../hw/phys_mem.ts'

const AMOUNT = /^(?:[A-Za-z]\w*|\d+p?)(?:[+-]\d+p?)*$/
const TERM = /([+-]?)(\d+p?|[A-Za-z]\w*)/g

/** Whether the text is an amount at all; its names may still be unbound. */
export function isAmount(text: string): boolean {
  return AMOUNT.test(text)
}

/** The name that an amount begins with, or null. */
export function nameIn(text: string): string | null {
  return /^[A-Za-z]\w*/.exec(text)?.[0] ?? null
}

/** The number; NaN where a name has no value. */
export function amountOf(value: number | string, lookUp: (name: string) => number): number {
  if (typeof value === 'number') return value
  let sum = 0
  for (const [, sign, term = ''] of value.matchAll(TERM)) {
    const isNumber = /^\d/.test(term)
    const size = isNumber ? Number.parseInt(term, 10) * (term.endsWith('p') ? PAGE_SIZE : 1) : lookUp(term)
    sum += sign === '-' ? -size : size
  }
  return sum
}
