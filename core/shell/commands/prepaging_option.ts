/**
 * `--prepaging NAME[:key=value,...]|FILE`: which pages are pushed next that nobody has asked for.
 *
 * Names and keys are those of core/migration/prepaging/registry.ts; what has a dot or a slash in it is a file of the user's own.
 */
import { PREPAGING, parsePrepaging } from '../../migration/prepaging/registry.ts'
import { ArgumentError } from '../arguments.ts'
import type { Choice } from '../command.ts'
import { didYouMean } from '../suggestion.ts'

export const PREPAGING_CHOICES: readonly Choice[] = PREPAGING.map(({ name, summary }) => ({ word: name, meaning: summary }))

export function prepagingOf(text: string): string {
  const parsed = parsePrepaging(text)
  if (parsed.ok) return text
  const words = PREPAGING.map(({ name }) => name)
  throw new ArgumentError(`${parsed.message}${parsed.unknown === undefined ? '' : didYouMean(parsed.unknown, words)}`)
}

/** Policies, and behind `dual:` or `multi-pivot:pivots=3,` the policy's keys. */
export function completePrepaging(partial: string): readonly Choice[] {
  const colon = partial.indexOf(':')
  if (colon < 0) return PREPAGING_CHOICES
  const policy = PREPAGING.find(({ name }) => name === partial.slice(0, colon))
  const head = partial.slice(0, Math.max(colon, partial.lastIndexOf(',')) + 1)
  return (policy?.keys ?? [])
    .filter(({ key }) => !head.includes(`:${key}=`) && !head.includes(`,${key}=`))
    .map(({ key, meaning, fallback }) => ({ word: `${head}${key}=`, meaning: `${meaning} [${fallback}]` }))
}
