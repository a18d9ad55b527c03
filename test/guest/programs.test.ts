/**
 * The programs really do what they are called: quicksort sorts, the collector keeps what is alive and uses its pages anew, STREAM's
 * kernels follow one another, compilers take the pages that were freed last; phases alternate; mm_dirty keeps its patterns and its rate.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { CompileWorkload } from '../../core/guest/compile.ts'
import { GcWorkload } from '../../core/guest/gc.ts'
import { MmDirtyWorkload } from '../../core/guest/mm_dirty.ts'
import { PhasesWorkload } from '../../core/guest/phases.ts'
import { QuicksortWorkload, SortingProcess } from '../../core/guest/quicksort.ts'
import { StreamWorkload } from '../../core/guest/stream.ts'
import { BLOCK_ACCESSES } from '../../core/guest/workload.ts'
import { take } from './stream_of.ts'

describe('quicksort', () => {
  it('sorts arrays of any size, in blocks of any size, by accesses to its own pages', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 4, max: 300 }), fc.nat(), (pages, room, seed) => {
        const process = new SortingProcess(100, pages, new Prng(seed))
        const out = new Int32Array(300)
        while (process.sorts === 0) {
          const touched = out.subarray(0, process.run(out, room)).map((a) => a >>> 2)
          expect(Math.min(...touched)).toBeGreaterThanOrEqual(100)
          expect(Math.max(...touched)).toBeLessThan(100 + pages)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('leaves the keys in order when it says that they are sorted', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const process = new SortingProcess(0, 50, new Prng(seed))
      const out = new Int32Array(4)
      let keys: number[] = []
      // Room for one step at a time: the step that says so begins to fill the array anew, so the keys are those before it.
      while (process.sorts === 0) {
        keys = [...process.keys]
        process.run(out, 4)
      }
      expect(keys).toEqual([...keys].sort((a, b) => a - b))
      expect(new Set(keys).size).toBeGreaterThan(390)
    }
  })

  it('goes over all of its array at each level: n log n, not n squared', () => {
    const process = new SortingProcess(0, 1024, new Prng(1))
    const out = new Int32Array(BLOCK_ACCESSES)
    let accesses = 0
    while (process.sorts === 0) accesses += process.run(out, BLOCK_ACCESSES)
    // Ten levels of pages (log2 1024), each read and mostly written, a third more for uneven parts, and three of small ranges.
    expect(accesses / 1024).toBeGreaterThan(15)
    expect(accesses / 1024).toBeLessThan(45)
  })

  it('runs its processes in turn', () => {
    const processes = [0, 1, 2].map((p) => new SortingProcess(p * 100, 100, new Prng(p)))
    const workload = new QuicksortWorkload(300, processes, 1000)
    const touched = [0, 1, 2, 3].map(() => new Set(take(workload, 1).map((a) => Math.floor(a.page / 100))))
    expect(touched).toEqual([new Set([0]), new Set([1]), new Set([2]), new Set([0])])
  })
})

describe('gc', () => {
  const make = (pages: number, live: number, seed = 1) =>
    new GcWorkload({ setPages: pages, semispace: 0.49, live, opsPerSec: 1000 }, 0, pages, new Prng(seed))

  it('keeps every object that hangs in the table through a collection, and moves them together', () => {
    const workload = make(400, 0.3)
    const out = new Int32Array(BLOCK_ACCESSES)
    /** Names by slot; a collection may not change them, an allocation changes one. */
    const names = () => Array.from(workload.placeOf, (place) => (place < 0 ? 0 : (workload.objects[workload.space][place] ?? 0)))
    let compared = 0
    let before = names()
    for (let block = 0; block < 400; block++) {
      workload.fill(out)
      // In the middle of a collection the table tells of both spaces.
      if (workload.isCollecting) continue
      const after = names()
      const newest = Math.max(...before)
      // Names grow: a slot holds what it held, or something younger than all that was there.
      for (const [slot, name] of after.entries()) {
        if (name === before[slot]) compared += name > 0 ? 1 : 0
        else expect(name).toBeGreaterThan(newest)
      }
      const places = [...workload.placeOf].filter((place) => place >= 0)
      expect(new Set(places).size).toBe(places.length)
      before = after
    }
    expect(workload.collections).toBeGreaterThan(20)
    expect(compared).toBeGreaterThan(1000)
  })

  it('writes the same pages over and over: the two spaces take turns', () => {
    const workload = make(400, 0.3)
    // 195 pages each: 399 * 0.49.
    const spaceOf = (page: number) => Math.floor(page / 195)
    const written = (): Set<number> => {
      const pages = new Set<number>()
      const { collections } = workload
      while (workload.collections === collections)
        for (const a of take(workload, 1)) if (a.store && a.page < 390) pages.add(a.page)
      return pages
    }
    written()
    const rounds = [written(), written(), written(), written()]
    for (const pages of rounds) expect(new Set([...pages].map(spaceOf))).toEqual(new Set([0, 1]))
    // A round writes the survivors and all that is allocated behind them: every page of the space, each time.
    const all = new Set(rounds.flatMap((pages) => [...pages]))
    expect(all.size).toBe(390)
  })

  it('does as many accesses a cycle as it says', () => {
    const workload = make(400, 0.3)
    const taken = take(workload, 600)
    // An allocation reads one object (a collection reads one and writes its copy): count table stores behind object stores.
    const tableStores = taken.filter((a) => a.page >= 390).length
    const copies = workload.collections * workload.placeOf.length
    expect(Math.abs(taken.length / (tableStores - copies) / workload.accessesPerOp - 1)).toBeLessThan(0.05)
  })
})

describe('stream', () => {
  it('computes copy, scale, add and triad over its part of the arrays', () => {
    const workload = new StreamWorkload(30, 10, 2, 5, 1000)
    const step = (reads: string, writes: string, page: number) =>
      `${[...reads].map((r) => `${r}${page}`).join('+')}>${writes}${page}`
    const kernel = (reads: string, writes: string) => [2, 3, 4].map((page) => step(reads, writes, page))
    const expected = [...kernel('a', 'c'), ...kernel('c', 'b'), ...kernel('ab', 'c'), ...kernel('bc', 'a')]
    let reads: string[] = []
    const steps: string[] = []
    for (const a of take(workload, 1)) {
      const name = `${'abc'[Math.floor(a.page / 10)]}${a.page % 10}`
      if (!a.store) reads.push(name)
      else {
        steps.push(`${reads.join('+')}>${name}`)
        reads = []
      }
    }
    expect(steps.slice(0, 12)).toEqual(expected)
    expect(steps).toEqual(steps.map((_, i) => expected[i % 12]))
  })
})

describe('compile', () => {
  const options = { setPages: 2000, sourcePages: 500, processPages: 100, unitsPerSec: 1 }

  it('takes the pages that were freed last: few are dirtied by many units', () => {
    const workload = new CompileWorkload(options, 500, 2000, new Prng(1))
    const written = new Set<number>()
    while (workload.units < 8) for (const a of take(workload, 1)) if (a.store) written.add(a.page)
    // A block of 503 faults may begin five units more: thirteen units at most of up to 150 pages, of which 32 stay behind in an object file.
    expect(written.size).toBeLessThanOrEqual(150 + 13 * 32)
    expect(Math.min(...written)).toBeGreaterThanOrEqual(500)
  })

  it('takes them in no order, once many units have given them back in another order than they took them', () => {
    const neighbours = (unitsBefore: number) => {
      const workload = new CompileWorkload({ ...options, unitsBefore }, 500, 2000, new Prng(1))
      const faults = take(workload, 1).filter((a, i, all) => a.store && all[i + 1]?.page === a.page)
      return faults.filter(({ page }, i) => page === (faults[i - 1]?.page ?? -1) + 1).length / faults.length
    }
    expect(neighbours(0)).toBeGreaterThan(0.1)
    expect(neighbours(100)).toBeLessThan(0.05)
  })

  it('reads sources, a few headers most, and never writes them', () => {
    const taken = take(new CompileWorkload(options, 500, 2000, new Prng(1)), 20)
    expect(taken.some((a) => a.page < 500 && a.store)).toBe(false)
    const headers = taken.filter((a) => a.page < 500).map((a) => a.page)
    const count = new Map<number, number>()
    for (const page of headers) count.set(page, (count.get(page) ?? 0) + 1)
    const sorted = [...count.values()].sort((a, b) => b - a)
    const top = sorted.slice(0, 50).reduce((a, b) => a + b, 0)
    expect(top / headers.length).toBeGreaterThan(0.5)
  })

  it('never holds a page twice, however long it builds and however often object files make room', () => {
    const workload = new CompileWorkload({ ...options, setPages: 700 }, 500, 700, new Prng(1))
    let held: number[] = []
    let builds = 0
    for (let block = 0; block < 100; block++) {
      const taken = take(workload, 1)
      for (let i = 0; i < taken.length; ) {
        // A fault is a zeroing store and a store to the same page; a lone store belongs to an object file, which ends the unit.
        const isFault = taken[i]?.page === taken[i + 1]?.page && taken[i + 1]?.store === true
        if (isFault) held.push(taken[i]?.page ?? -1)
        else if (held.length > 0) {
          expect(new Set(held).size).toBe(held.length)
          held = []
          builds++
        }
        i += isFault ? 4 : 1
      }
    }
    expect(builds).toBeGreaterThan(100)
  })
})

describe('phases', () => {
  it('works and flushes by turns, half of each period, and writes only while it works', () => {
    const workload = new PhasesWorkload({ setPages: 500, opsPerSec: 100_000, writes: 0.5, periodNs: 1e9 }, new Prng(1))
    const phases: { writes: boolean; ns: number }[] = []
    const out = new Int32Array(BLOCK_ACCESSES)
    for (let block = 0; block < 300; block++) {
      const n = workload.fill(out)
      const writes = out.subarray(0, n).some((a) => (a & 1) === 1)
      const last = phases.at(-1)
      if (last?.writes === writes) last.ns += n * workload.thinkNs
      else phases.push({ writes, ns: n * workload.thinkNs })
    }
    expect(phases.length).toBeGreaterThan(8)
    for (const [i, phase] of phases.slice(0, -1).entries()) {
      expect(phase.writes).toBe(i % 2 === 0)
      expect(phase.ns).toBeCloseTo(5e8, -3)
    }
  })
})

describe('mm-dirty', () => {
  it('dirties what it is told in each second, in a burst at full speed', () => {
    const workload = new MmDirtyWorkload(10_000, 'random', 5000, new Prng(1))
    const out = new Int32Array(BLOCK_ACCESSES)
    let [pages, ns] = [0, 0]
    const sleeps: number[] = []
    while (sleeps.length < 3) {
      const n = workload.fill(out)
      pages += n
      ns += n * workload.thinkNs
      if (workload.thinkNs > 1e6) sleeps.push(workload.thinkNs)
    }
    expect([pages, ns]).toEqual([15_000, 3e9])
    // 4999 pages of 100 ns, then the sleep.
    expect(sleeps).toEqual([1e9 - 499_900, 1e9 - 499_900, 1e9 - 499_900])
  })

  it('sequential: reads each page before it writes it; random: stores only; once: never writes again', () => {
    const sequential = take(new MmDirtyWorkload(3, 'sequential', 1e9, new Prng(1)), 1)
    const shown = sequential.slice(0, 8).map((a) => `${a.page}${a.store ? 'w' : 'r'}`)
    expect(shown.join(' ')).toBe('0r 0w 1r 1w 2r 2w 0r 0w')
    const random = take(new MmDirtyWorkload(100, 'random', 1e9, new Prng(1)), 5)
    expect(random.every((a) => a.store && a.word === 0)).toBe(true)
    expect(new Set(random.map((a) => a.page)).size).toBe(100)
    expect(take(new MmDirtyWorkload(100, 'once', 1e9, new Prng(1)), 5).some((a) => a.store)).toBe(false)
  })
})
