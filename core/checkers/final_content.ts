/**
 * I-DATA: from the hand-over on, what the destination shows of a page is its newest version; and when the migration is complete,
 * every page that was ever written is there.
 *
 * Until the hand-over the destination may hold older versions: they are sent again, or discarded. Reads the ledger's versions;
 * consistency.ts compares the content itself, word by word.
 */
import type { Invariant, State } from './invariant.ts'

export const FINAL_CONTENT: Invariant = {
  id: 'I-DATA',
  claim: 'after the hand-over the destination shows the newest version of each page',
  inFlight: showsTheNewest,
  atRest: (state) => showsTheNewest(state) ?? hasEveryPage(state),
}

function showsTheNewest({ ledger }: State): string | null {
  if (ledger === undefined || !ledger.handedOver) return null
  const { shown, newest, pages } = ledger
  for (let page = 0; page < pages; page++) {
    if (shown[page] >= 0 && shown[page] !== newest[page])
      return `page ${page} shows version ${shown[page]} at the destination, the newest is ${newest[page]}`
  }
  return null
}

function hasEveryPage({ ledger }: State): string | null {
  if (ledger === undefined || !ledger.completed) return null
  const { shown, newest, pages } = ledger
  for (let page = 0; page < pages; page++)
    if (shown[page] < 0 && newest[page] > 0) return `page ${page}, version ${newest[page]}, never came to the destination`
  return null
}
