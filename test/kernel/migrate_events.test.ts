/**
 * The events of a migration on this host's kernel, folded as those of a simulated run are: they come while it goes on, and at the end
 * every page is where it should be, and nothing is on the way.
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
import { type KernelEvents, KernelRecording } from '../../core/run/kernel_events.ts'
import type { KernelMigrateOptions } from '../../core/run/kernel_report.ts'
import { parseArguments } from '../../core/shell/arguments.ts'
import { kernelMigrateCommand, kernelOptions } from '../../core/shell/commands/kernel_migrate.ts'
import type { HostKernel } from '../../core/shell/host_kernel.ts'
import { EventKind, MIGRATION_STATUS } from '../../core/trace/event.ts'
import type { Recorder } from '../../core/trace/recorder.ts'
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

interface Told {
  readonly recorder: Recorder
  readonly portions: readonly KernelEvents[]
  /** Of the migration, in the order in which they were told. */
  readonly states: readonly string[]
}

/** What the watcher is told, and `react`ed to while the migration goes on. */
async function migrated(words: readonly string[], react: (told: Told) => 'stop' | undefined = () => undefined) {
  const run = options(words)
  const recording = new KernelRecording(run.options.vcpus, true)
  const { recorder } = recording
  const portions: KernelEvents[] = []
  const states: string[] = []
  const stop = { aborted: false }
  const onEvents = (given: KernelEvents) => {
    // As a socket brings them.
    const portion = JSON.parse(JSON.stringify(given)) as KernelEvents
    portions.push(portion)
    portion.kind.forEach((kind, row) => {
      if (kind === EventKind.State) states.push(MIGRATION_STATUS[portion.arg[row] as number] ?? '')
    })
    recording.add(portion)
    if (react({ recorder, portions, states }) === 'stop') stop.aborted = true
  }
  const report = await migrateOnKernel(run, { stop, onProgress: () => undefined, onEvents })
  if (report === null) throw new Error('it was stopped before it began')
  return { run, report, recorder, portions, states }
}

describe.skipIf(noKernel !== null)(named('the events of a migration on the real kernel'), () => {
  it.each([
    ['post-copy', ['--bandwidth', '1Gbps']],
    ['post-copy with an urgent channel', ['--bandwidth', '500Mbps', '--capability', 'postcopy-preempt=on']],
    ['pre-copy', ['--mode', 'precopy']],
    ['hybrid', ['--mode', 'hybrid', '--postcopy-after', '1passes', '--bandwidth', '500Mbps']],
    ['post-copy over a broken link', ['--bandwidth', '200Mbps', '--inject', 'link-down@postcopy+30ms:20ms', '--recover']],
  ])('of %s end with all of memory at the destination', async (_name, words) => {
    const { run, report, portions, recorder } = await migrated(words)
    expect(portions.every(({ missedFromNs }) => missedFromNs === null)).toBe(true)
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
    const shown = { command: '', asked: run, recorder, predicted: null }
    const status = new RealRun(shown, new MilestoneCollector(recorder)).status()
    expect(status.completedNs - status.startedNs).toBeGreaterThan(0)
    expect(status.switchedNs).toBeGreaterThan(status.startedNs)
  })

  it('are told while it goes on, each portion later than the one before, the first when the guest begins to boot', async () => {
    let sentBeforeItsEnd = 0
    const { portions } = await migrated(['--bandwidth', '200Mbps'], ({ recorder, states }) => {
      if (!states.includes('completed')) sentBeforeItsEnd = new Fold(recorder, PAGES).at(recorder.rows).counters.pagesSent
      return undefined
    })
    expect(portions[0]?.timeNs).toEqual([])
    expect(sentBeforeItsEnd).toBeGreaterThan(0)
    const times = portions.flatMap(({ timeNs }) => timeNs)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  })

  it('tell of a vCPU that sleeps while it still does', async () => {
    let asleep = 0
    // While nothing comes, whoever wants what is missing sleeps.
    const words = ['--bandwidth', '200Mbps', '--inject', 'link-down@postcopy+30ms:800ms', '--recover']
    const { recorder } = await migrated(words, (told) => {
      const { status, counters } = new Fold(told.recorder, PAGES).at(told.recorder.rows)
      if (status === 'postcopy-paused') asleep = Math.max(asleep, counters.vcpusBlocked)
      return undefined
    })
    expect(asleep).toBeGreaterThan(0)
    expect(new Fold(recorder, PAGES).at(recorder.rows).counters.vcpusBlocked).toBe(0)
  })

  it('of one that is stopped on the way are told up to there', async () => {
    const { report, states, recorder } = await migrated(['--mode', 'precopy', '--bandwidth', '50Mbps'], ({ states }) =>
      states.includes('active') ? 'stop' : undefined,
    )
    expect(report.kernel.outcome).toBe('stopped')
    expect(states).not.toContain('completed')
    const { counters } = new Fold(recorder, PAGES).at(recorder.rows)
    expect(counters.pagesSent).toBeGreaterThan(0)
    expect(counters.checksPassed).toBe(0)
  })
})
