/**
 * The reviewer's counter-proposal to the sequence count of areas: a plain counter, and vm_flags = 0 as the mark of death. What it
 * gets right, and what its author was told it misses.
 *
 * The thread: Jerome Glisse to "[PATCH v12 09/31] mm: VMA sequence count", 18 Apr 2019; Laurent Dufour's answer, 19 Apr; Glisse,
 * 22 Apr: "Sorry for the noise", Reviewed-by. docs/decisions/0015 says how the proposal was read.
 * Source: core/mm/kconfig.ts, VmaCount.
 */
import { munmap } from '../../mm/mmap.ts'
import { dataPages } from '../../mm/vm_stat.ts'
import { answers, expectEqual, type History, type Litmus } from '../litmus.ts'
import { emptied, storeAgainstCut, storeAgainstMprotect, storeAgainstMunmap, toucher } from '../scenes.ts'
import { at, P } from '../world.ts'

const PLAIN = { faultPath: 'speculative', variants: { vmaCount: 'plain-counter' } } as const

const HISTORY: History = {
  story:
    'Jerome Glisse, who reviewed version 12 of the speculative page faults, asked whether the complexity of a seqcount_t was needed: a ' +
    'regular counter that goes up when an area is deleted, and vm_flags set to 0 before, would do; a fault samples both when it ' +
    'begins and compares both before it commits. Laurent Dufour answered that some operations do not touch vm_flags at all, ' +
    'resizing for instance; that vm_flags are used later, when the area is cleaned up; and that lockdep on the sequence count ' +
    'finds two begins in one context. Glisse withdrew the question three days later and reviewed the patch as it was.',
  sources: ['"Re: [PATCH v12 09/31] mm: VMA sequence count", Jerome Glisse, 22 Apr 2019, which quotes both'],
}

export const PLAIN_COUNTER: readonly Litmus[] = [
  {
    name: 'plain-counter-against-munmap',
    title: 'With a plain counter and vm_flags = 0, a page is mapped into an area that munmap has taken away',
    result: 'never',
    refs: ['R01', 'R04'],
    protections: ['spec-seq-recheck', 'vma-deferred-free'],
    memoryModel: 'sc',
    start: `
      area [a, a+1), its table there for a neighbour's sake, no page
      toucher: store a            unmapper: munmap a`,
    world: PLAIN,
    history: HISTORY,
    build: (world) => storeAgainstMunmap(world, true),
  },
  {
    name: 'plain-counter-against-mprotect',
    title: 'With flags compared instead of sections, a page stays writable after mprotect has made its area read-only',
    result: 'never',
    refs: ['R02'],
    protections: ['spec-seq-recheck'],
    memoryModel: 'sc',
    start: `
      area [a, a+1) writable, its table there, no page
      toucher: store a            protector: mprotect a, PROT_READ`,
    world: PLAIN,
    history: HISTORY,
    build: storeAgainstMprotect,
  },
  {
    name: 'plain-counter-against-resizing',
    title: 'With a plain counter, a page is mapped at an address that was cut off the area: nothing that is compared has changed',
    result: 'sometimes',
    breaks: 'I-VMA',
    refs: ['R01'],
    protections: [],
    memoryModel: 'sc',
    start: `
      area [a, a+2), its table there, no page
      toucher: store a+1          unmapper: munmap a+1`,
    world: PLAIN,
    history: HISTORY,
    build: storeAgainstCut,
  },
  {
    name: 'plain-counter-against-the-clean-up',
    title: 'The pages of data of an address space (VmData) are not counted down, because the deleted area has no flags any more',
    result: 'always',
    breaks: 'I-LEAK',
    refs: [],
    protections: [],
    memoryModel: 'sc',
    start: `
      area [a, a+1) of data, its table there, no page; VmData 1
      toucher: store a            unmapper: munmap a`,
    world: PLAIN,
    history: HISTORY,
    build(world) {
      const a = emptied(world, 1)
      toucher(world, a)
      world.actor('unmapper', 1, (k) => munmap(k, world.mm, at(a), P))
      const { mm } = world
      return {
        judge: () => expectEqual('I-LEAK', 'pages of data after all was unmapped', dataPages(mm), mm.dataVm),
        outcome: () => answers(world),
      }
    },
  },
]
