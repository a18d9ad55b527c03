/**
 * Pre-copy's parts, one call at a time: the bitmap, the order of log, bitmap and copy, and a whole pre-copy of a few pages.
 */
import { beforeEach, describe, expect, it } from 'vitest'
import { roundRobin } from '../../core/explore/schedulers.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { litmusLink, outgoingRam } from '../../core/litmus/migration_scenes.ts'
import { World } from '../../core/litmus/world.ts'
import { DirtyBitmap } from '../../core/migration/dirty_bitmap.ts'
import { BitmapTracker } from '../../core/migration/dirty_tracker.ts'
import { PlaceError } from '../../core/migration/host_page.ts'
import { precopy } from '../../core/migration/precopy.ts'
import { StreamMessage } from '../../core/migration/ram_stream.ts'

const PAGES = 4

let world: World
let ramPage: number

beforeEach(() => {
  world = new World(roundRobin(), new Set())
  ramPage = world.map(PAGES)
  for (let page = 0; page < PAGES - 1; page++) world.store(ramPage + page, 10 + page)
})

function makeBitmap(): DirtyBitmap {
  return new DirtyBitmap(PAGES, new BitmapTracker(world.process, ramPage, PAGES))
}

function dirtyPages(bitmap: DirtyBitmap): number[] {
  return Array.from({ length: PAGES }, (_, page) => page).filter((page) => bitmap.bits.has(page))
}

describe('the bitmap', () => {
  it('has every page at first, and after that what a sync adds', () => {
    const bitmap = makeBitmap()
    world.call((k) => bitmap.start(k))
    expect(dirtyPages(bitmap)).toEqual([0, 1, 2, 3])
    for (let page = 0; page < PAGES; page++) expect(world.call((k) => bitmap.clear(k, page))).toBe(true)
    expect(dirtyPages(bitmap)).toEqual([])
    world.store(ramPage + 2, 5)
    expect(dirtyPages(bitmap)).toEqual([])
    expect(world.call((k) => bitmap.sync(k))).toBe(1)
    expect(dirtyPages(bitmap)).toEqual([2])
  })

  it('says of a clean page that there is nothing to send', () => {
    const bitmap = makeBitmap()
    world.call((k) => bitmap.start(k))
    expect(world.call((k) => bitmap.clear(k, 1))).toBe(true)
    expect(world.call((k) => bitmap.clear(k, 1))).toBe(false)
  })

  it('keeps naming a page until it was cleared, and a store after that names it anew', () => {
    const bitmap = makeBitmap()
    world.call((k) => bitmap.start(k))
    world.call((k) => bitmap.clear(k, 0))
    world.store(ramPage, 5)
    expect(world.call((k) => bitmap.sync(k))).toBe(1)
    // The log is read, not cleared: the page may be written freely and is named again, but is no news.
    expect(world.call((k) => bitmap.sync(k))).toBe(0)
    expect(world.call((k) => bitmap.clear(k, 0))).toBe(true)
    expect(world.call((k) => bitmap.sync(k))).toBe(0)
    world.store(ramPage, 6)
    expect(world.call((k) => bitmap.sync(k))).toBe(1)
  })

  it('cannot be synced while nothing is logged', () => {
    const bitmap = makeBitmap()
    expect(() => world.call((k) => bitmap.sync(k))).toThrow(PlaceError)
  })
})

describe('a whole pre-copy', () => {
  it('sends each page once, the empty one as zeros, and again what was written before the guest stood', () => {
    const stream = litmusLink('the stream')
    const ram = outgoingRam(world.process, ramPage, PAGES, stream)
    world.call((k) => ram.setup(k))
    const stopVcpus = (k: Thread) => world.process.writePage(k, ramPage + 1, { word0: 99, word1: 99, version: 2 })
    world.call((k) => precopy(k, { ram, threshold: () => 1, batch: () => 2, iterations: 30, stopVcpus }))
    const sent = stream.inFlight()
    expect(sent.map((m) => [m.page, m.word0])).toEqual([
      [0, 10],
      [1, 11],
      [2, 12],
      [3, 0],
      [1, 99],
    ])
    expect(sent[3]?.type).toBe(StreamMessage.Zero)
    expect(ram.pending).toBe(0)
  })
})
