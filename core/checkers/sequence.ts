/**
 * I-SEQ: at rest every sequence count is even: no write section was left open.
 *
 * The counts of all areas in the tree, and the count around the tree itself. Reads only; answers with the first thing wrong,
 * or null.
 */
import type { Process } from '../machine/process.ts'

export function sequencesAreEven(processes: readonly Process[]): string | null {
  for (const { mm } of processes) {
    if (mm.treeSeq.count.sequence % 2 !== 0) return `mm_seq is odd (${mm.treeSeq.count.sequence})`
    for (const vma of mm.tree.areas) {
      const { sequence } = vma.sequence
      if (sequence % 2 !== 0) return `vm_sequence of area [${vma.start},${vma.end}) is odd (${sequence})`
    }
  }
  return null
}
