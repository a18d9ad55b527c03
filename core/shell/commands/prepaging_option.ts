/**
 * `--prepaging WORD|FILE`: which pages are pushed next that nobody has asked for.
 *
 * A word names a policy of ours; what has a dot or a slash in it is a file with somebody's own.
 */
import { DEFAULT_OPTIONS } from '../../run/options.ts'
import { ArgumentError } from '../arguments.ts'
import type { Choice } from '../command.ts'
import { shown } from '../layout.ts'
import { didYouMean } from '../suggestion.ts'

export const PREPAGING_CHOICES: readonly Choice[] = [
  { word: DEFAULT_OPTIONS.prepaging, meaning: 'on behind the page that was requested last' },
]

export function prepagingOf(text: string): string {
  const words = PREPAGING_CHOICES.map(({ word }) => word)
  if (words.includes(text)) return text
  if (/[./]/.test(text))
    throw new ArgumentError(`--prepaging ${shown(text)} is not built yet; this version has ${words.join(', ')}`)
  throw new ArgumentError(`--prepaging ${shown(text)} is not one of ${words.join(', ')}${didYouMean(text, words)}`)
}
