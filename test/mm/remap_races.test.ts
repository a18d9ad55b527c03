/**
 * remap_anon_pages with one of its tests or locks left out: a page mapped twice, and two calls in opposite directions.
 */
import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../core/mm/errno.ts'
import { remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { at, P, Rig } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

describe('a page that a child maps too (R31)', () => {
  it('is EBUSY', () => {
    const rig = new Rig()
    rig.place(4, 1)
    rig.place(8, 1)
    rig.store(4, 1)
    rig.fork()
    expect(rig.call((k) => remapAnonPages(k, rig.mm, at(8), at(4), P, 0))).toBe(ERRNO.EBUSY)
    expect(rig.audit()).toBeNull()
  })

  it('is lost to the reverse map, and written in common, if mappings are not counted', () => {
    const rig = new Rig({ without: ['remap-mapcount'] })
    rig.place(4, 1)
    rig.place(8, 1)
    rig.store(4, 1)
    const child = rig.fork()
    expect(rig.call((k) => remapAnonPages(k, rig.mm, at(8), at(4), P, 0))).toBe(P)
    expect(rig.audit()).not.toBeNull()
    rig.store(8, 2)
    expect(rig.load(4, 1, child)).toBe(2)
  })
})

describe('two calls in opposite directions (R35)', () => {
  /** Two tables: pages 4 and 5 lie in one, 600 and 601 in the other. */
  const scenario: Scenario = (rig) => {
    rig.place(4, 2)
    rig.place(600, 2)
    rig.store(4, 1)
    rig.store(601, 2)
    const there = rig.spawn('there', 0, (k) => remapAnonPages(k, rig.mm, at(600), at(4), P, 0))
    const back = rig.spawn('back', 1, (k) => remapAnonPages(k, rig.mm, at(5), at(601), P, 0))
    return () => (there.value === P && back.value === P ? rig.audit() : `${there.value} and ${back.value}`)
  }

  it('both move their page (1000 schedules)', () => {
    expect(firstBreak(1000, {}, scenario)).toBeNull()
  })

  it('wait for one another if tables are locked in the order of the call', () => {
    expect(firstBreak(2000, { without: ['remap-table-order'] }, scenario)?.why).toMatch(/pte_lock|deadlock/)
  })
})
