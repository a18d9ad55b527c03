/**
 * Assertions of the model's own invariants. A failed assertion is a bug in Pageferry, never an error of its user:
 * the kernel model answers user errors with errno values and never throws.
 *
 * Messages say expected and found: `mapcount 2 != 1 ptes (pfn 7)`.
 */

export class AssertionError extends Error {
  override readonly name: string = 'AssertionError'
}

/** An invariant of the race catalogue is broken; which one, by its id. */
export class InvariantError extends AssertionError {
  constructor(
    /** `I-UAF`, as in docs/races.md. */
    readonly invariant: string,
    message: string,
  ) {
    super(message)
  }
}

export function assert(holds: boolean, message: string): asserts holds {
  if (!holds) throw new AssertionError(message)
}

/**
 * Throws an AssertionError. For hot paths: `if (count < 0) fail(`...`)` builds its message only when it is needed, which
 * `assert` cannot.
 */
export function fail(message: string): never {
  throw new AssertionError(message)
}

/** As `fail`, where the catalogue has a name for what broke: `violate('I-UAF', `...`)`. */
export function violate(invariant: string, message: string): never {
  throw new InvariantError(invariant, message)
}

/** The end of a switch over a union: the compiler proves that it cannot be reached. */
export function unreachable(x: never): never {
  throw new AssertionError(`unreachable: ${String(x)}`)
}
