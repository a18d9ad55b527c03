/**
 * I-ZERO: a page that has not come yet is never readable as zeros.
 *
 * After the hand-over the guest's memory at the destination is watched by userfaultfd: what is missing there faults. A page that
 * was written at the source, was not placed in this epoch, and yet maps a frame of zeros, got it from somewhere else: a fault that
 * did not see the registration, a collapse that filled a hole, a child without a descriptor. Reads the ledger and the page table.
 */
import { ptePfn, ptePresent } from '../hw/pte.ts'
import { entryOf } from './entries.ts'
import type { Invariant, State } from './invariant.ts'

export const ZERO_PAGES: Invariant = {
  id: 'I-ZERO',
  claim: 'a page that has not come yet is never readable as zeros',
  inFlight: noFalseZeros,
  atRest: noFalseZeros,
}

function noFalseZeros({ ledger }: State): string | null {
  if (ledger === undefined || !ledger.handedOver || ledger.memory === null) return null
  const { shown, newest, pages, memory } = ledger
  const { mm, first } = memory
  for (let page = 0; page < pages; page++) {
    if (newest[page] === 0 || shown[page] >= 0) continue
    const pte = entryOf(mm, first + page)
    if (ptePresent(pte) && mm.kernel.phys.isZero(ptePfn(pte)))
      return `page ${page}, version ${newest[page]}, has not come and is readable as zeros`
  }
  return null
}
