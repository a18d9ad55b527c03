/**
 * A Proc run to its end in one go: for the clock gear, where the caller knows that nothing in it has to wait.
 *
 * The usual work of a hot loop (a page is placed, its locks are free, nobody else is in the way) needs no turn of anybody else.
 * Its caller makes sure of that beforehand, and says `atOnce(f(k, ...))` instead of `yield* f(k, ...)`. What the Proc would yield at
 * the end of a quantum is put off until it is over; that it would sleep is a mistake of the caller's, and ends the run.
 *
 * Here that is a matter of meaning only. The build makes it one of speed: main/start/at_once.mjs derives from each generator of the
 * model its twin without yields, and lets `atOnce(f(...))` call the twin, so that no generator is made. The protocol is written
 * once; without the build's help it runs the same, and slower. Docs: docs/decisions/0020-procs-run-at-once.md.
 */
import { fail } from '../base/assert.ts'
import { NOTHING, type Op, type Proc } from './op.ts'

/** The Proc's answer. */
export function atOnce<T>(proc: Proc<T>): T {
  if ((proc as Proc<unknown>) === NOTHING) return undefined as T
  for (;;) {
    const result = proc.next()
    if (result.done === true) return result.value
    passes(result.value)
  }
}

/** What a Proc that runs at once may yield: the end of its quantum, which can wait. */
export function passes(op: Op): void {
  if (op.kind !== 'quantum') fail(`a Proc that was to run at once has to wait (${op.kind})`)
}
