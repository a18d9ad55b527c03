/**
 * T9: UFFDIO_MOVE against UFFDIO_COPY in a compacting garbage collector: who wins depends on where the pages come from.
 *
 * Source: commit message of UFFDIO_MOVE, 2023: COPY about 20 % better where pages must be allocated; with recycled pages over 40 %
 * less time of the compacting thread (Pixel 6). The load is core/run/compaction.ts.
 */
import { ZEN5 } from '../../hw/presets/zen5.ts'
import { Compaction, type CompactionWay } from '../compaction.ts'
import type { PublishedTable, Values } from './table.ts'

const PAGES = 1024
const FRESH = 'COPY takes less time where pages must be allocated'
const RECYCLED = 'MOVE takes less time with recycled pages'

export const COMPACTION_GAINS: PublishedTable = {
  id: 'T9',
  title: 'UFFDIO_MOVE against UFFDIO_COPY in heap compaction',
  source: 'commit message of UFFDIO_MOVE (2023)',
  stated: ['COPY allocates, copies and gives pages back; MOVE recycles pages, or must have them allocated'],
  ours: [
    `${PAGES} pages, one thread on the Zen 5 preset; the published machine is a phone`,
    'gathering the live objects of a page: one copy of a page',
  ],
  band: '"about 20 %": half to one and a half of it; "over 40 %": three quarters to one and a half of it',
  seeds: 1,
  cells: [
    { name: FRESH, unit: '%', expected: 20, low: 10, high: 30 },
    { name: RECYCLED, unit: '%', expected: 40, low: 30, high: 60 },
  ],
  measure,
}

function* measure(): Generator<string, Values, void> {
  const copy = yield* nsAPage('copy')
  const fresh = yield* nsAPage('move fresh')
  const recycled = yield* nsAPage('move recycled')
  return { [FRESH]: 100 * (1 - copy / fresh), [RECYCLED]: 100 * (1 - recycled / copy) }
}

function* nsAPage(way: CompactionWay): Generator<string, number, void> {
  const run = new Compaction({ way, pages: PAGES, preset: ZEN5 })
  while (run.advance()) yield way
  return run.result()
}
