/**
 * The Perfetto writer: Chrome's JSON trace format, which ui.perfetto.dev and chrome://tracing open.
 *
 * - A machine is a process, a lane is a thread.
 * - A vCPU's sleep on a missing page is a slice (X) from Fault to Wake; the migration's states are slices on a track of
 *   their own; pages sent and placed are counters (C), sampled.
 * - A run on a real kernel says so beside the producer's name.
 * - One fault's way is a flow (s, t, f): fault, request, send, place, wake. The flow's id is the page.
 *
 * Times are in microseconds, as the format asks. Source: Trace Event Format (Chromium project).
 */
import { EVENT_KIND_NAME, EventKind, MIGRATION_STATUS, type RealRun } from './event.ts'
import type { Recorder } from './recorder.ts'
import { describeRow, pageName } from './text.ts'

const PID = { source: 1, destination: 2 } as const
const STATE_TID = 1000
/** One counter sample for so many pages, so that a large run stays a file that opens. */
const COUNTER_EVERY = 64

/** Whole nanoseconds, so that slices which meet in time meet in the file. */
function us(ns: number): string {
  return (Math.round(ns) / 1000).toFixed(3)
}

function duration(fromNs: number, toNs: number): string {
  return us(Math.round(toNs) - Math.round(fromNs))
}

export function* writePerfetto(r: Recorder, real: RealRun | null = null): Generator<string> {
  const about = { producer: 'pageferry', ...(real === null ? {} : { machine: 'kernel', ...real }) }
  let text = `{"displayTimeUnit":"ns","otherData":${JSON.stringify(about)},"traceEvents":[\n`
  const put = (event: string) => {
    text += `${event},\n`
  }
  for (const machine of ['source', 'destination'] as const) {
    put(`{"ph":"M","pid":${PID[machine]},"tid":0,"name":"process_name","args":{"name":"${machine}"}}`)
  }
  r.lanes.forEach((lane, tid) => {
    put(
      `{"ph":"M","pid":${PID[lane.machine]},"tid":${tid + 1},"name":"thread_name","args":{"name":${JSON.stringify(lane.name)}}}`,
    )
  })
  put(`{"ph":"M","pid":1,"tid":${STATE_TID},"name":"thread_name","args":{"name":"migration status"}}`)
  const faultRow = new Map<number, number>()
  const flowOpen = new Set<number>()
  let state = -1
  let stateNs = 0
  let sent = 0
  let placed = 0
  for (let row = 0; row < r.rows; row++) {
    const kind = r.kind(row)
    const page = r.page(row)
    const lane = r.lane(row)
    const ns = r.time(row)
    const at = `"pid":${PID[r.lanes[lane].machine]},"tid":${lane + 1}`
    const flow = (ph: 's' | 't' | 'f') =>
      put(`{"ph":"${ph}","id":${page},"cat":"fault","name":"fault",${at},"ts":${us(ns)}${ph === 'f' ? ',"bp":"e"' : ''}}`)
    switch (kind) {
      case EventKind.State:
        if (state >= 0) put(statusSlice(state, stateNs, ns))
        state = r.arg(row)
        stateNs = ns
        break
      case EventKind.Fault:
        faultRow.set(lane, row)
        if (!flowOpen.has(page)) {
          flowOpen.add(page)
          flow('s')
        }
        break
      case EventKind.Wake: {
        const from = faultRow.get(lane)
        faultRow.delete(lane)
        if (from === undefined) break
        const start = r.time(from)
        const args = `{"page":"0x${page.toString(16)}","write":${r.arg(from) === 1}}`
        put(
          `{"ph":"X","cat":"fault","name":"sleeps on ${pageName(page)}",${at},"ts":${us(start)},"dur":${duration(start, ns)},"args":${args}}`,
        )
        if (flowOpen.delete(page)) flow('f')
        break
      }
      case EventKind.Send:
        if (++sent % COUNTER_EVERY === 0) put(`{"ph":"C","pid":1,"name":"pages sent","ts":${us(ns)},"args":{"pages":${sent}}}`)
        if (flowOpen.has(page)) flow('t')
        break
      case EventKind.Place:
        if (++placed % COUNTER_EVERY === 0)
          put(`{"ph":"C","pid":2,"name":"pages placed","ts":${us(ns)},"args":{"pages":${placed}}}`)
        if (flowOpen.has(page)) flow('t')
        break
      case EventKind.Request:
      case EventKind.RequestReceived:
        put(`{"ph":"X","cat":"request","name":"${EVENT_KIND_NAME[kind]} ${pageName(page)}",${at},"ts":${us(ns)},"dur":0}`)
        if (flowOpen.has(page)) flow('t')
        break
      case EventKind.Violation:
      case EventKind.VcpuRun:
      case EventKind.CheckPassed:
      case EventKind.Pass:
      case EventKind.Incident:
      case EventKind.Throttle:
        put(`{"ph":"i","s":"p","name":${JSON.stringify(describeRow(r, row))},${at},"ts":${us(ns)}}`)
        break
      default:
        break
    }
    if (text.length > 60_000) {
      yield text
      text = ''
    }
  }
  if (state >= 0) put(statusSlice(state, stateNs, Math.max(stateNs, r.endNs)))
  yield `${text}{"ph":"M","pid":1,"tid":0,"name":"process_sort_index","args":{"sort_index":0}}\n]}\n`
}

function statusSlice(state: number, startNs: number, endNs: number): string {
  return `{"ph":"X","cat":"status","name":"${MIGRATION_STATUS[state]}","pid":1,"tid":${STATE_TID},"ts":${us(startNs)},"dur":${duration(startNs, endNs)}}`
}
