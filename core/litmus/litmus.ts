/**
 * What a litmus test is: two to four actors on a tiny machine, what must never be seen, and which protections keep it so.
 *
 * A litmus test calls the very functions that migrate; it holds no protocol of its own. `result` is said of the outcome that
 * `title` asks about, with every protection on, as in the kernel's own litmus tests. Each of `protections`, left out alone, must
 * let an invariant break; the test of the museum runs every one of them.
 */
import type { Ledger } from '../checkers/ledger.ts'
import type { Violation } from '../explore/program.ts'
import type { ProtectionName } from '../mm/kconfig.ts'
import type { MemoryModel } from '../sync/weak_memory.ts'
import type { World, WorldOptions } from './world.ts'

export type LitmusResult = 'never' | 'sometimes' | 'always'

export interface History {
  /** One paragraph: what happened, when, and how it was mended. */
  readonly story: string
  /** Where it can be read: commit, mail, CVE. */
  readonly sources: readonly string[]
}

export interface Litmus {
  /** Words joined by dashes: `remap-against-reclaim`. */
  readonly name: string
  /** One sentence that names the outcome: "A walk of the reverse map misses a page that is being moved." */
  readonly title: string
  readonly result: LitmusResult
  /** Entries of the race catalogue: R26. */
  readonly refs: readonly string[]
  readonly protections: readonly ProtectionName[]
  /** The weakest memory in which it is clean with all protections on. */
  readonly memoryModel: MemoryModel
  /** What stands at the start, drawn in a few lines of text. */
  readonly start: string
  readonly world: WorldOptions
  /**
   * Of a kernel that has the race, shown as it is: the invariant that breaks, sometimes or always, though nothing is left out. The
   * witness is what the search is for, and says that the test holds.
   */
  readonly breaks?: string
  /** A published bug of a real kernel, for the museum. */
  readonly history?: History
  /** Builds the starting state and spawns the actors. */
  build(world: World): Scene
}

export interface Scene {
  /** All actors done: what is wrong with what they saw, or null. The invariants are checked besides. */
  judge?(): Violation | null
  /** After each step: as `judge`, for what only shows on the way. */
  watch?(): Violation | null
  /** What the actors tell of a guest and its migration, for the invariants that read it. */
  readonly ledger?: Ledger
  /** At the end: what the actors saw, on one line: `mover=4096 walker=1`. */
  outcome(): string
}

/** The drawing of the starting state without the indentation that it has in the source. */
export function drawnLines(start: string): string[] {
  const lines = start.split('\n').filter((line) => line.trim() !== '')
  const indent = Math.min(...lines.map((line) => line.search(/\S/)))
  return lines.map((line) => line.slice(indent))
}

/** The outcome as most litmus tests tell it: each actor's answer. */
export function answers(world: World): string {
  return world.actors
    .filter(({ thread }) => !thread.daemon)
    .map(({ thread, value }) => `${thread.name}=${String(value)}`)
    .join(' ')
}

/** A violation where `found` is not `expected`, or null. */
export function expectEqual(invariant: string, what: string, expected: unknown, found: unknown): Violation | null {
  if (Object.is(expected, found)) return null
  const words = { expected: String(expected), found: String(found) }
  return { invariant, message: `${what}: expected ${words.expected}, found ${words.found}`, ...words }
}
