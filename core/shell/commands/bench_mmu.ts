/**
 * `bench mmu`: how many accesses a second of host time the model of the MMU translates.
 *
 * The one suite whose figures are of this host, so the host takes the time (core/run/bench_mmu.ts has no clock). For each seed the
 * stream is run several times after a warm-up. The rate of a run is that of its best section, because this host has other things
 * to do, too, some of them on the other thread of the same core: one section of a millisecond is like the next but for that. The
 * metric is the median over all runs. What share of the accesses hit which level is a function of seed and preset alone.
 */
import { formatCount } from '../../base/units.ts'
import { ZEN5 } from '../../hw/presets/zen5.ts'
import {
  MMU_BENCH_ACCESSES,
  MMU_BENCH_PAGES,
  MMU_STREAMS,
  MmuBench,
  type MmuStream,
  SECTION_ACCESSES,
  SECTIONS,
} from '../../run/bench_mmu.ts'
import { type Metric, summary } from '../../run/statistics.ts'
import type { CommandContext } from '../command.ts'
import { columnsOf } from '../layout.ts'
import { benchRows, type Suite } from './bench_suite.ts'

interface MmuRow {
  readonly name: MmuStream
  readonly options: { readonly cpu: string; readonly pages: number; readonly accesses: number; readonly runs: number }
  readonly seeds: readonly number[]
  readonly unit: 'accesses/s'
  readonly metric: Metric
  /** Of all accesses, those that hit L1, those that hit L2 and those that walked. */
  readonly share: { readonly l1Hits: number; readonly l2Hits: number; readonly walks: number }
}

const QUICK = { seeds: 3, runs: 15 }
const FULL = { seeds: 5, runs: 61 }
/** The compiler has seen enough after these. */
const WARM_UP_RUNS = 5

export const mmuSuite: Suite = {
  word: 'mmu',
  meaning: 'accesses a second through TLBs, walk caches and page tables: zipf, uniform, sequential',
  run: benchMmu,
}

function benchMmu(context: CommandContext): Promise<number> {
  const text = (rows: readonly MmuRow[]) => columnsOf(rows.map(entry), context.terminal.columns)
  return benchRows(context, 'mmu', MMU_STREAMS, (name) => measure(context, name), text)
}

/** Null: interrupted. */
async function measure({ arguments: given, host, stop }: CommandContext, name: MmuStream): Promise<MmuRow | null> {
  const { seeds: count, runs } = given.has('quick') ? QUICK : FULL
  const seeds = Array.from({ length: count }, (_, i) => i + 1)
  const rates: number[] = []
  const sum = { l1Hits: 0, l2Hits: 0, walks: 0 }
  for (const seed of seeds) {
    const bench = new MmuBench(name, ZEN5, seed)
    for (let i = 0; i < WARM_UP_RUNS + runs; i++) {
      const ofRun: number[] = []
      for (let section = 0; section < SECTIONS; section++) {
        const from = host.wallSeconds()
        bench.run(section)
        ofRun.push(SECTION_ACCESSES / (host.wallSeconds() - from))
      }
      if (i >= WARM_UP_RUNS) rates.push(Math.round(Math.max(...ofRun)))
      await host.breathe()
      if (stop.aborted) return null
    }
    sum.l1Hits += bench.counters.l1Hits
    sum.l2Hits += bench.counters.l2Hits
    sum.walks += bench.counters.walks
  }
  const all = sum.l1Hits + sum.l2Hits + sum.walks
  return {
    name,
    options: { cpu: ZEN5.id, pages: MMU_BENCH_PAGES, accesses: MMU_BENCH_ACCESSES, runs },
    seeds,
    unit: 'accesses/s',
    metric: summary(rates),
    share: { l1Hits: sum.l1Hits / all, l2Hits: sum.l2Hits / all, walks: sum.walks / all },
  }
}

function entry({ name, metric, share }: MmuRow): { term: string; meaning: string } {
  const percent = (x: number) => `${(100 * x).toFixed(1)} %`
  return {
    term: name,
    meaning:
      `${formatCount(metric.median)} accesses/s (${formatCount(metric.low)} to ${formatCount(metric.high)}); ` +
      `L1 ${percent(share.l1Hits)}, L2 ${percent(share.l2Hits)}, walks ${percent(share.walks)}`,
  }
}
