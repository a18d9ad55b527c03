/**
 * The invariants of the race catalogue, in the order in which they are checked: those that say most about the cause come first,
 * because one broken invariant often breaks others.
 */
import { mapcountEqualsPtes, noFrameLeaks, rmapFindsEveryMapping } from './accounting.ts'
import type { Invariant } from './invariant.ts'
import { rightsAreThoseOfTheArea } from './permissions.ts'
import { sequencesAreEven } from './sequence.ts'
import { tlbsMatchPageTables } from './tlb.ts'

export const INVARIANTS: readonly Invariant[] = [
  { id: 'I-PERM', claim: 'page tables allow what the areas allow', atRest: (s) => rightsAreThoseOfTheArea(s.processes) },
  { id: 'I-RMAP', claim: 'the reverse map finds every mapping', atRest: (s) => rmapFindsEveryMapping(s.processes) },
  { id: 'I-CNT', claim: 'mapcount is the number of PTEs', atRest: (s) => mapcountEqualsPtes(s.processes) },
  { id: 'I-TLB', claim: 'TLBs agree with page tables', atRest: (s) => tlbsMatchPageTables(s.processes) },
  { id: 'I-LEAK', claim: 'no frame is lost', atRest: (s) => noFrameLeaks(s.processes) },
  { id: 'I-SEQ', claim: 'a count is odd while somebody writes, and then only', atRest: (s) => sequencesAreEven(s.processes) },
]
