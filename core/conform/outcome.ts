/**
 * What a call did, in words that every host shares: the other half of an Expectation.
 *
 * A host (the model here, a real kernel elsewhere) fills one in for each call; compare.ts holds it against what the case
 * says. Numbers are those of the host: addresses are only compared through names.
 */

export type FieldValue = number | readonly number[] | readonly string[]

export interface Outcome {
  /** The call has not returned. */
  readonly blocked: boolean
  /** What it returned; null where it failed, sleeps, or ended in a signal. */
  readonly ret: number | null
  readonly errno: string | null
  readonly signal: { readonly name: string; readonly code: number; readonly address: number } | null
  /** What the call wrote, or an observer saw. Masks are lists of names. */
  readonly fields: Readonly<Record<string, FieldValue>>
  readonly messages: readonly Message[]
  /** The byte that fills what was read. */
  readonly content: number | 'mixed' | null
  /** pagemap: a frame a page, -1 for none. */
  readonly frames: readonly number[] | null
  /** A descriptor that the call made. */
  readonly descriptor: unknown
}

export interface Message {
  readonly event: 'PAGEFAULT' | 'FORK' | 'REMAP' | 'REMOVE' | 'UNMAP'
  readonly flags?: readonly string[]
  readonly address?: number
  /** The actor that faulted; null where the message does not say. */
  readonly thread?: string | null
  readonly from?: number
  readonly to?: number
  readonly length?: number
  readonly start?: number
  readonly end?: number
  /** FORK: the child's descriptor. */
  readonly descriptor?: unknown
}

const NOTHING_YET: Outcome = {
  blocked: false,
  ret: null,
  errno: null,
  signal: null,
  fields: {},
  messages: [],
  content: null,
  frames: null,
  descriptor: null,
}

export function outcomeOf(part: Partial<Outcome>): Outcome {
  return { ...NOTHING_YET, ...part }
}

export const BLOCKED: Outcome = outcomeOf({ blocked: true })
