/**
 * `did you mean`: the known word that is nearest to a mistyped one, or nothing where none is near.
 *
 * Nearness is edit distance, one slip in three letters. Used for commands, options and their words.
 */
import { distance } from 'fastest-levenshtein'

/** Longer words than this are not typing slips, and comparing them would take quadratic time. */
const LONGEST_SLIP = 64

export function nearest(word: string, known: readonly string[]): string | null {
  if (word.length > LONGEST_SLIP) return null
  const lower = word.toLowerCase()
  let best: string | null = null
  // One slip in three letters, and two in a short word: `migrat`, `--bandwith`, `mvoe`.
  let bound = Math.max(2, Math.floor(lower.length / 3))
  if (lower.length <= 2) bound = 1
  for (const candidate of known) {
    const steps = distance(lower, candidate.toLowerCase())
    if (steps < bound || (steps === bound && best === null)) {
      best = candidate
      bound = steps
    }
  }
  if (best === null && lower.length >= 3) best = known.find((candidate) => candidate.startsWith(lower)) ?? null
  return best
}

/** ` (did you mean X?)`, or nothing. */
export function didYouMean(word: string, known: readonly string[], dashes = ''): string {
  const best = nearest(word, known)
  return best === null ? '' : `; did you mean ${dashes}${best}?`
}
