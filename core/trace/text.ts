/**
 * The text writer: one line an event, fixed columns, for people, grep and diff.
 *
 *     #   row      time        machine lane      event      what
 *       1042   12.345678 ms    dst vCPU 1        Fault      page 0x1f3 is missing; the vCPU sleeps (write)
 *
 * The trace of a run on a real kernel says so in its second line, and ends without a hash.
 *
 * Pairs with recorder.ts. The sentence of a row (describeRow) is also the screen's narration.
 */
import {
  CHECK_NAME,
  EVENT_KIND_NAME,
  EventKind,
  INCIDENT_NAME,
  isZeroRecord,
  MIGRATION_STATUS,
  type RealRun,
  VIOLATION_CAUSE,
} from './event.ts'
import type { Recorder } from './recorder.ts'

export const TRACE_TEXT_HEADER = '# pageferry trace 1\n'
export const REAL_RUN_HEADER = '# a real run on Linux '

/** `page 0x1f3`; -1 is a page of the migrating process that is no guest memory, such as its receive buffer. */
export function pageName(page: number): string {
  return page < 0 ? 'a page outside guest memory' : `page 0x${page.toString(16)}`
}

function shortTime(ns: number): string {
  return ns >= 1e6 ? `${(ns / 1e6).toFixed(2)} ms` : `${(ns / 1e3).toFixed(1)} us`
}

/** What happened, in one sentence without subject prefix; the lane is named where it matters. */
export function describeRow(r: Recorder, row: number): string {
  const page = pageName(r.page(row))
  const arg = r.arg(row)
  const lane = r.lanes[r.lane(row)]
  switch (r.kind(row)) {
    case EventKind.State:
      return `the migration is ${MIGRATION_STATUS[arg]}`
    case EventKind.Populate:
      return arg === 1 ? `${page} is mapped to the zero page` : `${page} gets its first frame`
    case EventKind.Dirty:
      // On a real kernel it is a look at the log that tells, and it does not tell whose store it was.
      return lane.name.startsWith('vCPU')
        ? `${lane.name} writes ${page}, which was clean`
        : `${page} was written since the last look`
    case EventKind.Send:
      return isZeroRecord(arg) ? `${page} is zero; its record goes out in ${arg} bytes` : `${page} goes out in ${arg} bytes`
    case EventKind.Receive:
      return `${page} arrives`
    case EventKind.Place:
      return arg === 1 ? `${page} is in place at the destination as the zero page` : `${page} is in place at the destination`
    case EventKind.Fault:
      return `${lane.name} ${arg === 1 ? 'writes' : 'reads'} ${page} before it arrived; it sleeps`
    case EventKind.Request:
      return `the destination asks for ${page}`
    case EventKind.RequestReceived:
      return `the source takes the request for ${page}`
    case EventKind.Wake:
      return `${lane.name} runs again after ${shortTime(arg)} on ${page}`
    case EventKind.Shootdown:
      return `the TLB entry of ${page} is flushed on ${arg} other CPU${arg === 1 ? '' : 's'}`
    case EventKind.Violation:
      return `${page} is ${VIOLATION_CAUSE[arg]}`
    case EventKind.VcpuRun:
      return arg === 1 ? `${lane.name} starts` : `${lane.name} stops`
    case EventKind.CheckPassed:
      return `checked: ${CHECK_NAME[arg]}`
    case EventKind.GuestOps:
      return `${lane.name} did ${arg} operations`
    case EventKind.Pass:
      return `the dirty bitmap is synced; ${arg} page${arg === 1 ? ' is' : 's are'} dirty`
    case EventKind.Throttle:
      return `the vCPUs are throttled: they sleep ${arg} % of the time`
    case EventKind.Incident:
      return arg >= 0 ? `injected: ${INCIDENT_NAME[arg]}` : `over: ${INCIDENT_NAME[~arg]}`
  }
}

export function* writeText(r: Recorder, real: RealRun | null = null): Generator<string> {
  yield TRACE_TEXT_HEADER
  let text = ''
  if (real !== null) text = `${REAL_RUN_HEADER}${real.release}: times were measured, and no other run is the same\n`
  for (let row = 0; row < r.rows; row++) {
    const lane = r.lanes[r.lane(row)]
    const time = (r.time(row) / 1e6).toFixed(6).padStart(14)
    const machine = lane.machine === 'source' ? 'src' : 'dst'
    text += `${String(row).padStart(9)} ${time} ms ${machine} ${lane.name.padEnd(12)} ${EVENT_KIND_NAME[r.kind(row)].padEnd(15)} ${describeRow(r, row)}\n`
    if (text.length > 60_000) {
      yield text
      text = ''
    }
  }
  if (real !== null && real.missedFromNs !== null)
    text += `# from ${(real.missedFromNs / 1e6).toFixed(6)} ms on there was no room for more events\n`
  yield `${text}# ${r.rows} events, ${real === null ? `hash ${r.hash()}` : 'no hash'}\n`
}
