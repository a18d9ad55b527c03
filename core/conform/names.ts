/**
 * What the names of a running case stand for: addresses, descriptors, frames, content; and addresses back to names.
 *
 * A world binds its regions before the first step, the runner what a step's `as` names. An amount in a case is evaluated
 * here, so the same text may be another number in every world.
 */
import { ERRNO } from '../machine/syscall.ts'
import { amountOf } from './amount.ts'
import type { Amount } from './case.ts'

/** Behind a region nothing lies for two pages. */
const MARGIN = 8192

interface Place {
  readonly name: string
  readonly start: number
  readonly bytes: number
}

export class Names {
  readonly numbers = new Map<string, number>()
  readonly descriptors = new Map<string, unknown>()
  readonly frames = new Map<string, readonly number[]>()
  readonly contents = new Map<string, number | 'mixed'>()
  readonly #places: Place[] = []

  region(name: string, start: number, bytes: number): void {
    this.numbers.set(name, start)
    this.#places.push({ name, start, bytes })
  }

  /** The number that an expression stands for; NaN where a name has none. */
  amount(value: Amount): number {
    return amountOf(value, (name) => this.numbers.get(name) ?? Number.NaN)
  }

  /** An address as a case would write it, for people; any other number as itself. */
  spell(value: number): string {
    const within = (margin: number) => this.#places.find(({ start, bytes }) => value >= start && value <= start + bytes + margin)
    const place = within(0) ?? within(MARGIN)
    if (place === undefined) return String(value)
    const offset = value - place.start
    const pages = Math.floor(offset / 4096)
    return place.name + (pages > 0 ? `+${pages}p` : '') + (offset % 4096 > 0 ? `+${offset % 4096}` : '')
  }
}

/** `EEXIST` as -17; NaN for a name that is none. */
export function errnoValue(name: string): number {
  return new Map<string, number>(Object.entries(ERRNO)).get(name) ?? Number.NaN
}
