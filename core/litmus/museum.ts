/**
 * The museum: every litmus test there is, in the order in which it is shown.
 *
 * A new one goes into a file of its family under tests/, and here only if the family is new.
 */
import type { Litmus } from './litmus.ts'
import { ANON_VMA } from './tests/anon_vma.ts'
import { BARRIERS } from './tests/barriers.ts'
import { COLLAPSE } from './tests/collapse.ts'
import { HANDOVER } from './tests/handover.ts'
import { HUGE } from './tests/huge.ts'
import { MFILL } from './tests/mfill.ts'
import { MOVE } from './tests/move.ts'
import { MULTIFD } from './tests/multifd.ts'
import { PLAIN_COUNTER } from './tests/plain_counter.ts'
import { POSTCOPY } from './tests/postcopy.ts'
import { PRECOPY } from './tests/precopy.ts'
import { REMAP } from './tests/remap.ts'
import { RMAP } from './tests/rmap.ts'
import { SPECULATION } from './tests/speculation.ts'
import { SWAP } from './tests/swap.ts'
import { TLB } from './tests/tlb.ts'
import { URGENT_CHANNEL } from './tests/urgent_channel.ts'
import { USERFAULT } from './tests/userfault.ts'
import { USERFAULT_EVENTS } from './tests/userfault_events.ts'
import { USERFAULT_USE } from './tests/userfault_use.ts'
import { VMA_LIFETIME } from './tests/vma_lifetime.ts'
import { VMA_LOCK } from './tests/vma_lock.ts'

export const MUSEUM: readonly Litmus[] = [
  ...REMAP,
  ...MOVE,
  ...RMAP,
  ...ANON_VMA,
  ...HUGE,
  ...SWAP,
  ...TLB,
  ...USERFAULT,
  ...USERFAULT_EVENTS,
  ...USERFAULT_USE,
  ...MFILL,
  ...COLLAPSE,
  ...PRECOPY,
  ...MULTIFD,
  ...POSTCOPY,
  ...URGENT_CHANNEL,
  ...HANDOVER,
  ...SPECULATION,
  ...VMA_LIFETIME,
  ...VMA_LOCK,
  ...PLAIN_COUNTER,
  ...BARRIERS,
]

/** The litmus test of that name, or null. */
export function litmusNamed(name: string): Litmus | null {
  return MUSEUM.find((litmus) => litmus.name === name) ?? null
}
