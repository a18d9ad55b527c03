/**
 * A background snapshot: the destination has an image of one moment, and the guest has not noticed more than a short stop.
 */
import { describe, expect, it } from 'vitest'
import { MigrationRun } from '../../core/run/migration_run.ts'
import type { MigrateOptions } from '../../core/run/options.ts'
import { contradiction } from '../../core/run/settings.ts'
import { EventKind, MIGRATION_STATUS } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { finish, MIB, small } from './small.ts'

const CAPABILITIES = {
  ...small().capabilities,
  'postcopy-ram': false,
  'return-path': false,
  'background-snapshot': true,
}
const snapshot = (options: Partial<MigrateOptions> = {}): Partial<MigrateOptions> => ({
  memBytes: 4 * MIB,
  mode: 'precopy',
  guest: 'uniform',
  capabilities: CAPABILITIES,
  ...options,
})

describe('a snapshot of a guest that writes all the time', () => {
  const run = finish(snapshot(), 10_000, true)
  const report = run.report()

  it('goes from setup to active to completed', () => {
    const r = run.recorder
    const statuses: string[] = []
    for (let row = 0; row < r.rows; row++) if (r.kind(row) === EventKind.State) statuses.push(MIGRATION_STATUS[r.arg(row)] ?? '?')
    expect(statuses).toEqual(['setup', 'active', 'completed'])
  })

  it('has the memory of its moment at the destination, each page once, and the guest at the source', () => {
    expect(report.consistency.verdict).toBe('consistent')
    expect(report.consistency.pagesCompared).toBe(2 * run.pages)
    expect(report.migration.ram.normal + report.migration.ram.duplicate).toBe(run.pages)
    expect(report.guest.opsAfter).toBeGreaterThan(0)
    expect(run.image?.version).not.toEqual(run.shadow.version)
  })

  it('stopped the guest for a moment, and let stores wait for their page', () => {
    expect(report.migration.downtime).toBeLessThan(5)
    expect(report.migration['total-time']).toBeGreaterThan(3 * report.migration.downtime)
    const faults = report.migration['background-snapshot']
    expect(faults?.['write-faults']).toBeGreaterThan(100)
    expect(faults?.['write-fault-latency']).toBeGreaterThan(1000)
    expect(report.migration['postcopy-blocktime']).toBe(0)
    expect(run.progress().vcpusBlocked).toBe(0)
  })
})

it.each([
  ['huge pages', { pageSizeBytes: 2 * MIB, memBytes: 8 * MIB }],
  ['a guest that mostly reads', { guest: 'kv:writes=5%' }],
  ['an idle guest, whose memory is mostly zeros', { guest: 'idle' }],
] as const)('is consistent for %s', (_, options) => {
  const { migration, consistency } = finish(snapshot(options)).report()
  expect(migration.status).toBe('completed')
  expect(consistency.verdict).toBe('consistent')
})

it('a snapshot that is cancelled leaves the guest as it was, with every page writable', () => {
  const run = finish(snapshot({ inject: [{ what: 'cancel', state: 'active', afterNs: 8e6, durationNs: null }] }))
  expect(run.state.status).toBe('cancelled')
  expect(run.check.verdict).toBe('consistent')
  const received = run.incoming?.map.received ?? 0
  expect(received).toBeGreaterThan(0)
  expect(received).toBeLessThan(run.pages)
  expect(run.check.pagesCompared).toBe(run.pages + received)
  expect(run.report().guest.opsAfter).toBeGreaterThan(0)
})

it.each([
  ['another page content', 12345, 'misplaced'],
  ['zeros', 0, 'lost'],
] as const)('an image with %s in a page is not consistent', (_, word, cause) => {
  const run = new MigrationRun(small(snapshot({ guest: 'sweep:rate=1GB/s' })), new Recorder({ keep: false }))
  while (run.state.status !== 'completed') run.advance(100)
  const page = run.image?.version.findIndex((v) => v > 0) ?? 0
  const pfn = Math.floor(run.destinationProcess.mm.table.lookup(run.ramPage + page) / 4096)
  run.destination.kernel.phys.words.fill(word, pfn * 2, pfn * 2 + 2)
  while (run.advance(10_000) !== 'done');
  expect(run.check.verdict).toBe('inconsistent')
  expect(run.check.first).toMatchObject({ cause, page })
})

it('an image with a page that is newer than its moment is torn', () => {
  const run = new MigrationRun(small(snapshot({ guest: 'sweep:rate=1GB/s' })), new Recorder({ keep: false }))
  while (run.state.status !== 'completed') run.advance(100)
  const { image, shadow } = run
  const page = shadow.version.findIndex((v, p) => v > (image?.version[p] ?? 0))
  expect(page).toBeGreaterThanOrEqual(0)
  const pfn = Math.floor(run.destinationProcess.mm.table.lookup(run.ramPage + page) / 4096)
  run.destination.kernel.phys.words.set(shadow.words.subarray(page * 2, page * 2 + 2), pfn * 2)
  while (run.advance(10_000) !== 'done');
  expect(run.check.first).toMatchObject({ cause: 'torn', page, expectedVersion: image?.version[page] })
})

it('is refused with hints of free pages, and for memory that cannot be write-protected', () => {
  expect(contradiction(small(snapshot({ freePageHints: true })))).toMatch(/free-page-hints/)
  expect(contradiction(small(snapshot({ resolver: 'copy', pageSizeBytes: 2 * MIB })))).toMatch(/hugetlb/)
  expect(contradiction(small(snapshot()))).toBeNull()
})
