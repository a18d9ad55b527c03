/**
 * The invariants of the race catalogue (docs/races.md), in the order in which they are checked: those that say most about the
 * cause come first, because one broken invariant often breaks others.
 */
import { isRecording, takeFootprint } from '../engine/footprint.ts'
import { ANSWERS } from './answers.ts'
import { AREAS } from './areas.ts'
import { COUNTS } from './counts.ts'
import { DEADLOCK } from './deadlock.ts'
import { DIRTY_BITMAP } from './dirty_bitmap.ts'
import { FINAL_CONTENT } from './final_content.ts'
import { GLOBAL_ORDER } from './global_order.ts'
import type { Invariant, State } from './invariant.ts'
import { LEAKS } from './leaks.ts'
import { withLiveEntries } from './live_entries.ts'
import { ONE_MACHINE } from './one_machine.ts'
import { PAGE_TABLES } from './page_tables.ts'
import { PERMISSIONS } from './permissions.ts'
import { PLACEMENTS } from './placements.ts'
import { REVERSE_MAP } from './reverse_map.ts'
import { SEQUENCE } from './sequence.ts'
import { TLB } from './tlb.ts'
import { USE_AFTER_FREE } from './use_after_free.ts'
import { WAKE_UPS } from './wake_ups.ts'
import { ZERO_PAGES } from './zero_pages.ts'

export const INVARIANTS: readonly Invariant[] = [
  USE_AFTER_FREE,
  PAGE_TABLES,
  AREAS,
  PERMISSIONS,
  REVERSE_MAP,
  COUNTS,
  TLB,
  SEQUENCE,
  WAKE_UPS,
  DEADLOCK,
  ONE_MACHINE,
  PLACEMENTS,
  ZERO_PAGES,
  DIRTY_BITMAP,
  FINAL_CONTENT,
  GLOBAL_ORDER,
  ANSWERS,
  LEAKS,
]

/** A broken invariant by its id, and the sentence that says how. */
export interface Broken {
  readonly invariant: string
  readonly message: string
}

/** After one step: the first invariant that does not hold, or null. */
export function brokenInFlight(state: State): Broken | null {
  return withLiveEntries(state, firstInFlight)
}

function firstInFlight(state: State): Broken | null {
  for (let i = 0; i < INVARIANTS.length; i++) {
    const message = INVARIANTS[i].inFlight?.(state) ?? null
    if (message !== null) return { invariant: INVARIANTS[i].id, message }
  }
  // A gate that was asked, or a bitmap, may have touched something: that is no part of the next step.
  if (isRecording()) takeFootprint()
  return null
}

/** When all threads are done: the first invariant that does not hold, or null. */
export function brokenAtRest(state: State): Broken | null {
  for (const { id, atRest } of INVARIANTS) {
    const message = atRest?.(state) ?? null
    if (message !== null) return { invariant: id, message }
  }
  return null
}
