/**
 * Prepaging: each policy's exact order of pages in cases drawn by hand after the paper's figures 2 and 3, and for all of them
 * that every page is pushed once, whatever is requested and whatever has to be sent again.
 *
 * A case is written as it happens: numbers are pushed pages, `!n` is a request for page n.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Bitmap } from '../../core/base/bitmap.ts'
import { CheckedPolicy, type ForeignPolicy } from '../../core/migration/prepaging/checked.ts'
import { unsentHostPages } from '../../core/migration/prepaging/host_pages.ts'
import type { PrepagingPolicy, Unsent } from '../../core/migration/prepaging/policy.ts'
import { makePolicy, PREPAGING, parsePrepaging } from '../../core/migration/prepaging/registry.ts'
import { finish } from '../run/small.ts'
import { RESOLVER_NAMES, World } from './world.ts'

function policyOf(text: string): PrepagingPolicy {
  const parsed = parsePrepaging(text)
  const policy = parsed.ok ? makePolicy(parsed.choice) : null
  if (policy === null) throw new Error(`${text} is no policy`)
  return policy
}

function filled(pages: number): Bitmap {
  const bits = new Bitmap(pages)
  bits.fill()
  return bits
}

/** Plays the requests of `told` at their places, and writes down what was pushed between them, to the end. */
function play(policy: PrepagingPolicy, pages: number, told: string): string {
  const unsent = filled(pages)
  const words: string[] = []
  const push = () => {
    const page = policy.next(unsent, 1)
    unsent.clear(page)
    words.push(String(page))
  }
  for (const word of told.split(/\s+/)) {
    if (!word.startsWith('!')) {
      push()
      continue
    }
    words.push(word)
    unsent.clear(Number(word.slice(1)))
    policy.requested(Number(word.slice(1)))
  }
  while (unsent.count > 0) push()
  return words.join(' ')
}

const CASES: readonly { readonly name: string; readonly what: string; readonly pages: number; readonly order: string }[] = [
  { name: 'push-only', what: 'goes on as if nobody had asked', pages: 8, order: '0 1 !5 2 3 4 6 7' },
  { name: 'forward', what: 'goes on behind the request, and then from the start', pages: 10, order: '0 1 !6 7 8 9 2 3 4 5' },
  { name: 'qemu', what: 'is forward', pages: 10, order: '0 1 !6 7 !3 4 5 8 9 2' },
  { name: 'reverse', what: 'goes back from the request, and then from the end', pages: 10, order: '9 8 !4 3 2 1 0 7 6 5' },
  { name: 'dual', what: 'grows both ways, left first, skipping what was sent', pages: 10, order: '0 1 !6 5 7 4 8 3 9 2' },
  // The bubble's left edge has reached page 0 when the right one still has far to go; page 0 is not forgotten.
  { name: 'dual', what: 'goes on to the right when the left end is reached', pages: 10, order: '!2 1 3 0 4 5 6 7 8 9' },
  { name: 'dual', what: 'does not leave page 0 when the pivot is in the upper half', pages: 8, order: '!6 5 7 4 3 2 1 0' },
  { name: 'dual', what: 'counts what was sent as distance', pages: 12, order: '0 !4 3 5 !6 7 8 9 2 10 1 11' },
  // Figure 3 with k = 2: the bubbles around 10 and the start take turns; 17 makes the one at the start be given up. Edges that
  // meet (14 and 15 between 10 and 17) stop, the others go on.
  {
    name: 'multi-pivot:pivots=2',
    what: 'lets the newest bubbles take turns',
    pages: 20,
    order: '0 1 !10 9 11 2 8 12 3 !17 16 18 7 13 15 19 6 14 5 4',
  },
  // With k = 1 the bubble around 10 is given up at its edges 7 and 13; the new one stops at 8, and nobody stands before 13.
  {
    name: 'multi-pivot:pivots=1',
    what: 'pushes what edges that were given up have left',
    pages: 20,
    order: '0 !10 9 11 8 12 !5 4 6 3 7 2 1 13 14 15 16 17 18 19',
  },
  // The sticky pivot skips 4 to 7, that the other bubble has pushed, where an ordinary edge would stop.
  {
    name: 'forward-multi-pivot:pivots=2',
    what: 'takes turns with a sticky pivot at the start',
    pages: 12,
    order: '0 1 !4 5 2 6 3 7 8 9 10 11',
  },
  // 2, then 8: a distance of 6, so 14 and 20 first; then forward behind the last request.
  { name: 'stride', what: 'steps on at the distance of two requests', pages: 24, order: '0 !2 3 !8 14 20 9 10 11 12 13 15 16' },
  // 20 is two strides behind 8: 14 was pushed, and the stride stays 6.
  { name: 'stride', what: 'keeps its stride over what was pushed', pages: 40, order: '!2 !8 14 !20 26 32 38 21 22' },
  { name: 'stride', what: 'goes down as it goes up', pages: 12, order: '!11 !9 7 5 3 1 10 0 2' },
]

describe('the order of pages', () => {
  it.each(CASES)('$name $what: $order', ({ name, pages, order }) => {
    const played = play(policyOf(name), pages, order)
    expect(played.slice(0, order.length)).toBe(order)
    expect(played.split(' ').length).toBe(pages)
  })

  it('stride tells two streams apart, and lets them take turns', () => {
    const order = '!0 !1000 !2 !1003 1006 4 1009 6'
    expect(play(policyOf('stride'), 2000, order).slice(0, order.length)).toBe(order)
  })

  it('is the same in runs of many pages as page by page, for policies that answer runs', () => {
    for (const name of ['push-only', 'forward']) {
      const [unsent, policy] = [filled(100), policyOf(name)]
      unsent.clear(40)
      const runs: number[][] = []
      while (unsent.count > 0) {
        const first = policy.next(unsent, 64)
        runs.push([first, policy.count])
        for (let i = 0; i < policy.count; i++) unsent.clear(first + i)
      }
      expect(runs).toEqual([
        [0, 40],
        [41, 59],
      ])
    }
  })

  it('demand never pushes', () => {
    const policy = policyOf('demand')
    expect([policy.waits, policy.next(filled(4), 1)]).toEqual([true, -1])
  })

  it('is of host pages where those are larger: unsent as long as one of their pages is', () => {
    const bits = new Bitmap(4 * 512)
    bits.set(512 + 3)
    bits.set(3 * 512)
    const unsent = unsentHostPages(bits, 512)
    expect(unsent.length).toBe(4)
    expect([0, 1, 2, 3].map((p) => unsent.has(p))).toEqual([false, true, false, true])
    expect([unsent.nextSet(0), unsent.nextSet(2), unsent.prevSet(3), unsent.prevSet(2), unsent.prevSet(0)]).toEqual([
      1, 3, 3, 1, -1,
    ])
    bits.fill()
    expect([unsent.run(1, 9), unsent.run(0, 2), unsent.nextSet(4)]).toEqual([3, 2, -1])
  })
})

describe('any policy', () => {
  const names = PREPAGING.map((p) => p.name).filter((name) => name !== 'demand')
  const pushing = fc.constantFrom(...names, 'multi-pivot:pivots=1', 'forward-multi-pivot:pivots=1')

  it('pushes every page once, in runs of unsent pages, whatever is requested; also what has to be sent again', () => {
    const step = fc.record({ what: fc.constantFrom('push', 'push', 'push', 'request', 'again'), at: fc.nat(1000) })
    fc.assert(
      fc.property(pushing, fc.integer({ min: 1, max: 90 }), fc.array(step, { maxLength: 80 }), (name, pages, steps) => {
        const unsent = filled(pages)
        const policy = policyOf(name)
        const push = (most: number) => {
          const first = policy.next(unsent, most)
          expect(policy.count).toBeLessThanOrEqual(most)
          expect(policy.count).toBeGreaterThan(0)
          for (let page = first; page < first + policy.count; page++) expect(unsent.clear(page)).toBe(true)
        }
        for (const { what, at } of steps) {
          if (unsent.count === 0) break
          if (what === 'push') push((at % 5) + 1)
          else if (what === 'again') unsent.set(at % pages)
          else if (unsent.clear(at % pages)) policy.requested(at % pages)
        }
        for (let left = unsent.count; left > 0; left = unsent.count) push(1)
        expect(policy.next(unsent, 1)).toBe(-1)
      }),
      { numRuns: 600 },
    )
  })

  it.each(names)('%s: a migration is consistent in either gear, and nothing comes twice', (name) => {
    for (const resolver of RESOLVER_NAMES) {
      const clock = new World({ gear: 'clock', resolver, pages: 64, prepaging: policyOf(name) })
      clock.run()
      expect(clock.fault()).toBeNull()
      for (let seed = 1; seed <= 5; seed++) {
        const step = new World({ gear: 'step', resolver, seed, prepaging: policyOf(name) })
        step.run()
        expect(step.fault()).toBeNull()
      }
    }
  })

  it.each(names)('%s: a run completes, with pages of either size', (name) => {
    const huge = { memBytes: 8 * 2 ** 20, pageSizeBytes: 2 ** 21 }
    for (const options of [{ guest: 'uniform' }, { guest: 'uniform', ...huge }]) {
      const report = finish({ ...options, prepaging: name }).report()
      expect([report.migration.status, report.consistency.verdict]).toEqual(['completed', 'consistent'])
      expect(report.migration.ram.normal + report.migration.ram.duplicate).toBe(report.guest.pages)
    }
  })
})

describe('a run', () => {
  it('by demand sends what was requested and no more, and does not end by itself', () => {
    const options = { guest: 'sweep:set=512k', prepaging: 'demand' }
    expect(() => finish(options)).toThrow('--time-limit')
    const run = finish({ ...options, timeLimitNs: 1e9 })
    const { ram } = run.report().migration
    expect(run.timedOut).toBe(true)
    expect([ram.normal, ram.duplicate, ram['postcopy-requests']]).toEqual([128, 0, 128])
  })

  it('asks sooner where little is queued before a request', () => {
    const latency = (prepaging: string) => finish({ guest: 'uniform', prepaging }).report().migration['postcopy-latency']
    expect(latency('forward:queue=16k')).toBeLessThan(latency('forward') / 2)
  })

  it.each([
    ['bubbles', /^unknown prepaging "bubbles"; known are forward, .*demand, or the path of a file$/],
    ['dual:pivots=3', 'prepaging dual has no key "pivots=3"; its keys are queue, as in multi-pivot:pivots=3,queue=64k'],
    ['demand:queue=1k', 'prepaging demand has no key "queue=1k"; it has none'],
    ['multi-pivot:pivots=0', 'prepaging multi-pivot: pivots=0 must be a number from 1 to 64'],
    ['dual:queue=7', /^prepaging dual: queue=7 .*64M/],
    ['dual:queue=1k,queue=2k', 'prepaging dual: key queue is given twice'],
    ['./mine.mjs', /^the prepaging policy .\/mine.mjs cannot be loaded here/],
  ])('refuses %s in one sentence', (prepaging, message) => {
    expect(() => finish({ prepaging })).toThrow(message)
  })
})

describe("a user's policy", () => {
  const foreign = (next: (unsent: Unsent, most: number) => unknown): ForeignPolicy => ({
    name: './mine.js',
    start: () => {},
    requested: () => {},
    next,
  })
  const first = (answer: unknown) => {
    const policy = new CheckedPolicy(
      foreign(() => answer),
      8,
    )
    const unsent = filled(8)
    unsent.clear(5)
    return [policy.next(unsent, 64), policy.count]
  }

  it('answers a page, or a page and how many; what was sent, or is more than was asked for, is cut off', () => {
    expect([first(3), first([3, 2]), first([3, 100]), first([6, 100])]).toEqual([
      [3, 1],
      [3, 2],
      [3, 2],
      [6, 2],
    ])
  })

  it('has no opinion by -1, and the scan goes on behind the last request', () => {
    const policy = new CheckedPolicy(
      foreign(() => -1),
      8,
    )
    expect(play(policy, 8, '0 1 !5 6')).toBe('0 1 !5 6 7 2 3 4')
  })

  it.each([
    [8, 'answered 8 to next(), no page: pages are 0 to 7, and -1 is no opinion'],
    [-2, 'answered -2'],
    [1.5, 'answered 1.5'],
    [undefined, 'answered undefined'],
    ['3', 'answered a string'],
    [5, 'answered 5 to next(), but page 5 was sent already; unsent.has(5) tells'],
    [[3, 0], 'answered [3, 0] to next(), but a run has one page or more'],
  ])('is refused for the answer %j', (answer, message) => {
    expect(() => first(answer)).toThrow(`the prepaging policy ./mine.js ${message}`)
  })
})
