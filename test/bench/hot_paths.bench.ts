/**
 * Benchmarks of the hot paths: `npm run bench`. Figures and how they were taken stand in docs/performance.md.
 *
 * Each bench does a fixed amount of work an iteration, named in its title, so that operations a second times that amount
 * is the rate. Nothing here asserts a time: machines differ.
 */
import { bench, describe } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { type Proc, write } from '../../core/engine/op.ts'
import { Timeline } from '../../core/engine/timeline.ts'
import { searchDfs } from '../../core/explore/dfs.ts'
import { searchDpor } from '../../core/explore/dpor.ts'
import { searchPct } from '../../core/explore/pct.ts'
import type { Program } from '../../core/explore/program.ts'
import { searchRandom } from '../../core/explore/random.ts'
import { finish } from '../../core/explore/search.ts'
import { LackeyWorkload } from '../../core/guest/lackey.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { Identity, Machine } from '../../core/machine/machine.ts'
import { Process } from '../../core/machine/process.ts'
import { pageOfAddress, sys } from '../../core/machine/syscall.ts'
import type { FaultPath } from '../../core/mm/kernel.ts'
import { MMU_STREAMS, MmuBench, SECTIONS } from '../../core/run/bench_mmu.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import { DEFAULT_OPTIONS, type Resolver } from '../../core/run/options.ts'
import { EventKind } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { stepTasks } from '../engine/tasks.ts'

const PAGES = 16_384
const ACCESSES = 1 << 20

describe('MMU, 1,048,576 accesses over 64 MiB', () => {
  for (const name of MMU_STREAMS) {
    const stream = new MmuBench(name, ZEN5, 1)
    bench(name, () => {
      for (let section = 0; section < SECTIONS; section++) stream.run(section)
    })
  }
})

describe('full faults, 65,536 first stores to anonymous pages, one thread of a threaded process', () => {
  for (const faults of ['classic', 'speculative', 'vma-lock'] as const satisfies readonly FaultPath[]) {
    bench(faults, () => {
      const pages = 4 * PAGES
      const timeline = new Timeline(1e6)
      const recorder = new Recorder({ keep: false })
      const machine = new Machine(
        { name: 'source', preset: ZEN5, frames: pages + 64, windowPages: pages + 64, without: new Set() },
        timeline,
        new Identity(),
        recorder,
      )
      machine.kernel.faultPath = faults
      const process = new Process(machine)
      // A second thread makes the process a threaded one, which the speculative path asks for.
      process.adopt(machine.makeThread('other'))
      const k = machine.makeThread('toucher')
      process.adopt(k)
      machine.start(k, touchAll(k, process, pages))
      while (timeline.run(1000) === 'running');
      if (machine.kernel.faults.total < pages) throw new Error(`${machine.kernel.faults.total} faults < ${pages} pages`)
    })
  }
})

function* touchAll(k: Thread, process: Process, pages: number): Proc<void> {
  const first = pageOfAddress(yield* sys.mmap(k, process, pages * 4096))
  for (let page = first; page < first + pages; page++) yield* process.touch(k, page, true)
}

describe('a whole migration of 64 MiB (16,384 pages), boot and checks included', () => {
  const cases: readonly (readonly [string, Resolver, boolean])[] = [
    ['sweep, remap', 'remap', false],
    ['sweep, move', 'move', false],
    ['sweep, copy', 'copy', false],
    ['sweep, remap, under lockdep', 'remap', true],
  ]
  for (const [name, resolver, lockdep] of cases) {
    bench(name, () => {
      const options = {
        ...DEFAULT_OPTIONS,
        guest: 'sweep',
        memBytes: PAGES * 4096,
        bandwidthBitsPerSec: 100e9,
        resolver,
        durationNs: 0,
      }
      const run = new MigrationRun(options, new Recorder({ keep: false }), { lockdep })
      while (run.advance(1000) !== 'done');
      if (run.check.verdict !== 'consistent') throw new Error('inconsistent')
    })
  }
})

describe('recorder, 1,048,576 events', () => {
  for (const keep of [false, true]) {
    bench(keep ? 'hashed and kept' : 'hashed only', () => {
      const recorder = new Recorder({ keep })
      const lane = recorder.addLane({ name: 'bench', machine: 'source' })
      for (let i = 0; i < ACCESSES; i++) recorder.event(i * 0.75, EventKind.Send, lane, i, 4104)
    })
  }
})

describe('lackey reader, 2 MB of text', () => {
  const lines: string[] = []
  const prng = new Prng(3)
  while (lines.length < 100_000)
    lines.push(`I  0${(0x4000000 + prng.below(1 << 22)).toString(16)},4\n L 0${(0x5000000 + prng.below(1 << 20)).toString(16)},8`)
  const bytes = new TextEncoder().encode(`${lines.join('\n')}\n`)
  const out = new Int32Array(2048)
  bench('parse', () => {
    const reader = new LackeyWorkload('bench', 100, 65_536)
    reader.feed(bytes)
    while (reader.fill(out) > 0);
  })
})

/** Three tasks of four steps on one word: every interleaving is a trace of its own. */
const increments: Program = (scheduler) => {
  const word = { value: 0 }
  const body = function* (): Proc<void> {
    for (let i = 0; i < 4; i++) {
      yield write(0, 'word')
      word.value++
    }
  }
  const execution = stepTasks(scheduler, [body, body, body])
  return { execution, check: () => null, finish: () => null, outcome: () => `${word.value}` }
}

describe('10,000 schedules of 12 steps, each run from the start', () => {
  for (const [name, search] of [
    ['random', searchRandom],
    ['pct', searchPct],
    ['dfs', searchDfs],
    ['dpor', searchDpor],
  ] as const) {
    bench(name, () => {
      const { schedules } = finish(search(increments, { schedules: 10_000 }))
      if (schedules !== 10_000) throw new Error(`${schedules} schedules`)
    })
  }
})
