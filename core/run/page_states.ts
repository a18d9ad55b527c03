/**
 * The state of every guest page right now, read off the machines themselves: what a live map in characters shows.
 *
 * The screen does not use this: it folds recorded events (core/api/fold.ts). The numbers are those of PageState
 * (core/api/protocol.ts), kept here because this layer may not import that one; a test holds them together.
 */

import { ZERO_PFN } from '../hw/phys_mem.ts'
import { PTE_D, ptePfn, ptePresent } from '../hw/pte.ts'
import type { Process } from '../machine/process.ts'
import { PageMapState } from '../migration/page_map.ts'
import type { MigrationRun } from './migration_run.ts'

export const CELL = { missing: 0, zero: 1, resident: 2, inflight: 3, dirty: 4, fault: 5, wp: 6, error: 7 } as const

function cellOf(process: Process, page: number): number {
  const pte = process.mm.table.lookup(page)
  if (!ptePresent(pte)) return CELL.missing
  return ptePfn(pte) === ZERO_PFN ? CELL.zero : CELL.resident
}

function isDirty(process: Process, page: number): boolean {
  return (process.mm.table.lookup(page) & PTE_D) !== 0
}

/** Source: what it has, dirty until sent. Destination: what has arrived, what is asked for, what is on the wire. */
export function paintPages(run: MigrationRun, source: Uint8Array, destination: Uint8Array): void {
  const { outgoing, incoming, ramPage } = run
  const switched = run.state.downtimeStartNs > 0
  for (let page = 0; page < run.pages; page++) {
    const here = cellOf(run.sourceProcess, ramPage + page)
    const sent = switched && outgoing !== null && !outgoing.bitmap.has(page)
    source[page] = here === CELL.resident && !sent && isDirty(run.sourceProcess, ramPage + page) ? CELL.dirty : here
    const there = cellOf(run.destinationProcess, ramPage + page)
    const asked = incoming?.map.state(page) === PageMapState.requested
    destination[page] = there !== CELL.missing ? there : asked ? CELL.fault : sent ? CELL.inflight : CELL.missing
  }
}
