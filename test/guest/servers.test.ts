/**
 * The servers have the statistics that their sources state: memcached's GETs, SETs and skew, Redis's clock of last use, sysbench's
 * transaction, SPECweb's files, the sender's ring.
 */
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { MemcachedWorkload } from '../../core/guest/memcached.ts'
import { NetperfWorkload } from '../../core/guest/netperf.ts'
import { OltpWorkload, TRANSACTION_ACCESSES } from '../../core/guest/oltp.ts'
import { RedisWorkload } from '../../core/guest/redis.ts'
import { DIRECTORY_PAGES, MEAN_FILE_PAGES, WEB_FILES, WebWorkload } from '../../core/guest/web.ts'
import { Zipf } from '../../core/guest/zipf.ts'
import { take } from './stream_of.ts'

describe('memcached', () => {
  const options = { setPages: 6500, opsPerSec: 100_000, allOpsPerSec: 100_000, writes: 1 / 31, theta: 0.92 }

  it('asks for 1 % of a million keys in 55 % of its requests (ETC)', () => {
    const ranks = new Zipf(1_000_000, 0.92, new Prng(3))
    let popular = 0
    for (let i = 0; i < 50_000; i++) if (ranks.rank() < 10_000) popular++
    // Five standard deviations of 50,000 draws are 0.011.
    expect(Math.abs(popular / 50_000 - 0.55)).toBeLessThan(0.012)
  })

  it('writes more than its SETs: an item not used for a minute is written by a GET', () => {
    const items = take(new MemcachedWorkload(options, new Prng(1)), 40).filter((_, i) => i % 2 === 1)
    const writes = items.filter((a) => a.store).length / items.length
    // 6400 pages hold 51,200 items. Each is written at most once a minute by a GET: 853 of 100,000 requests a second, and 3.2 % are SETs.
    expect(writes).toBeGreaterThan(1 / 31 + 0.003)
    expect(writes).toBeLessThan(1 / 31 + 0.00853 + 0.003)
  })

  it('writes nearly every item that it gets where requests are rare', () => {
    const items = take(new MemcachedWorkload({ ...options, writes: 0, opsPerSec: 1, allOpsPerSec: 1 }, new Prng(1)), 10)
    expect(items.filter((a, i) => i % 2 === 1 && a.store).length / 10_240).toBeGreaterThan(0.6)
  })

  it('looks up a bucket first, and never writes one', () => {
    // 6500 / 65 = 100 bucket pages.
    const taken = take(new MemcachedWorkload(options, new Prng(1)), 10)
    expect(taken.every((a, i) => a.page < 100 === (i % 2 === 0))).toBe(true)
    expect(taken.some((a) => a.page < 100 && a.store)).toBe(false)
  })
})

describe('redis', () => {
  it('that only reads writes the clock of last use of each object that it reads', () => {
    const taken = take(new RedisWorkload({ setPages: 6400, hotPages: 500, opsPerSec: 1000, writes: 0 }, new Prng(1)), 20)
    for (let i = 0; i < taken.length; i += 3) {
      // Dictionary (100 pages), header of the object, value.
      expect(taken[i]).toMatchObject({ store: false })
      expect(taken[i + 1]).toMatchObject({ store: true, word: 0 })
      expect(taken[i + 2]).toMatchObject({ store: false, word: 1, page: taken[i + 1]?.page })
    }
    const records = new Set(taken.filter((_, i) => i % 3 === 1).map((a) => a.page))
    expect([Math.min(...records), Math.max(...records), records.size]).toEqual([100, 599, 500])
  })

  it.each([0.5, 1])('updates a share of %d of the records that it is asked for', (writes) => {
    const taken = take(new RedisWorkload({ setPages: 6400, hotPages: 6300, opsPerSec: 1000, writes }, new Prng(1)), 20)
    const values = taken.filter((_, i) => i % 3 === 2)
    expect(Math.abs(values.filter((a) => a.store).length / values.length - writes)).toBeLessThan(0.02)
  })
})

describe('oltp', () => {
  // Inner pages 0..99, leaves to 20,479, secondary leaves to 24,575, undo to 25,087, redo to 25,599.
  const setPages = 25_600
  const taken = take(new OltpWorkload(setPages, 500, new Prng(1)), 40)
  const transactions = taken.length / TRANSACTION_ACCESSES
  const within = (first: number, end: number) => taken.filter((a) => a.page >= first && a.page < end)

  it('does 70 accesses a transaction, of them 19 to inner pages, 4 to the undo log and 5 to the redo log', () => {
    expect(TRANSACTION_ACCESSES).toBe(70)
    expect(transactions % 1).toBe(0)
    // Ten points, four ranges, three of the updates (two indexes in one), a delete, an insert.
    expect(within(0, 100).length / transactions).toBe(19)
    expect(within(24_576, 25_088).length / transactions).toBe(4)
    expect(within(25_088, 25_600).length / transactions).toBe(5)
  })

  it('writes four rows and four entries of the index a transaction, and no inner page', () => {
    const stores = (first: number, end: number) => within(first, end).filter((a) => a.store).length / transactions
    expect(stores(0, 100)).toBe(0)
    expect(stores(100, 20_480)).toBe(4)
    expect(stores(20_480, 24_576)).toBe(4)
  })

  it('takes three rows of four, and of the rest one in a hundred, from the hundredth part in the middle', () => {
    const leaves = within(100, 20_480).filter((a) => a.store)
    const middle = 100 + 20_380 / 2
    const special = leaves.filter((a) => Math.abs(a.page - middle) <= 20_380 / 200)
    expect(Math.abs(special.length / leaves.length - 0.7525)).toBeLessThan(0.03)
  })
})

describe('web', () => {
  it('has directories of 36 files in about 5 MB, and reads 4.2 pages a request', () => {
    expect(WEB_FILES).toHaveLength(36)
    // 9 + 15 + 115 + 1125 pages.
    expect(DIRECTORY_PAGES).toBe(1264)
    // 0.35 * 1 + 0.5 * 15 / 9 + 0.14 * 115 / 9 + 0.01 * 1125 / 9
    expect(MEAN_FILE_PAGES).toBeCloseTo(4.222, 3)
    const workload = new WebWorkload({ setPages: 16_000, opsPerSec: 1000, writes: 0.3 }, 0, new Prng(1))
    const taken = take(workload, 200)
    const requests = taken.filter((a) => a.page >= 15_744).length
    expect(Math.abs(taken.length / requests / workload.accessesPerOp - 1)).toBeLessThan(0.05)
  })

  it('writes sessions for its dynamic requests, a line of log for each, and no file', () => {
    // Files to 13,743, 2000 pages of sessions, 256 of log.
    const taken = take(new WebWorkload({ setPages: 16_000, opsPerSec: 1000, writes: 0.3 }, 0, new Prng(1)), 100)
    const log = taken.filter((a) => a.page >= 15_744)
    const sessions = taken.filter((a) => a.page >= 13_744 && a.page < 15_744)
    expect(taken.some((a) => a.page < 13_744 && a.store)).toBe(false)
    expect(log.every((a) => a.store)).toBe(true)
    expect(sessions).toHaveLength(2 * log.length)
    expect(Math.abs(sessions.filter((a) => a.store).length / log.length - 0.3)).toBeLessThan(0.02)
  })
})

describe('netperf', () => {
  it('dirties its ring only, in the same order again and again, and reads 16 pages of send buffers', () => {
    const options = { setPages: 10_000, buffers: 100, pagesPerSec: 1000 }
    const taken = take(new NetperfWorkload(options, 200, 5000, new Prng(1)), 3)
    const stores = taken.filter((a) => a.store && a.word === 0).map((a) => a.page)
    // 100 pages: 16 of send buffers, a ring of 84.
    const ring = stores.slice(0, 84)
    expect(new Set(ring).size).toBe(84)
    expect(stores).toEqual(stores.map((_, i) => ring[i % 84]))
    const read = new Set(taken.filter((a) => !a.store).map((a) => a.page))
    expect(read.size).toBe(16)
    expect([...read, ...ring].every((page) => page >= 200 && page < 5000)).toBe(true)
    expect(ring.some((page) => read.has(page))).toBe(false)
  })
})
