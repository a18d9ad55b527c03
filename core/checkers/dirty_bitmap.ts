/**
 * I-BMAP: a page whose version is newer than what was sent of it is known to be dirty.
 *
 * Known means: in the bitmap, in a log not yet read, on the way between the two, or in the sender's hands; the ledger's `dirty`
 * answers that. A dirty bit cleared after the page was read, or cleared without a flush, forgets a store.
 */
import type { Invariant, State } from './invariant.ts'

export const DIRTY_BITMAP: Invariant = {
  id: 'I-BMAP',
  claim: 'a page newer than what was sent of it is in the dirty bitmap',
  inFlight: knowsWhatIsNewer,
  atRest: knowsWhatIsNewer,
}

function knowsWhatIsNewer({ ledger }: State): string | null {
  if (ledger === undefined || ledger.dirty === null) return null
  const { lastSent, pages, handedOver } = ledger
  // What the guest stores at the destination is nothing that the source has to send.
  const versions = handedOver ? ledger.atHandOver : ledger.newest
  for (let page = 0; page < pages; page++) {
    if (versions[page] > lastSent[page] && !ledger.dirty(page))
      return `page ${page} has version ${versions[page]}, was sent as version ${lastSent[page]}, and is not dirty`
  }
  return null
}
