/**
 * What is checked at the quiet points of a run: the source's page accounting when the guest is about to migrate; and at the
 * end every page against the shadow, and the page accounting of both machines.
 *
 * Each machine that is left answers for the pages that it says it has (aftermath.ts); nothing is invented. Pages that the guest hinted
 * to be free answer for nothing. Pairs with core/checkers.
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
import { aftermath, guestOf } from './aftermath.ts'
import type { MigrationRun } from './migration_run.ts'

/** Before the switch: the guest runs, but nothing of the kernel is under way between two turns. */
export function checkSource(run: MigrationRun, k: Thread): void {
  account(run, k, run.sourceProcess, false, 'page accounting before the migration')
}

/** At the end. */
export function checkAll(run: MigrationRun, k: Thread): void {
  const completed = run.state.status === 'completed'
  const after = aftermath(run)
  run.aftermath = after
  for (const process of [run.sourceProcess, run.destinationProcess]) {
    const { machine } = process
    if (run.incidents.crashed.has(machine)) continue
    const answers = (page: number) => after.of(page) === machine.name && !run.free.isUndefined(page)
    // Where the guest has everything in one place, the other machine answers for nothing.
    if (machine.name === after.guest || after.guest === 'nowhere' || (guestOf(run) === 'destination' && !completed))
      run.check.comparePages(process, run.ramPage, answers, k.nowNs, k.lane)
  }
  compareImage(run, k)
  for (const process of [run.sourceProcess, run.destinationProcess])
    if (!run.incidents.crashed.has(process.machine)) account(run, k, process, completed, 'page accounting at the end')
}

/** A background snapshot: what the destination received is the guest's memory at the moment of the snapshot. */
function compareImage(
  { image, incoming, incidents, destination, destinationProcess, ramPage, check }: MigrationRun,
  k: Thread,
): void {
  if (image === null || incoming === null || incidents.crashed.has(destination)) return
  const isReceived = (page: number) => incoming.map.state(page) === PageMapState.received
  check.comparePages(destinationProcess, ramPage, isReceived, k.nowNs, k.lane, image)
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
