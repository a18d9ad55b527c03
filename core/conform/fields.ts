/**
 * Reads unknown data (parsed JSON) with the exact place of whatever is wrong: `cases[3].steps[1].args.dst`.
 *
 * An ObjectReader hands out the fields of one object and, at the end, refuses those that nobody asked for, so that a slip
 * in a field's name is an error and not silence. Pairs with reader.ts, which knows what a case is.
 */

/** Data that is not what it must be. The message is one sentence that begins with the place. */
export class CaseError extends Error {
  override readonly name = 'CaseError'
  constructor(
    readonly place: string,
    readonly problem: string,
  ) {
    super(`${place}: ${problem}`)
  }
}

export class ObjectReader {
  readonly #fields: Readonly<Record<string, unknown>>
  readonly #asked = new Set<string>()

  constructor(
    value: unknown,
    readonly place: string,
  ) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new CaseError(place, `${shape(value)} is no object`)
    this.#fields = value as Record<string, unknown>
  }

  get keys(): readonly string[] {
    return Object.keys(this.#fields)
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#fields, key)
  }

  at(key: string): string {
    return `${this.place}.${key}`
  }

  raw(key: string): unknown {
    this.#asked.add(key)
    return this.#fields[key]
  }

  string(key: string): string {
    return stringAt(this.raw(key), this.at(key))
  }

  word<T extends string>(key: string, words: readonly T[], fallback?: T): T {
    if (fallback !== undefined && !this.has(key)) return fallback
    return wordAt(this.raw(key), this.at(key), words)
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.has(key) ? this.raw(key) : fallback
    if (typeof value !== 'boolean') throw new CaseError(this.at(key), `${shape(value)} is neither true nor false`)
    return value
  }

  integer(key: string, low: number, high: number, fallback?: number): number {
    const value = fallback !== undefined && !this.has(key) ? fallback : this.raw(key)
    if (typeof value !== 'number' || !Number.isInteger(value) || value < low || value > high)
      throw new CaseError(this.at(key), `${shape(value)} is no whole number from ${low} to ${high}`)
    return value
  }

  list<T>(key: string, one: (value: unknown, place: string) => T, fallback?: readonly T[]): readonly T[] {
    if (fallback !== undefined && !this.has(key)) return fallback
    return listAt(this.raw(key), this.at(key), one)
  }

  /** An object whose keys are names. */
  record<T>(key: string, one: (value: unknown, place: string, name: string) => T): Readonly<Record<string, T>> {
    if (!this.has(key)) return {}
    const inner = new ObjectReader(this.raw(key), this.at(key))
    return Object.fromEntries(inner.keys.map((name) => [name, one(inner.raw(name), inner.at(name), name)]))
  }

  /** Refuses fields that nobody asked for. */
  done(): void {
    const extra = this.keys.find((key) => !this.#asked.has(key))
    if (extra !== undefined) throw new CaseError(this.at(extra), `is not known here; known are ${[...this.#asked].join(', ')}`)
  }
}

export function stringAt(value: unknown, place: string): string {
  if (typeof value !== 'string' || value === '') throw new CaseError(place, `${shape(value)} is no text`)
  return value
}

export function wordAt<T extends string>(value: unknown, place: string, words: readonly T[]): T {
  const word = words.find((one) => one === value)
  if (word === undefined) throw new CaseError(place, `${shape(value)} is not one of ${words.join(', ')}`)
  return word
}

export function listAt<T>(value: unknown, place: string, one: (value: unknown, place: string) => T): readonly T[] {
  if (!Array.isArray(value)) throw new CaseError(place, `${shape(value)} is no list`)
  return value.map((item, i) => one(item, `${place}[${i}]`))
}

/** What was found, in a word or two. */
export function shape(value: unknown): string {
  if (value === undefined) return 'nothing'
  return JSON.stringify(value).slice(0, 40)
}
