/**
 * Every guest of the catalog comes over by post-copy complete and right, its operations counted before, during and after.
 *
 * Traces too: several at once, each on its own vCPU, and however the host cuts the files into blocks.
 */
import { describe, expect, it } from 'vitest'
import { FILE_GUESTS, GUESTS } from '../../core/guest/catalog.ts'
import { LackeyWorkload } from '../../core/guest/lackey.ts'
import { type DriveHost, driveRun } from '../../core/run/drive.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import type { RunReport } from '../../core/run/report.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { finish, MIB, small } from './small.ts'

describe.each(GUESTS.filter((g) => !FILE_GUESTS.includes(g)).map((g) => g.name))('%s', (name) => {
  it('comes over complete and right', () => {
    const run = finish({ guest: name, memBytes: 2 * MIB, bandwidthBitsPerSec: 2e8 })
    const report = run.report()
    expect(report.consistency).toMatchObject({ verdict: 'consistent', mismatches: 0, firstViolation: null, pagesCompared: 512 })
    expect(report.migration.status).toBe('completed')
    expect(report.consistency.loadsChecked + run.shadow.written).toBeGreaterThan(0)
  })
})

describe('a guest that has long to wait between two accesses', () => {
  it('stops at once: its thinking is no downtime', () => {
    // 10 accesses a second on two vCPUs: 200 ms between two.
    const slow = finish({ guest: 'uniform:rate=10/s' }).report()
    const fast = finish({ guest: 'uniform:rate=10k/s' }).report()
    expect(slow.migration.downtime).toBeLessThan(fast.migration.downtime + 1)
    expect(slow.consistency.verdict).toBe('consistent')
  })

  it('keeps to its rate', () => {
    const { guest } = finish({ guest: 'uniform:rate=20k/s', durationNs: 1e9 }).report()
    expect(Math.abs(guest.opsAfter - 20_000)).toBeLessThan(20)
  })
})

/** `pages` program pages from `base` on, stored to and loaded from. */
function trace(base: number, pages: number): Uint8Array {
  const lines = Array.from(
    { length: 6 * pages },
    (_, i) => ` ${i % 3 === 0 ? 'S' : 'L'} ${(base + (i % pages) * 4096 + (i % 2) * 4000).toString(16)},8`,
  )
  return new TextEncoder().encode(`==1== Lackey\n${lines.join('\n')}\n`)
}

const FILES: Record<string, Uint8Array> = { 'x/a.lackey': trace(0x4000000, 40), 'x/b.lackey': trace(0x8000000, 70) }

/** A host that gives files in blocks of `blockBytes`. */
function host(blockBytes: number): DriveHost {
  return {
    wallSeconds: () => 0,
    breathe: async () => {},
    async *open(path) {
      const bytes = FILES[path] ?? new Uint8Array()
      for (let i = 0; i < bytes.length; i += blockBytes) yield bytes.slice(i, i + blockBytes)
    },
  }
}

async function drive(guest: string, blockBytes: number, vcpus: number): Promise<{ run: MigrationRun; report: RunReport }> {
  const run = new MigrationRun(small({ guest, vcpus, bandwidthBitsPerSec: 2e8 }), new Recorder({ keep: false }))
  expect(await driveRun(run, guest.split('+'), host(blockBytes), { aborted: false }, () => {})).toBe('done')
  return { run, report: run.report() }
}

describe('traces', () => {
  it('run each on its own vCPU in its own half of memory, and come over right', async () => {
    const { run, report } = await drive('x/a.lackey+x/b.lackey', 1000, 3)
    expect(report.consistency.verdict).toBe('consistent')
    expect(report.guest.touchedPages).toBe(40 + 70)
    const [a, b, idle] = run.vm.vcpus.map((v) => v.workload)
    expect(a).toBeInstanceOf(LackeyWorkload)
    expect(b).toBeInstanceOf(LackeyWorkload)
    expect(idle).toBeNull()
    // 256 pages: the first program's lie in [0, 128), the second's in [128, 256).
    const written = (first: number) => run.shadow.version.subarray(first, first + 128).filter((v) => v > 0).length
    expect([written(0), written(128)]).toEqual([40, 70])
  })

  it('make the same run however the host cuts the files', async () => {
    const [whole, lines, pieces] = await Promise.all([65_536, 1000, 97].map((bytes) => drive('x/a.lackey+x/b.lackey', bytes, 2)))
    expect(lines?.report).toEqual(whole?.report)
    expect(pieces?.report).toEqual(whole?.report)
  })
})
