/**
 * I-RUN: at most one machine executes the guest.
 *
 * Neither may run between the source's stop and the destination's start; both never. Reads the ledger.
 */
import type { Invariant, State } from './invariant.ts'

export const ONE_MACHINE: Invariant = {
  id: 'I-RUN',
  claim: 'at most one machine executes the guest',
  inFlight: atMostOne,
  atRest: atMostOne,
}

function atMostOne({ ledger }: State): string | null {
  if (ledger === undefined || ledger.running.size <= 1) return null
  return `the guest runs on ${[...ledger.running].join(' and on ')}`
}
