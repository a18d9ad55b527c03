/**
 * A migration on the real kernel as a screen sees it through a session: it becomes the run that is shown, marked, while it goes on.
 *
 * The kernel here is one that tells of a migration of four pages that was written down beforehand.
 */
import { describe, expect, it } from 'vitest'
import { MilestoneCollector } from '../../core/api/milestones.ts'
import { PageState } from '../../core/api/protocol.ts'
import { Session } from '../../core/api/session.ts'
import { RealRun } from '../../core/api/shown_run.ts'
import type { KernelEvents } from '../../core/run/kernel_events.ts'
import type { KernelMigrateOptions, KernelReport } from '../../core/run/kernel_report.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import type { Report } from '../../core/run/report.ts'
import type { HostKernel, KernelWatcher } from '../../core/shell/host_kernel.ts'
import { EventKind, MIGRATION_STATUS, type MigrationStatus } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { small } from '../run/small.ts'
import { MemoryHost } from '../shell/memory_host.ts'

const PAGES = 4096
/** Indices into kernelLanes(1). */
const [MIGRATION, LISTEN, SOURCE_VCPU, DESTINATION_VCPU] = [0, 2, 5, 6]
const state = (atNs: number, status: MigrationStatus) => [
  atNs,
  EventKind.State,
  MIGRATION,
  -1,
  1,
  MIGRATION_STATUS.indexOf(status),
]
/** time, kind, lane, page, count, arg */
const ROWS: readonly (readonly number[])[] = [
  [10, EventKind.Populate, SOURCE_VCPU, 0, 3, 0],
  state(100, 'setup'),
  state(110, 'active'),
  [120, EventKind.Send, MIGRATION, 0, 3, 4104],
  [121, EventKind.Send, MIGRATION, 3, 1, 9],
  [130, EventKind.Receive, LISTEN, 0, 3, 4104],
  [130, EventKind.Receive, LISTEN, 3, 1, 9],
  [140, EventKind.Place, LISTEN, 0, 3, 0],
  [140, EventKind.Place, LISTEN, 3, 1, 1],
  [150, EventKind.VcpuRun, DESTINATION_VCPU, -1, 1, 1],
  state(200, 'completed'),
]
/** Rows [from, to) as a portion. */
function portion(from: number, to: number): KernelEvents {
  const column = (index: number) => ROWS.slice(from, to).map((row) => row[index] ?? 0)
  return {
    timeNs: column(0),
    kind: column(1),
    lane: column(2),
    page: column(3),
    count: column(4),
    arg: column(5),
    missedFromNs: null,
  }
}

const REPORT = {
  machine: 'kernel',
  migration: { status: 'completed', 'total-time': 1e-4 },
  consistency: { verdict: 'consistent' },
  guest: { pages: PAGES },
  kernel: { outcome: 'over' },
  predicted: null,
} as unknown as KernelReport

/** A kernel that tells of the rows up to each of `ends`, one portion each, and then waits until it may go on. */
function steppingKernel(ends: readonly number[]) {
  const steps: (() => void)[] = []
  let said: () => void = () => undefined
  const kernel = {
    migrate: async (_run: unknown, { onEvents, stop }: KernelWatcher) => {
      let from = 0
      for (const to of ends) {
        onEvents?.(portion(from, to))
        from = to
        said()
        await new Promise<void>((resolve) => steps.push(resolve))
        if (stop.aborted) break
      }
      return REPORT
    },
  } as unknown as HostKernel
  const told = () =>
    new Promise<void>((resolve) => {
      said = resolve
    })
  return { kernel, told, goOn: () => steps.shift()?.() }
}

const LINE = 'kernel migrate --mem 16M --vcpus 1 --no-predict --quiet'

/** A session in which a line is under way, up to the first portion. */
async function begun(line: string, ends: readonly number[]) {
  const { kernel, told, goOn } = steppingKernel(ends)
  const session = new Session(Object.assign(new MemoryHost(), { kernel }))
  let errors = ''
  const output = {
    out: () => undefined,
    err: (text: string) => {
      errors += text
    },
  }
  const first = told()
  const ended = session.command(line, output, 100)
  await first
  const next = async () => {
    const said = told()
    goOn()
    await said
  }
  const end = async () => {
    goOn()
    return { code: await ended, errors }
  }
  return { session, next, end }
}

describe('a migration on the real kernel', () => {
  it('becomes the run on the screen when its guest begins to boot, marked, with what is not known as null', async () => {
    const { session, end } = await begun(LINE, [0])
    expect(await session.generation()).toBe(1)
    expect(await session.info()).toMatchObject({ machine: 'kernel', pages: PAGES, bandwidthBitsPerSec: null, rttNs: null })
    expect(await session.status()).toMatchObject({ state: 'running', migration: 'none', rows: 0, startedNs: -1 })
    await end()
  })

  it('is seen while it goes on: status, milestones and picture are those of what was told so far', async () => {
    const { session, next, end } = await begun(LINE, [0, 5, ROWS.length])
    await next()
    expect(await session.status()).toMatchObject({ state: 'running', migration: 'active', startedNs: 100, completedNs: -1 })
    expect((await session.milestones())?.states.map(({ status }) => status)).toEqual(['setup', 'active'])
    const half = await session.frameAtTime(1e9)
    expect(half?.counters).toMatchObject({ pagesSent: 3, zeroPagesSent: 1, pagesInFlight: 4, pagesPlaced: 0 })
    expect(await session.kernelRun()).toBeNull()
    await next()
    expect((await session.frameAtTime(1e9))?.counters).toMatchObject({ pagesInFlight: 0, pagesPlaced: 4 })
    expect(await end()).toEqual({ code: 0, errors: '' })
    expect(await session.status()).toMatchObject({ state: 'done', migration: 'completed', switchedNs: 150, completedNs: 200 })
    expect((await session.kernelRun())?.report.migration.status).toBe('completed')
  })

  it('ends with every page at the destination, one event a page', async () => {
    const { session, end } = await begun(LINE, [ROWS.length])
    await end()
    const frame = await session.frameAtTime(1e9)
    const { resident, zero, missing } = PageState
    expect([...(frame?.destination.subarray(0, 5) ?? [])]).toEqual([resident, resident, resident, zero, missing])
    expect([...(frame?.source.subarray(0, 4) ?? [])]).toEqual([resident, resident, resident, missing])
  })

  it('stays on the screen as far as it came where it was interrupted, and is marked so', async () => {
    const { session, next, end } = await begun(LINE, [0, 5, ROWS.length])
    await next()
    await session.interrupt()
    expect((await end()).code).toBe(130)
    expect(await session.status()).toMatchObject({ state: 'interrupted', migration: 'active', completedNs: -1 })
    expect((await session.frameAtTime(1e9))?.counters.pagesSent).toBe(3)
    expect(await session.kernelRun()).toBeNull()
  })

  it('gives way to the next simulated run, which is marked as such', async () => {
    const { session, end } = await begun(`${LINE}; migrate --guest idle --mem 1M --duration 1ms --quiet`, [ROWS.length])
    await end()
    expect(await session.info()).toMatchObject({ machine: 'simulated' })
    expect([await session.kernelRun(), await session.prediction(10)]).toEqual([null, null])
  })

  it('says how much of it is shown where there was no room for all', async () => {
    const kernel = {
      migrate: async (_run: unknown, { onEvents }: KernelWatcher) => {
        onEvents?.({ ...portion(0, 5), missedFromNs: 2e6 })
        return REPORT
      },
    } as unknown as HostKernel
    const session = new Session(Object.assign(new MemoryHost(), { kernel }))
    let errors = ''
    const output = {
      out: () => undefined,
      err: (text: string) => {
        errors += text
      },
    }
    await session.command(LINE, output, 100)
    expect(errors).toContain('events end after 2.00 ms')
  })

  it('has the run that the model made of it beside it, on a time axis of its own', () => {
    const recorder = new Recorder({ keep: true })
    const simulated = new MigrationRun(small({}), recorder, { lockdep: false })
    while (simulated.advance(10_000) !== 'done');
    const { migration } = simulated.report()
    const predicted = { report: {} as Report, recorder }
    const asked = { options: small({}), isPaced: false, wire: 'unix', watchdogNs: 1e9 } as KernelMigrateOptions
    const run = new RealRun(
      { command: '', asked, recorder: new Recorder({ keep: true }), predicted },
      new MilestoneCollector(recorder),
    )
    const prediction = run.prediction(100)
    expect(((prediction?.completedNs ?? 0) - (prediction?.startedNs ?? 0)) / 1e6).toBeCloseTo(migration['total-time'])
    expect(prediction?.milestones.states.at(-1)?.status).toBe('completed')
    const bytes = prediction?.series.receivedBytes.reduce((sum, one) => sum + one, 0) ?? 0
    expect(bytes).toBeGreaterThanOrEqual(migration.ram['normal-bytes'])
    expect(prediction?.series.receivedBytes.length).toBeLessThanOrEqual(101)
  })
})
