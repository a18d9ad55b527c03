/**
 * The comparison at the end: every page of RAM against the shadow, when all vCPUs stand.
 *
 * Each word that a vCPU owns must be what it stored last, and every other word of the page zero: nobody writes there; or, in a page of a
 * captured process that was written, what the process held there (guest_memfd.ts). What a wrong word is can be read off it (core/guest/own_words.ts); one of another page is looked for there, and is a duplicate if it is in its own place,
 * too. Words carry no order among themselves, so a page of which half is old counts as stale, not as torn.
 */
import { faultOf, ownStamp, ownWordAt, PAGE_WORDS, versionAt, type WordFault } from '../../../core/guest/own_words.ts'
import type { Area } from './area.ts'
import { type Board, PageState } from './board.ts'
import { type ContentOf, NO_CONTENT } from './guest_memfd.ts'
import type { Comparison } from './setup.ts'

/** Searching all pages for a stray word costs; after so many it is only called misplaced. */
const SEARCH_LIMIT = 64

type Cause = WordFault | 'duplicated'

/** `onlyReceived`: a page that has not come is no part of it. */
export function compareAll(area: Area, board: Board, onlyReceived: boolean, contentOf = NO_CONTENT): Comparison {
  const { pages } = board.shape
  const counts: Record<Cause, number> = { lost: 0, stale: 0, misplaced: 0, duplicated: 0 }
  let first: Comparison['first'] = null
  let pagesCompared = 0
  let searches = 0
  for (let page = 0; page < pages; page++) {
    if (onlyReceived && board.states[page] !== PageState.received) continue
    pagesCompared++
    const wrong = wrongWord(area, board, page, contentOf)
    if (wrong === null) continue
    const isSearched = wrong.cause === 'misplaced' && searches++ < SEARCH_LIMIT
    const cause: Cause = isSearched && isElsewhere(area, board, wrong.found) ? 'duplicated' : wrong.cause
    counts[cause]++
    first ??= { page, cause, expected: wrong.expected, found: wrong.found }
  }
  return { pagesCompared, ...counts, first }
}

interface WrongWord {
  readonly cause: WordFault
  /** The version that should be there; what is. */
  readonly expected: number
  readonly found: number
}

/** The first wrong word of a page, or null. */
function wrongWord({ ram }: Area, { versions, shape }: Board, page: number, contentOf: ContentOf): WrongWord | null {
  const { pages, vcpus } = shape
  let isWritten = false
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    for (let word = 0; word < 2; word++) {
      const expected = versions[versionAt(page, word, vcpu, pages)] as number
      isWritten ||= expected > 0
      const found = ram[ownWordAt(page, word, vcpu)] as number
      if (found !== ownStamp(page, word, vcpu, expected))
        return { cause: faultOf(found, page, word, vcpu, expected), expected, found }
    }
  }
  const content = isWritten ? contentOf(page) : null
  const first = page * PAGE_WORDS
  for (let at = vcpus; at < PAGE_WORDS - vcpus; at++) {
    const found = ram[first + at] as number
    if (found !== (content === null ? 0 : content[at])) return { cause: found === 0 ? 'lost' : 'misplaced', expected: 0, found }
  }
  return null
}

/** Whether some page owns this word, and has it. */
function isElsewhere({ ram }: Area, { versions, shape }: Board, found: number): boolean {
  const { pages, vcpus } = shape
  for (let page = 0; page < pages; page++) {
    for (let vcpu = 0; vcpu < vcpus; vcpu++) {
      for (let word = 0; word < 2; word++) {
        const version = versions[versionAt(page, word, vcpu, pages)] as number
        if (version > 0 && ownStamp(page, word, vcpu, version) === found && ram[ownWordAt(page, word, vcpu)] === found)
          return true
      }
    }
  }
  return false
}

/** Pages that the guest has written, of which `counts` says yes. */
export function writtenPages({ versions, shape }: Board, counts: (page: number) => boolean = () => true): number {
  const { pages, vcpus } = shape
  let n = 0
  for (let page = 0; page < pages; page++) {
    let isWritten = false
    for (let vcpu = 0; vcpu < vcpus && !isWritten; vcpu++) {
      const at = versionAt(page, 0, vcpu, pages)
      isWritten = versions[at] !== 0 || versions[at + 1] !== 0
    }
    if (isWritten && counts(page)) n++
  }
  return n
}
