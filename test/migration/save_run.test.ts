/**
 * A source that looks first: what holds nothing goes as zeros and is left untouched, and no store is lost, whenever it comes.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { roundRobin } from '../../core/explore/schedulers.ts'
import { litmusLink, outgoingRam } from '../../core/litmus/migration_scenes.ts'
import { World } from '../../core/litmus/world.ts'
import { PagemapTracker } from '../../core/migration/pagemap_tracker.ts'
import { StreamMessage } from '../../core/migration/ram_stream.ts'

const PAGES = 6

class Sender {
  readonly world = new World(roundRobin(), new Set())
  readonly ramPage = this.world.map(PAGES)
  readonly stream = litmusLink('the stream')
  readonly ram

  constructor(scans: boolean, written: readonly number[] = []) {
    const { world, ramPage, stream } = this
    for (const page of written) world.store(ramPage + page, 100 + page)
    const tracker = scans ? { tracker: new PagemapTracker(world.process, ramPage, PAGES) } : {}
    this.ram = outgoingRam(world.process, ramPage, PAGES, stream, { ...tracker, looksFirst: true })
    world.call((k) => this.ram.setup(k))
  }

  send(pages: number): void {
    this.world.call((k) => this.ram.iterate(k, pages))
  }

  sync(): void {
    this.world.call((k) => this.ram.sync(k))
  }

  store(page: number, value: number): void {
    this.world.store(this.ramPage + page, value)
  }

  /** As zeros or with content, in order. */
  get sent(): string[] {
    return this.stream.inFlight().map(({ type, page }) => `${page}${type === StreamMessage.Zero ? ' zero' : ''}`)
  }

  /** What the destination would have, and what it should. */
  get copies(): { readonly theirs: number[]; readonly ours: number[] } {
    const theirs = new Array<number>(PAGES).fill(-1)
    for (const { page, word0 } of this.stream.inFlight()) theirs[page] = word0
    return { theirs, ours: theirs.map((_, page) => Math.max(0, this.world.word(this.ramPage + page))) }
  }

  get pagesThere(): number {
    return Array.from({ length: PAGES }, (_, i) => this.world.process.mm.table.lookup(this.ramPage + i)).filter(
      (pte) => pte % 2 === 1,
    ).length
  }
}

describe('what holds nothing', () => {
  it('goes as zeros, and nothing is mapped for it', () => {
    const sender = new Sender(false, [1, 4])
    expect(sender.pagesThere).toBe(2)
    sender.send(PAGES)
    expect(sender.sent).toEqual(['0 zero', '1', '2 zero', '3 zero', '4', '5 zero'])
    expect(sender.pagesThere).toBe(2)
  })

  it('is read where a marker of write protection hides that nothing is there', () => {
    const sender = new Sender(true, [1])
    sender.send(PAGES)
    expect(sender.sent).toEqual(['0 zero', '1', '2 zero', '3 zero', '4 zero', '5 zero'])
    expect(sender.pagesThere).toBe(PAGES)
  })
})

describe.each([
  ['the log', false],
  ['PAGEMAP_SCAN', true],
])('with %s', (_, scans) => {
  it('a store between the look and the page finds its way in the next pass', () => {
    const sender = new Sender(scans)
    sender.send(1)
    sender.store(3, 7)
    sender.send(PAGES)
    sender.sync()
    sender.send(PAGES)
    expect(sender.copies.theirs).toEqual(sender.copies.ours)
    expect(sender.copies.theirs[3]).toBe(7)
  })

  it('a sync ends the run that was looked at: its marks are gone', () => {
    const sender = new Sender(scans)
    sender.send(1)
    sender.store(3, 7)
    sender.sync()
    sender.send(PAGES)
    expect(sender.copies.theirs[3]).toBe(7)
  })

  it('the copy is what memory holds, after any stores, sends and syncs', () => {
    const step = fc.oneof(
      fc.record({ what: fc.constant('store' as const), page: fc.nat(PAGES - 1), value: fc.integer({ min: 1, max: 99 }) }),
      fc.record({ what: fc.constant('send' as const), page: fc.integer({ min: 1, max: PAGES }), value: fc.constant(0) }),
      fc.record({ what: fc.constant('sync' as const), page: fc.constant(0), value: fc.constant(0) }),
    )
    fc.assert(
      fc.property(fc.subarray([0, 1, 2, 3, 4, 5]), fc.array(step, { maxLength: 25 }), (written, steps) => {
        const sender = new Sender(scans, written)
        for (const { what, page, value } of steps) {
          if (what === 'store') sender.store(page, value)
          else if (what === 'send') sender.send(page)
          else sender.sync()
        }
        sender.sync()
        sender.send(PAGES)
        expect(sender.copies.theirs).toEqual(sender.copies.ours)
      }),
      { numRuns: 200 },
    )
  })
})
