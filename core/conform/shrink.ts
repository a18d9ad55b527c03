/**
 * The shortest sequence that still disagrees: calls are left out as long as that goes on being so.
 *
 * Runs of calls are left out first, half of them, then ever shorter ones, then single calls, again and again until none can go. What is
 * left is told anew on the model each time, so that it is a right case of its own. All candidates of one length are tried in one go.
 */
import type { Sequence } from './random_sequence.ts'

/** Of each candidate, whether it disagrees. */
export type Disagrees = (candidates: readonly Sequence[]) => Promise<readonly boolean[]>

export async function shrink(sequence: Sequence, disagrees: Disagrees): Promise<Sequence> {
  let best = sequence
  let length = Math.ceil(best.calls.length / 2)
  while (length > 0) {
    const candidates = withoutRuns(best, length)
    const at = (await disagrees(candidates)).indexOf(true)
    const found = candidates[at]
    if (found !== undefined) best = found
    // A call that could not go before may go when another one has.
    else if (length === 1) break
    length = found === undefined ? Math.floor(length / 2) : Math.min(length, Math.max(1, best.calls.length))
  }
  return best
}

function withoutRuns(sequence: Sequence, length: number): Sequence[] {
  const { calls, pair } = sequence
  const starts = Array.from({ length: Math.max(0, calls.length - length + 1) }, (_, i) => i)
  const shorter = starts.map((start) => ({ ...sequence, calls: [...calls.slice(0, start), ...calls.slice(start + length)] }))
  // Two at once that disagree one after the other, too, need not be at once.
  return pair === null ? shorter : [{ ...sequence, calls: [...calls, ...pair], pair: null }, ...shorter]
}
