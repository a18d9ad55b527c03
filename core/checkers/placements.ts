/**
 * I-ONCE: a page is placed once an epoch, from one discard to the next, and only by a packet of that epoch.
 *
 * A second placement overwrites what the guest may have written meanwhile; a packet from before a discard brings back what was
 * thrown away. What was never placed is I-DATA's business. Reads the ledger.
 */
import type { Invariant, State } from './invariant.ts'

export const PLACEMENTS: Invariant = {
  id: 'I-ONCE',
  claim: 'a page is placed once between two discards',
  inFlight: placedOnce,
  atRest: placedOnce,
}

function placedOnce({ ledger }: State): string | null {
  if (ledger === undefined) return null
  const { latePacket, placements, pages, epoch } = ledger
  if (latePacket !== null)
    return `page ${latePacket.page} was placed from a packet of epoch ${latePacket.epoch} in epoch ${latePacket.current}`
  for (let page = 0; page < pages; page++)
    if (placements[page] > 1) return `page ${page} was placed ${placements[page]} times in epoch ${epoch[page]}`
  return null
}
