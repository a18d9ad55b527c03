/**
 * A background snapshot sends each page as it was at its moment, once, whenever the guest stores; and nobody waits for ever.
 */
import { describe, expect, it } from 'vitest'
import type { Thread } from '../../core/hw/cpu.ts'
import { PTE_UFFD_WP, PTE_W } from '../../core/hw/pte.ts'
import { litmusLink, outgoingRam } from '../../core/litmus/migration_scenes.ts'
import { BackgroundSnapshot } from '../../core/migration/background_snapshot.ts'
import { deviceState } from '../../core/migration/device_state.ts'
import { MigrationState } from '../../core/migration/migration_state.ts'
import { StreamMessage } from '../../core/migration/ram_stream.ts'
import { GEARS, Rig } from '../mm/rig.ts'
import { firstBreak, type Scenario } from '../mm/search.ts'

interface Scene {
  readonly sent: () => { page: number; word0: number }[]
  readonly snapshot: BackgroundSnapshot
  readonly take: (k: Thread) => ReturnType<BackgroundSnapshot['take']>
}

/** RAM of `pages` pages from `a` on; `start` lets the vCPUs go on. */
function scene(rig: Rig, a: number, pages: number, start: (k: Thread) => void): Scene {
  const stream = litmusLink('the stream')
  const { process } = rig
  const ram = outgoingRam(process, a, pages, stream)
  ram.dirty.bits.fill()
  const snapshot = new BackgroundSnapshot({
    ram,
    process,
    ramPage: a,
    pages,
    hostPages: 1,
    deviceState: deviceState(8, 2),
    stream,
    state: new MigrationState(rig.recorder),
    *stopVcpus() {},
    startVcpus: start,
    onMoment: () => {},
  })
  function* take(k: Thread) {
    yield* snapshot.prepare(k)
    yield* snapshot.take(k)
  }
  const isPage = (type: number) => type === StreamMessage.Page || type === StreamMessage.Zero
  return { snapshot, take, sent: () => stream.inFlight().filter((m) => isPage(m.type)) }
}

describe.each(GEARS)('in the %s gear', (gear) => {
  it('a page that somebody waits to write goes first; then the others in order; memory is as before in the end', () => {
    const rig = new Rig({ gear, seed: 3 })
    const a = rig.map(4)
    for (const i of [0, 1, 3]) rig.store(a + i, 10 + i, 1)
    const { take, sent, snapshot } = scene(rig, a, 4, () => {
      rig.spawn('vcpu', 1, function* (k) {
        yield* rig.process.writePage(k, a + 2, { word0: 99, word1: 99, version: 1 })
        yield* rig.process.writePage(k, a + 3, { word0: 98, word1: 98, version: 2 })
      })
    })
    rig.call(take)
    const pages = sent()
    expect(pages.map((m) => m.page).sort()).toEqual([0, 1, 2, 3])
    for (const { page, word0 } of pages) expect(word0).toBe([10, 11, 0, 13][page])
    expect([0, 1, 2, 3].map((i) => rig.load(a + i))).toEqual([10, 11, 99, 98])
    for (let i = 0; i < 4; i++) expect(rig.pte(a + i) & PTE_UFFD_WP).toBe(0)
    expect(snapshot.tracking.faults).toBeLessThanOrEqual(2)
    rig.store(a, 7, 1)
    expect(rig.pte(a) & PTE_W).not.toBe(0)
    expect(rig.audit()).toBeNull()
  })
})

it('of what a vCPU waits for, the image has what was there before', () => {
  const rig = new Rig()
  const a = rig.map(64)
  for (let i = 0; i < 64; i++) rig.store(a + i, 100 + i, 1)
  const { take, sent, snapshot } = scene(rig, a, 64, () => {
    rig.spawn('vcpu', 1, function* (k) {
      for (let i = 63; i >= 0; i--) yield* rig.process.writePage(k, a + i, { word0: 1, word1: 1, version: 2 })
    })
  })
  rig.call(take)
  expect(sent()).toHaveLength(64)
  for (const { page, word0 } of sent()) expect(word0).toBe(100 + page)
  expect(snapshot.tracking.faults).toBeGreaterThan(0)
  expect(sent().findIndex((m) => m.page === 63)).toBeLessThan(10)
})

describe('two vCPUs that store while pages are saved', () => {
  const scenario: Scenario = (rig) => {
    const a = rig.map(2)
    // Both CPUs have both pages writable in their TLBs.
    for (const cpu of [1, 2]) for (const page of [0, 1]) rig.store(a + page, 5 + page, cpu)
    const { take, sent } = scene(rig, a, 2, () => {
      for (const cpu of [1, 2])
        rig.spawn(`vcpu ${cpu}`, cpu, function* (k) {
          for (const page of [0, 1])
            yield* rig.process.writePage(k, a + ((page + cpu) % 2), { word0: 70 + cpu, word1: 70 + cpu, version: 9 })
        })
    })
    rig.spawn('migration', 0, take)
    return () => {
      if (sent().length !== 2) return `${sent().length} pages were sent`
      const wrong = sent().find((m) => m.word0 !== 5 + m.page)
      return wrong === undefined ? null : `page ${wrong.page} was sent with ${wrong.word0}`
    }
  }

  it('change no page of the image, and none of them waits for ever (250 schedules)', () => {
    expect(firstBreak(250, {}, scenario)).toBeNull()
  })

  it('change one if old TLB entries are not flushed', () => {
    expect(firstBreak(2000, { without: ['uffd-wp-flush'] }, scenario)?.why).toMatch(/was sent with 7/)
  })
})
