/**
 * The consistency check finds each planted fault and calls it by its name: lost, stale, torn, misplaced, duplicated; in a
 * load and in the comparison at the end. Memory that is right passes.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConsistencyCheck } from '../../core/checkers/consistency.ts'
import { Shadow, stamp } from '../../core/guest/shadow.ts'
import { EventKind, VIOLATION_CAUSE } from '../../core/trace/event.ts'
import { Rig } from '../mm/rig.ts'

const PAGES = 6

interface Scene {
  rig: Rig
  ram: number
  shadow: Shadow
  check: ConsistencyCheck
  /** The guest stores to word 0 or 1 of a page, in both memories. */
  store(page: number, word: number): void
  /** Puts words into the frame behind the guest's back. */
  plant(page: number, word: number, value: number): void
  compare(): void
}

function scene(): Scene {
  const rig = new Rig()
  const ram = rig.map(PAGES)
  const shadow = new Shadow(PAGES)
  const check = new ConsistencyCheck(shadow, rig.recorder)
  const { words, version } = rig.kernel.phys
  const plant = (page: number, word: number, value: number) => {
    words[rig.frame(ram + page) * 2 + word] = value
  }
  return {
    rig,
    ram,
    shadow,
    check,
    plant,
    store(page, word) {
      const pfn = rig.call((k) => rig.process.touch(k, ram + page, true))
      plant(page, word, shadow.store(page, word))
      version[pfn] = (version[pfn] ?? 0) + 1
    },
    compare: () => check.comparePages(rig.process, ram, () => true, 5_000_000, 0),
  }
}

/** For both words. */
function both(body: (word: number) => void): void {
  for (const word of [0, 1]) body(word)
}

/** All pages written twice, both words. */
function full(): Scene {
  const s = scene()
  for (let round = 0; round < 2; round++) for (let p = 0; p < PAGES; p++) for (const w of [0, 1]) s.store(p, w)
  return s
}

describe('right memory', () => {
  it('passes whatever was stored, pages never touched included', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(PAGES - 1), fc.nat(1)), { maxLength: 30 }), (stores) => {
        const s = scene()
        for (const [page, word] of stores) s.store(page, word)
        s.compare()
        expect(s.check.verdict).toBe('consistent')
        expect(s.check.pagesCompared).toBe(PAGES)
        expect(s.check.first).toBeNull()
        const last = s.rig.recorder.rows - 1
        expect(s.rig.recorder.kind(last)).toBe(EventKind.CheckPassed)
      }),
      { numRuns: 50 },
    )
  })

  it('is asked only for the pages that are here', () => {
    const s = full()
    s.plant(3, 0, 0)
    s.check.comparePages(s.rig.process, s.ram, (page) => page !== 3, 0, 0)
    expect(s.check.verdict).toBe('consistent')
    expect(s.check.pagesCompared).toBe(PAGES - 1)
  })
})

describe('planted in the comparison', () => {
  const PLANTS: readonly (readonly [string, (s: Scene) => void])[] = [
    ['lost', (s) => both((w) => s.plant(2, w, 0))],
    ['lost', (s) => s.rig.kernel.tables.set(s.rig.mm.table.walk(s.ram + 2), 0)],
    ['stale', (s) => both((w) => s.plant(2, w, stamp(2, w + 1)))],
    ['torn', (s) => s.plant(2, 1, stamp(2, 2))],
    ['torn', (s) => s.plant(2, 0, stamp(2, 1))],
    [
      'misplaced',
      (s) => {
        const words = s.shadow.words
        for (const w of [0, 1]) {
          s.plant(2, w, words[4 * 2 + w] ?? 0)
          s.plant(4, w, words[2 * 2 + w] ?? 0)
        }
      },
    ],
    ['duplicated', (s) => both((w) => s.plant(2, w, s.shadow.words[4 * 2 + w] ?? 0))],
    ['misplaced', (s) => both((w) => s.plant(2, w, 12345))],
  ]

  it.each(PLANTS)('%s is found and named with page, versions and time', (cause, plant) => {
    const s = full()
    plant(s)
    s.compare()
    const { first } = s.check
    expect(first).toMatchObject({ cause, page: 2, seenBy: 'the comparison at the end', timeNs: 5_000_000, expectedVersion: 4 })
    expect(first?.message).toContain(`page 0x2 is ${cause}`)
    expect(s.check.verdict).toBe('inconsistent')
    const row = s.rig.recorder.rows - 1
    expect(s.rig.recorder.kind(row)).toBe(EventKind.Violation)
    expect(VIOLATION_CAUSE[s.rig.recorder.arg(row)]).toBe(cause)
  })

  it('a whole older page is stale, also when the store that it misses changed one word only', () => {
    const s = full()
    const [a, b] = [s.shadow.words[4] ?? 0, s.shadow.words[5] ?? 0]
    s.store(2, 0)
    s.plant(2, 0, a)
    s.plant(2, 1, b)
    s.rig.kernel.phys.version[s.rig.frame(s.ram + 2)] = 4
    s.compare()
    expect(s.check.first?.cause).toBe('stale')
  })

  it('every single word replaced by any other page’s, an older or a zero one is found (6 * 2 * 3 = 36)', () => {
    let found = 0
    for (let page = 0; page < PAGES; page++) {
      for (const word of [0, 1]) {
        for (const value of [0, stamp(page, 1 + word), stamp((page + 1) % PAGES, 3 + word)]) {
          const s = full()
          s.plant(page, word, value)
          s.compare()
          expect(s.check.mismatches).toBe(1)
          expect(s.check.first?.page).toBe(page)
          found++
        }
      }
    }
    expect(found).toBe(36)
  })
})

describe('a load', () => {
  it.each([
    ['lost', 0],
    ['stale', stamp(2, 1)],
    ['misplaced', stamp(4, 3)],
  ])('that is %s is called so, with its vCPU, and the first one is kept', (cause, found) => {
    const s = full()
    const load = (page: number) =>
      s.check.load({
        vcpu: 1,
        lane: 0,
        page,
        word: 0,
        expected: s.shadow.words[page * 2] ?? 0,
        found,
        foundVersion: 1,
        timeNs: 7,
      })
    load(2)
    load(3)
    expect(s.check.first).toMatchObject({ cause, page: 2, seenBy: 'a load of vCPU 1', timeNs: 7, foundVersion: 1 })
    expect(s.check.mismatches).toBe(2)
  })
})

describe('accounting', () => {
  it('that failed makes the verdict inconsistent without a page', () => {
    const s = full()
    s.check.accounting('mapcount 2 != 1 ptes (pfn 7)', 'page accounting', 3, 0)
    expect(s.check.verdict).toBe('inconsistent')
    expect(s.check.mismatches).toBe(0)
    expect(s.check.first).toMatchObject({ cause: 'accounting', page: -1 })
  })
})
