import { describe, expect, it } from 'vitest'
import type { Proc } from '../../core/engine/op.ts'
import { NOTHING } from '../../core/engine/op.ts'
import { pmdHuge } from '../../core/hw/pte.ts'
import type { Process } from '../../core/machine/process.ts'
import { HostPage, mapHostPages } from '../../core/migration/host_page.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import { DEFAULT_OPTIONS, RESOLVERS, type Resolver } from '../../core/run/options.ts'
import { EventKind } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { H, hugeRig } from '../mm/huge_rig.ts'

const HUGE = 2 ** 21

function migrated(resolver: Resolver, pageSizeBytes: number): MigrationRun {
  const options = { ...DEFAULT_OPTIONS, guest: 'kv', memBytes: 16 * HUGE, resolver, pageSizeBytes, durationNs: 1_000_000 }
  const run = new MigrationRun(options, new Recorder({ keep: true }), { lockdep: true })
  while (run.advance(1000) !== 'done');
  return run
}

function hugePmds({ mm }: Process, ramPage: number, pages: number): number {
  let huge = 0
  for (let page = ramPage; page < ramPage + pages; page += H) {
    if (pmdHuge(mm.kernel.tables.get(mm.table.pmdSlot(page)))) huge++
  }
  return huge
}

describe.each(RESOLVERS)('a migration of 2 MiB pages, resolver %s', (resolver) => {
  const run = migrated(resolver, HUGE)
  const { recorder } = run
  const rowsOf = (kind: EventKind) =>
    Array.from({ length: recorder.rows }, (_, row) => row).filter((row) => recorder.kind(row) === kind)
  const pagesOf = (kind: EventKind) => rowsOf(kind).map((row) => recorder.page(row))

  it('is consistent, compares every small page, and keeps the books', () => {
    expect([run.state.status, run.check.verdict, run.check.first, run.check.pagesCompared]).toEqual([
      'completed',
      'consistent',
      null,
      run.pages,
    ])
  })

  it('ends with nothing but huge pages on both machines', () => {
    expect(hugePmds(run.sourceProcess, run.ramPage, run.pages)).toBe(16)
    expect(hugePmds(run.destinationProcess, run.ramPage, run.pages)).toBe(16)
    expect(run.destination.kernel.thp.splitPage).toBe(0)
  })

  it('faults far less often than one of 4 KiB pages', () => {
    const faults = (r: MigrationRun) => r.report().faults.total
    expect(faults(run) * 10).toBeLessThan(faults(migrated(resolver, 4096)))
  })

  it('sends the target pages of a host page in order and without a break', () => {
    const sent = pagesOf(EventKind.Send)
    expect(sent.length).toBe(run.pages)
    for (let i = 0; i < sent.length; i += H) {
      const first = sent[i] ?? -1
      expect(first % H).toBe(0)
      expect(sent.slice(i, i + H).every((page, at) => page === first + at)).toBe(true)
    }
  })

  it('places a host page at one moment, after its last target page came', () => {
    const placed = rowsOf(EventKind.Place)
    const lastReceived = new Map(rowsOf(EventKind.Receive).map((row) => [Math.floor(recorder.page(row) / H), row]))
    expect(placed.length).toBe(run.pages)
    for (let i = 0; i < placed.length; i += H) {
      const rows = placed.slice(i, i + H)
      const [first = -1] = rows
      const host = Math.floor(recorder.page(first) / H)
      expect(rows.every((row, at) => recorder.page(row) === host * H + at && recorder.time(row) === recorder.time(first))).toBe(
        true,
      )
      expect(first).toBeGreaterThan(lastReceived.get(host) ?? Number.POSITIVE_INFINITY)
    }
  })

  it('asks for host pages, each once', () => {
    const asked = pagesOf(EventKind.Request)
    expect(asked.length).toBeGreaterThan(0)
    expect(asked.every((page) => page % H === 0)).toBe(true)
    expect(new Set(asked).size).toBe(asked.length)
  })

  it('reports the host page', () => {
    const report = run.report()
    expect([report.migration.ram['page-size'], report.options['page-size']]).toEqual([HUGE, '2m'])
  })
})

describe('a host page that is being received', () => {
  const filled: number[] = []
  const fill = (_k: unknown, offset: number): Proc<void> => {
    filled.push(offset)
    return NOTHING
  }

  it('is complete with its last target page', () => {
    const rig = hugeRig()
    const host = new HostPage(4, fill)
    expect([8, 9, 10, 11].map((page) => rig.call((k) => host.add(k, page, null)))).toEqual([-1, -1, -1, 8])
    expect(filled).toEqual([0, 1, 2, 3])
  })

  it('refuses a target page out of order', () => {
    const rig = hugeRig()
    const host = new HostPage(4, fill)
    rig.call((k) => host.add(k, 8, null))
    expect(() => rig.call((k) => host.add(k, 10, null))).toThrow('target page 10 came where page 9')
  })
})

describe('mapHostPages', () => {
  it('maps small pages at the lowest gap, huge ones aligned and nothing beside them', () => {
    const rig = hugeRig()
    const small = rig.call((k) => mapHostPages(k, rig.process, 3, 'small'))
    const thp = rig.call((k) => mapHostPages(k, rig.process, H, 'thp'))
    const pool = rig.call((k) => mapHostPages(k, rig.process, H, 'hugetlb'))
    expect([small % H, thp % H, pool % H]).toEqual([1, 0, 0])
    expect(rig.areas().map(([start, end]) => end - start)).toEqual([3, H, H])
    rig.store(thp + 5, 1)
    rig.store(pool + 5, 1)
    expect([rig.isHuge(thp), rig.isHuge(pool), rig.audit()]).toEqual([true, true, null])
  })
})
