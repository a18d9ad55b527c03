/**
 * I-SEQ: a sequence count is odd while somebody writes, and then only.
 *
 * The counts of all areas in the tree, and the count around the tree itself. All write sections of areas lie inside mmap_lock,
 * held one way or the other, and those of the tree inside the tree's lock; between them the counts are even and nobody is inside.
 * That one context does not begin twice, and ends what it began, core/sync/seqcount.ts asserts.
 */
import type { Kernel } from '../mm/kernel.ts'
import type { Mm } from '../mm/mm.ts'
import type { Seqcount } from '../sync/seqcount.ts'
import { type Invariant, onEachKernel } from './invariant.ts'

/** I-SEQ at rest. */
export function sequencesAreEven({ mms }: Kernel): string | null {
  for (let i = 0; i < mms.length; i++) {
    const wrong = treeIsEven(mms[i]) ?? areasAreEven(mms[i])
    if (wrong !== null) return wrong
  }
  return null
}

export const SEQUENCE: Invariant = {
  id: 'I-SEQ',
  claim: 'a sequence count is odd while somebody writes, and then only',
  inFlight: (state) => onEachKernel(state, inFlight),
  atRest: (state) => onEachKernel(state, sequencesAreEven),
}

function inFlight({ mms }: Kernel): string | null {
  for (let i = 0; i < mms.length; i++) {
    const mm = mms[i]
    const wrong = mm.treeSeq.lock.holder === null ? treeIsEven(mm) : null
    if (wrong !== null) return wrong
    const odd = mm.mmapLock.isHeld ? null : areasAreEven(mm)
    if (odd !== null) return odd
  }
  return null
}

function treeIsEven({ treeSeq }: Mm): string | null {
  const wrong = oddness(treeSeq.count)
  return wrong === '' ? null : `mm_seq ${wrong}`
}

function areasAreEven({ tree }: Mm): string | null {
  for (let vma = tree.first; vma !== null; vma = vma.next) {
    const wrong = oddness(vma.sequence)
    if (wrong !== '') return `vm_sequence of area [${vma.start},${vma.end}) ${wrong}`
  }
  return null
}

function oddness({ sequence, writers }: Seqcount): string {
  if (sequence % 2 !== 0) return `is odd (${sequence})`
  return writers === 0 ? '' : `is even (${sequence}) with ${writers} writers inside`
}
