/**
 * What is checked at the quiet points of a run: the source's page accounting when the guest is about to migrate; and at the
 * end every page against the shadow, and the page accounting of both machines.
 *
 * After a completed migration the destination answers for every page. After a failure it answers for the pages that it
 * says it received: the rest is on the source, and nothing is invented. Pages that the guest hinted to be free answer for nothing. Pairs with core/checkers.
 */
import { entriesLieInAreas } from '../checkers/areas.ts'
import { mapcountEqualsPtes } from '../checkers/counts.ts'
import { everyHugePmdHasItsTable, noFrameLeaks } from '../checkers/leaks.ts'
import { rightsAreThoseOfTheArea } from '../checkers/permissions.ts'
import { rmapFindsEveryMapping } from '../checkers/reverse_map.ts'
import { sequencesAreEven } from '../checkers/sequence.ts'
import { tlbsMatchPageTables } from '../checkers/tlb.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Process } from '../machine/process.ts'
import { PageMapState } from '../migration/page_map.ts'
import type { Kernel } from '../mm/kernel.ts'
import { CHECK_NAME, EventKind } from '../trace/event.ts'
import type { MigrationRun } from './migration_run.ts'

/** Before the switch: the guest runs, but nothing of the kernel is under way between two turns. */
export function checkSource(run: MigrationRun, k: Thread): void {
  account(run, k, run.sourceProcess, false, 'page accounting before the migration')
}

/** At the end. */
export function checkAll(run: MigrationRun, k: Thread): void {
  const { check, incoming } = run
  const completed = run.state.status === 'completed'
  const isHere = (page: number) =>
    (completed || incoming?.map.state(page) === PageMapState.received) && !run.free.isUndefined(page)
  check.comparePages(run.destinationProcess, run.ramPage, isHere, k.nowNs, k.lane)
  for (const process of [run.sourceProcess, run.destinationProcess])
    account(run, k, process, completed, 'page accounting at the end')
}

const ACCOUNTING = [
  [CHECK_NAME.indexOf('mapcount equals PTEs'), mapcountEqualsPtes],
  [CHECK_NAME.indexOf('rmap finds every mapping'), rmapFindsEveryMapping],
  [CHECK_NAME.indexOf('no frame leaks'), noFrameLeaks],
  [CHECK_NAME.indexOf('each huge PMD has its table'), everyHugePmdHasItsTable],
  [CHECK_NAME.indexOf('rights are those of the area'), entriesAndRights],
  [CHECK_NAME.indexOf('TLBs match the page tables'), tlbsMatchPageTables],
  [CHECK_NAME.indexOf('sequence counts are even'), sequencesAreEven],
] as const

/** I-VMA and I-PERM: one row of the trace for both. */
function entriesAndRights(kernel: Kernel): string | null {
  return entriesLieInAreas(kernel) ?? rightsAreThoseOfTheArea(kernel)
}

function account(run: MigrationRun, k: Thread, process: Process, quiescent: boolean, seenBy: string): void {
  for (const [name, check] of ACCOUNTING) {
    // A run cut short may hold frames in operations that never ended.
    if (!quiescent && check === noFrameLeaks) continue
    const wrong = check(process.machine.kernel)
    if (wrong === null) run.recorder.event(k.nowNs, EventKind.CheckPassed, k.lane, -1, name)
    else run.check.accounting(`${process.machine.name}: ${wrong}`, seenBy, k.nowNs, k.lane)
  }
}
