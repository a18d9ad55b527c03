/**
 * An announced access in words: `takes anon_vma.rwsem 1`, `writes the pte of page 2`, `stores to page 0`.
 *
 * An access names its object by a number and a label; what the number is (a slot, a frame, an area) follows from the label.
 * Pairs with story.ts.
 */
import { AccessMode, type AccessOp } from '../engine/op.ts'
import { processName } from './snapshot.ts'
import type { World } from './world.ts'

const VERB: Record<AccessOp['mode'], string> = {
  [AccessMode.read]: 'reads',
  [AccessMode.write]: 'writes',
  [AccessMode.acquire]: 'takes',
  [AccessMode.acquireShared]: 'takes for reading',
  [AccessMode.release]: 'leaves',
  [AccessMode.releaseShared]: 'leaves, held for reading,',
}

/** What the first word of a label numbers. */
const NUMBERED: Readonly<Record<string, string>> = {
  page: 'frame',
  vma: 'area',
  anon_vma: 'anon_vma',
  mm: 'mm',
  swap: 'slot',
  cpu: 'CPU',
  pages: 'CPU',
  uffd: 'uffd',
}

export function accessWords(world: World, { mode, object, label, gate }: AccessOp): string {
  const isRead = mode === AccessMode.read
  if (label === 'tlb') return isRead ? `loads page ${object}` : `stores to page ${object}`
  if (label === 'cpu.ipi') return gate === undefined ? `sends an IPI to CPU ${object}` : 'takes the IPI'
  if (label === 'ipi.waiting') return 'has every acknowledgement'
  if (label === 'tlb.flush') return `flushes its own TLB, page ${object}`
  if (label === 'pages.pcp') return 'allocates a frame'
  if (label === 'smp_wmb') return 'write barrier'
  if (gate !== undefined && isRead) return `waits for ${objectWords(world, object, label)}`
  return `${VERB[mode]} ${objectWords(world, object, label)}`
}

function objectWords(world: World, object: number, label: string): string {
  if (label === 'pte' || label === 'pmd') return `the ${label} of ${slotWords(world, object, label)}`
  const [owner = '', ...field] = label.split('.')
  const numbered = NUMBERED[owner]
  if (field.length === 0 || numbered === undefined) return `${label} ${object}`
  return `${label} (${numbered} ${object})`
}

/** The page that a slot of a page table maps. */
function slotWords(world: World, slot: number, level: 'pte' | 'pmd'): string {
  for (const [n, { mm }] of world.processes.entries()) {
    for (let page = 0; page < mm.windowPages; page++) {
      const here = level === 'pte' ? mm.table.walk(page) : mm.table.pmdSlot(page)
      if (here === slot) return `page ${page}${processName(world, n)}`
    }
  }
  return `slot ${slot}`
}
