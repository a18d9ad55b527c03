/**
 * I-LIN: every load of the guest returns what the last store before it wrote, in the one global order of its stores.
 *
 * The order is that in which the ledger was told, whatever the machine. The guest's own check of every load against the shadow
 * (guest/vcpu.ts, consistency.ts) says the same of whole migrations, and names the kind of damage.
 */
import type { Invariant, State } from './invariant.ts'

export const GLOBAL_ORDER: Invariant = {
  id: 'I-LIN',
  claim: 'every load returns the last store before it',
  inFlight: loadsAreCurrent,
  atRest: loadsAreCurrent,
}

function loadsAreCurrent({ ledger }: State): string | null {
  const stray = ledger?.strayLoad ?? null
  return stray === null ? null : `a load of page ${stray.page} saw version ${stray.seen}, the newest is ${stray.newest}`
}
