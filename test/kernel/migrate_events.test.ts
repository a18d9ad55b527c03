/**
 * The events of a migration on this host's kernel, folded as those of a simulated run are: at the end every page is where it
 * should be, and nothing is on the way; and nothing is written down when nobody asks.
 *
 * Needs Linux with userfaultfd permitted; skipped by name elsewhere. The coordinator is the program's own, from its bundle, since it
 * starts the bundle's machines.
 */
import { readdirSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { Fold } from '../../core/api/fold.ts'
import { MilestoneCollector } from '../../core/api/milestones.ts'
import { PageState } from '../../core/api/protocol.ts'
import { RealRun } from '../../core/api/shown_run.ts'
import { type KernelEvents, recordedEvents } from '../../core/run/kernel_events.ts'
import type { KernelMigrateOptions } from '../../core/run/kernel_report.ts'
import { parseArguments } from '../../core/shell/arguments.ts'
import { kernelMigrateCommand, kernelOptions } from '../../core/shell/commands/kernel_migrate.ts'
import type { HostKernel } from '../../core/shell/host_kernel.ts'
import { EventKind } from '../../core/trace/event.ts'
import { EventLog } from '../../main/kernel/migrate/event_log.ts'
import { ensureBuilt } from '../../main/start/fresh.mjs'
import { named, noKernel } from './host.ts'

const PROGRAM = fileURLToPath(new URL('../../dist/cli/', import.meta.url))
const PAGES = 4096

let migrateOnKernel: HostKernel['migrate']

beforeAll(async () => {
  if (noKernel !== null) return
  await ensureBuilt('cli')
  const part = readdirSync(PROGRAM).find((name) => /^coordinator-.*\.mjs$/.test(name))
  migrateOnKernel = (await import(pathToFileURL(`${PROGRAM}${part}`).href)).migrateOnKernel
}, 120_000)

vi.setConfig({ testTimeout: 60_000 })

function options(words: readonly string[]): KernelMigrateOptions {
  return kernelOptions(parseArguments(kernelMigrateCommand, ['--mem', '16M', '--duration', '20ms', ...words]))
}

async function migrated(words: readonly string[]) {
  const run = options(words)
  let events: KernelEvents | null = null
  const onEvents = (all: KernelEvents) => {
    events = all
  }
  const report = await migrateOnKernel(run, { stop: { aborted: false }, onProgress: () => undefined, onEvents })
  if (report === null || events === null) throw new Error('it was stopped')
  // As a socket brings them.
  const crossed = JSON.parse(JSON.stringify(events)) as KernelEvents
  return { run, report, events: crossed, recorder: recordedEvents(crossed) }
}

describe.skipIf(noKernel !== null)(named('the events of a migration on the real kernel'), () => {
  it.each([
    ['post-copy', ['--bandwidth', '1Gbps']],
    ['post-copy with an urgent channel', ['--bandwidth', '500Mbps', '--capability', 'postcopy-preempt=on']],
    ['pre-copy', ['--mode', 'precopy']],
    ['hybrid', ['--mode', 'hybrid', '--postcopy-after', '1passes', '--bandwidth', '500Mbps']],
    ['post-copy over a broken link', ['--bandwidth', '200Mbps', '--inject', 'link-down@postcopy+30ms:20ms', '--recover']],
  ])('of %s end with all of memory at the destination', async (_name, words) => {
    const { run, report, events, recorder } = await migrated(words)
    expect(events.missedFromNs).toBeNull()
    const end = new Fold(recorder, PAGES).at(recorder.rows)
    expect(end.status).toBe('completed')
    const there: readonly number[] = [PageState.resident, PageState.zero]
    expect(end.destination.findIndex((state) => !there.includes(state))).toBe(-1)
    expect(end.source.findIndex((state) => state === PageState.inflight || state === PageState.dirty)).toBe(-1)
    expect(end.counters).toMatchObject({ vcpusBlocked: 0, violations: 0, checksPassed: 1, linksDown: 0 })
    const { ram } = report.migration
    if (!run.options.recover) {
      expect(end.counters).toMatchObject({ pagesInFlight: 0, bytesInFlight: 0, requests: ram['postcopy-requests'] })
      expect([end.counters.pagesSent, end.counters.zeroPagesSent]).toEqual([ram.normal, ram.duplicate])
    }
    const status = new RealRun({ command: '', report }, run, new MilestoneCollector(recorder)).status()
    expect(status.completedNs - status.startedNs).toBeGreaterThan(0)
    expect(status.switchedNs).toBeGreaterThan(status.startedNs)
  })
})

describe('the log of a thread', () => {
  const cells = (rows: number) => new Float64Array(EventLog.cells(rows))

  it('joins pages that follow one another into one event, until the next stamp', () => {
    const log = new EventLog(cells(8))
    for (const page of [3, 4, 5, 9]) log.note(EventKind.Send, page, 4104)
    log.stamp(10)
    log.note(EventKind.Send, 10, 4104)
    log.stamp(20)
    expect(log.read().map(({ atNs, page, count }) => [atNs, page, count])).toEqual([
      [10, 3, 3],
      [10, 9, 1],
      [20, 10, 1],
    ])
  })

  it('shows nothing that was not stamped, and says from when on it had no room', () => {
    const log = new EventLog(cells(2))
    for (const page of [1, 3, 5]) log.note(EventKind.Place, page, 0)
    expect([log.read().length, log.missedNs]).toEqual([0, Number.POSITIVE_INFINITY])
    log.stamp(7)
    expect([log.read().map(({ page }) => page), log.missedNs]).toEqual([[1, 3], 7])
  })

  it('keeps nothing where it has no room at all', () => {
    const log = new EventLog(cells(0))
    log.note(EventKind.Place, 1, 0)
    log.stamp(7)
    expect([log.isKept, log.read(), log.missedNs]).toEqual([false, [], Number.POSITIVE_INFINITY])
  })
})
