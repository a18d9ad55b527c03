/**
 * A step's arguments as numbers, bits and words: what every world that makes calls of steps asks for.
 *
 * Names stand for what they are bound to in that world. The reader has checked the kinds, so a wrong one is a bug.
 */
import { fail } from '../base/assert.ts'
import type { CallStep } from './case.ts'
import type { Names } from './names.ts'
import { bitsOf } from './vocabulary.ts'

export class Given {
  constructor(
    readonly names: Names,
    readonly step: CallStep,
  ) {}

  has(name: string): boolean {
    return this.step.args[name] !== undefined
  }

  amount(name: string, fallback = Number.NaN): number {
    const value = this.step.args[name]
    return typeof value === 'number' || typeof value === 'string' ? this.names.amount(value) : fallback
  }

  list(name: string): readonly string[] {
    const value = this.step.args[name]
    return Array.isArray(value) ? value : []
  }

  bits(name: string, table: Readonly<Record<string, number>>): number {
    return bitsOf(this.list(name), table)
  }

  word(name: string): string {
    const value = this.step.args[name]
    return typeof value === 'string' ? value : fail(`${this.step.call} has no ${name}`)
  }

  /** What the descriptor's name is bound to. */
  get descriptor(): unknown {
    return this.names.descriptors.get(this.word('fd'))
  }
}
