/**
 * A migration on the real kernel as a screen sees it through a session: it becomes the run that is shown, marked, with the prediction.
 *
 * The kernel here is one that answers a migration of four pages that was written down beforehand.
 */
import { describe, expect, it } from 'vitest'
import { PageState } from '../../core/api/protocol.ts'
import { Session } from '../../core/api/session.ts'
import type { KernelEvents } from '../../core/run/kernel_events.ts'
import type { KernelReport } from '../../core/run/kernel_report.ts'
import type { HostKernel, KernelWatcher } from '../../core/shell/host_kernel.ts'
import { EventKind, MIGRATION_STATUS, type MigrationStatus } from '../../core/trace/event.ts'
import { MemoryHost } from '../shell/memory_host.ts'

const PAGES = 4
const state = (atNs: number, status: MigrationStatus) => [atNs, EventKind.State, 0, -1, 1, MIGRATION_STATUS.indexOf(status)]
/** time, kind, lane, page, count, arg */
const ROWS: readonly (readonly number[])[] = [
  [10, EventKind.Populate, 2, 0, 3, 0],
  state(100, 'setup'),
  state(110, 'active'),
  [120, EventKind.Send, 0, 0, 3, 4104],
  [121, EventKind.Send, 0, 3, 1, 9],
  [130, EventKind.Receive, 1, 0, 3, 4104],
  [130, EventKind.Receive, 1, 3, 1, 9],
  [140, EventKind.Place, 1, 0, 3, 0],
  [140, EventKind.Place, 1, 3, 1, 1],
  [150, EventKind.VcpuRun, 3, -1, 1, 1],
  state(200, 'completed'),
]
const column = (index: number) => ROWS.map((row) => row[index] ?? 0)
const EVENTS: KernelEvents = {
  lanes: [
    { name: 'migration', machine: 'source' },
    { name: 'listen', machine: 'destination' },
    { name: 'vCPU 0', machine: 'source' },
    { name: 'vCPU 0', machine: 'destination' },
  ],
  timeNs: column(0),
  kind: column(1),
  lane: column(2),
  page: column(3),
  count: column(4),
  arg: column(5),
  missedFromNs: null,
}

const REPORT = {
  machine: 'kernel',
  migration: { status: 'completed', 'total-time': 1e-4 },
  consistency: { verdict: 'consistent' },
  guest: { pages: PAGES },
  kernel: { outcome: 'over' },
  predicted: null,
} as unknown as KernelReport

async function sessionAfter(line: string, events: KernelEvents) {
  const kernel = {
    migrate: async (_run: unknown, { onEvents }: KernelWatcher) => {
      onEvents?.(events)
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
  expect(await session.command(line, output, 100)).toBe(0)
  return { session, errors }
}

const LINE = 'kernel migrate --mem 16M --vcpus 1 --no-predict --quiet'

describe('a migration on the real kernel', () => {
  it('becomes the run on the screen, marked, with what is not known as null', async () => {
    const { session } = await sessionAfter(LINE, EVENTS)
    expect(await session.generation()).toBe(1)
    expect(await session.info()).toMatchObject({ machine: 'kernel', bandwidthBitsPerSec: null, rttNs: null, predictedNs: null })
    expect(await session.status()).toMatchObject({
      state: 'done',
      migration: 'completed',
      startedNs: 100,
      switchedNs: 150,
      completedNs: 200,
    })
  })

  it('ends with every page at the destination, one event a page', async () => {
    const { session } = await sessionAfter(LINE, EVENTS)
    const frame = await session.frameAtTime(1e9)
    const { resident, zero, missing } = PageState
    expect([...(frame?.destination ?? [])]).toEqual([resident, resident, resident, zero])
    expect([...(frame?.source ?? [])]).toEqual([resident, resident, resident, missing])
    expect(frame?.counters).toMatchObject({ pagesSent: 3, zeroPagesSent: 1, pagesPlaced: 4, pagesInFlight: 0 })
  })

  it('gives way to the next simulated run, which is marked as such', async () => {
    const { session } = await sessionAfter(`${LINE}; migrate --guest idle --mem 1M --duration 1ms --quiet`, EVENTS)
    expect(await session.info()).toMatchObject({ machine: 'simulated', predictedNs: null })
    expect(await session.kernelRun()).toBeNull()
  })

  it('says how much of it is shown where there was no room for all', async () => {
    const { errors } = await sessionAfter(LINE, { ...EVENTS, missedFromNs: 2e6 })
    expect(errors).toContain('events end after 2.00 ms')
  })
})
