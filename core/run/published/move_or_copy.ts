/**
 * T9: UFFDIO_MOVE against UFFDIO_COPY: who wins depends on where the page comes from.
 *
 * Sources: Andrea Arcangeli on linux-mm, 5 March 2015 (20150305185112.GL4280@redhat.com): with UFFDIO_COPY instead of UFFDIO_REMAP, as
 * MOVE was called, "the userfault latency decreases -20%"; commit message of UFFDIO_MOVE, 2023, which quotes that as COPY's lead where
 * pages must be allocated, and adds: with recycled pages over 40 % less time of a compacting thread (Pixel 6).
 * The loads are core/run/userfault_latency.ts and core/run/compaction.ts.
 */
import { ZEN5 } from '../../hw/presets/zen5.ts'
import { Compaction, type CompactionWay } from '../compaction.ts'
import { UserfaultLatency } from '../userfault_latency.ts'
import type { PublishedTable, Values } from './table.ts'

const PAGES = 1024
const FRESH = 'COPY: a userfault takes less time where pages must be allocated'
const RECYCLED = 'MOVE: a compaction takes less time with recycled pages'

export const MOVE_OR_COPY: PublishedTable = {
  id: 'T9',
  title: 'UFFDIO_MOVE against UFFDIO_COPY',
  source: 'Arcangeli, linux-mm, 5 March 2015 (latency of a userfault); commit message of UFFDIO_MOVE, 2023 (heap compaction)',
  stated: [
    'latency of a userfault, pages brought by COPY or by MOVE',
    'compaction: COPY allocates, copies and gives pages back; MOVE recycles pages',
  ],
  ours: [
    `${PAGES} pages on the Zen 5 preset; the machine of the first is not named, that of the second is a phone`,
    'userfault: one vCPU that waits, one that computes, one handler, each on a CPU; each page is received into a buffer first',
    'compaction: one thread; gathering the live objects of a page is one copy of a page',
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
  const copied = yield* latencyNs('copy')
  const moved = yield* latencyNs('move')
  const copy = yield* nsAPage('copy')
  const recycled = yield* nsAPage('move recycled')
  return { [FRESH]: 100 * (1 - copied / moved), [RECYCLED]: 100 * (1 - recycled / copy) }
}

function* latencyNs(way: 'copy' | 'move'): Generator<string, number, void> {
  const run = new UserfaultLatency({ way, pages: PAGES, preset: ZEN5 })
  while (run.advance()) yield way
  return run.result()
}

function* nsAPage(way: CompactionWay): Generator<string, number, void> {
  const run = new Compaction({ way, pages: PAGES, preset: ZEN5 })
  while (run.advance()) yield way
  return run.result()
}
