/**
 * The state of every guest page right now, read off the machines themselves: what a live map in characters shows.
 *
 * The screen does not use this: it folds recorded events (core/api/fold.ts) into the same states (core/trace/page_state.ts).
 */
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { PTE_D, type Pte, ptePfn, ptePresent } from '../hw/pte.ts'
import { PageMapState } from '../migration/page_map.ts'
import { PageState } from '../trace/page_state.ts'
import type { MigrationRun } from './migration_run.ts'

function stateOf(pte: Pte): PageState {
  if (!ptePresent(pte)) return PageState.missing
  return ptePfn(pte) === ZERO_PFN ? PageState.zero : PageState.resident
}

/** Source: what it has, dirty until sent. Destination: what has arrived, and is stale by now, what is asked for, what is on the wire. */
export function paintPages(run: MigrationRun, source: Uint8Array, destination: Uint8Array): void {
  const { outgoing, incoming, ramPage, incidents } = run
  const from = run.sourceProcess.mm.table
  const to = run.destinationProcess.mm.table
  const switched = run.state.downtimeStartNs > 0
  const inPrecopy = run.state.status === 'active'
  for (let page = 0; page < run.pages; page++) {
    const pte = from.lookup(ramPage + page)
    const here = stateOf(pte)
    const sent = switched && outgoing !== null && !outgoing.bitmap.has(page)
    source[page] = here === PageState.resident && !sent && (pte & PTE_D) !== 0 ? PageState.dirty : here
    const there = stateOf(to.lookup(ramPage + page))
    const asked = incoming?.map.state(page) === PageMapState.requested
    if (incidents.poisoned.has(page)) {
      source[page] = PageState.error
      destination[page] = incoming?.map.state(page) === PageMapState.received ? PageState.error : PageState.missing
      continue
    }
    const onTheWay = asked ? PageState.fault : sent ? PageState.inflight : PageState.missing
    const isStale = inPrecopy && ((pte & PTE_D) !== 0 || outgoing?.bitmap.has(page) === true)
    destination[page] = there === PageState.missing ? onTheWay : isStale ? PageState.stale : there
  }
}
