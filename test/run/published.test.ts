/**
 * The published tables as data: cells are named once, bands hold what was published, and everything that is chosen is said.
 *
 * What the simulator makes of them is the business of `bench published`; here one small table is measured.
 */
import { describe, expect, it } from 'vitest'
import { PUBLISHED_TABLES } from '../../core/run/published/catalog.ts'
import { networkShare } from '../../core/run/published/prepaging_gains.ts'
import { within } from '../../core/run/published/table.ts'

it('each table has an id of its own', () => {
  const ids = PUBLISHED_TABLES.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
})

describe.each(PUBLISHED_TABLES.map((table) => [table.id, table] as const))('%s', (_, table) => {
  it('names each cell once, and each band holds what was published', () => {
    const names = table.cells.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const { name, expected, low, high } of table.cells)
      expect([name, low <= expected, expected <= high]).toEqual([name, true, true])
  })

  it('says where it is from, what is ours, and why the bands are as they are', () => {
    for (const text of [table.source, table.band, ...table.ours]) expect(text.length).toBeGreaterThan(10)
    expect(table.seeds).toBeGreaterThan(0)
  })
})

it('the share of network faults is among all first touches, in percent', () => {
  expect(networkShare({ networkFaults: 1, minorFaults: 3 })).toBe(25)
})

it('a factor is the same both ways', () => {
  expect(within(2, 's', [['a', 10]])).toEqual([{ name: 'a', unit: 's', expected: 10, low: 5, high: 20 }])
})
