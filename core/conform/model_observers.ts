/**
 * What a case may see of the model without changing it: areas, page tables, RSS, and the reverse map of one page.
 *
 * A real host reads the same from /proc/self/maps and /proc/self/pagemap; the reverse map only the model has.
 */
import { fail } from '../base/assert.ts'
import { ptePfn, ptePresent } from '../hw/pte.ts'
import { addressOf } from '../machine/syscall.ts'
import type { Given } from './given.ts'
import type { Actor, ModelWorld } from './model_world.ts'
import { type Outcome, outcomeOf } from './outcome.ts'

export function observe(_world: ModelWorld, { process }: Actor, given: Given): Outcome {
  const { mm } = process
  const first = (given.amount('at', addressOf(0)) - addressOf(0)) / 4096
  const pages = given.amount('length', 0) / 4096
  switch (given.step.call) {
    case 'vmas':
      return outcomeOf({ ret: mm.tree.overlapping(first, first + pages).length })
    case 'pagemap': {
      const frames = Array.from({ length: pages }, (_, i) => frameAt(process, first + i))
      return outcomeOf({ frames, fields: { present: frames.map((frame) => (frame >= 0 ? 1 : 0)) } })
    }
    case 'rss':
      return outcomeOf({ ret: mm.rss })
    case 'rmap':
      return outcomeOf({ fields: reverseMap(process, first, (given.amount('in') - addressOf(0)) / 4096) })
    default:
      return fail(`the model has no call ${given.step.call}`)
  }
}

function frameAt({ mm }: Actor['process'], page: number): number {
  const slot = mm.table.walk(page)
  const pte = slot < 0 ? 0 : mm.kernel.tables.get(slot)
  return ptePresent(pte) ? ptePfn(pte) : -1
}

function reverseMap(process: Actor['process'], page: number, firstOfRegion: number): Record<string, number> {
  const { kernel, tree } = process.mm
  const frame = frameAt(process, page)
  const vma = tree.walk(page)
  if (frame < 0 || vma === null || vma.anonVma === null) return {}
  const { index, mapping, mapcount } = kernel.pages
  return {
    index: index[frame] - vma.indexOf(firstOfRegion),
    own: kernel.anonVmas.at(mapping[frame] >>> 1) === vma.anonVma ? 1 : 0,
    mapcount: mapcount[frame],
    exclusive: kernel.pages.isExclusive(frame) ? 1 : 0,
  }
}
