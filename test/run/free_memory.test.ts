/**
 * Free memory before a migration: garbage that the guest gave back is sent like anything else; a balloon makes it zeros; hints
 * keep it, and the zeros behind it, from being sent at all. What the guest uses is the same in all three.
 */
import { describe, expect, it } from 'vitest'
import { FILE_GUESTS, GUESTS } from '../../core/guest/catalog.ts'
import type { MigrateOptions } from '../../core/run/options.ts'
import { finish, MIB } from './small.ts'

const GUEST = { guest: 'kv:set=256k,freed=512k,rate=20k/s', memBytes: MIB }

function ramOf(options: Partial<MigrateOptions>) {
  const run = finish({ ...GUEST, ...options })
  const { migration, consistency } = run.report()
  expect([migration.status, consistency.verdict]).toEqual(['completed', 'consistent'])
  return { normal: migration.ram.normal, duplicate: migration.ram.duplicate, compared: consistency.pagesCompared }
}

describe('memory that was given back', () => {
  it('is sent as it is, and a balloon makes it zeros, as far as it goes', () => {
    expect(ramOf({})).toEqual({ normal: 192, duplicate: 64, compared: 256 })
    expect(ramOf({ balloonBytes: MIB / 4 })).toEqual({ normal: 128, duplicate: 128, compared: 256 })
    expect(ramOf({ balloonBytes: (MIB / 4) * 3 })).toEqual({ normal: 64, duplicate: 192, compared: 256 })
  })

  it('is not sent by pre-copy when it is hinted, nor is what was never touched, and nobody promised what it holds', () => {
    const [sent, hinted] = [false, true].map((freePageHints) => ramOf({ mode: 'precopy', freePageHints }))
    expect([sent?.duplicate, sent?.compared]).toEqual([64, 256])
    expect(sent?.normal).toBeGreaterThanOrEqual(192)
    expect([hinted?.duplicate, hinted?.compared]).toEqual([0, 64])
    expect(hinted?.normal).toBeLessThan(192)
  })

  it('of 2 MiB pages is dropped by whole ones only', () => {
    const huge = { memBytes: 16 * MIB, pageSizeBytes: 2 * MIB, guest: 'sweep:set=3M,freed=9M' }
    // The set ends inside the second page; a balloon of 4 MiB holds one whole page behind it, or of 5 MiB two.
    const zeros = [4, 5].map((mib) => ramOf({ ...huge, balloonBytes: mib * MIB }).duplicate)
    expect(zeros).toEqual([512 + 1024, 1024 + 1024])
  })
})

describe('each guest', () => {
  const made = GUESTS.filter((g) => !FILE_GUESTS.includes(g)).map((g) => g.name)
  it.each(made)('%s uses none of what it calls free', (name) => {
    const options = { guest: `${name}:set=8M,freed=4M`, memBytes: 16 * MIB, mode: 'precopy' as const, bandwidthBitsPerSec: 10e9 }
    const { migration, consistency } = finish({ ...options, freePageHints: true, timeLimitNs: 5e9 }).report()
    expect(consistency.verdict).toBe('consistent')
    // What is compared is the set, which some guests round to their own parts; what is free is not.
    if (migration.status === 'completed') expect(2048 - consistency.pagesCompared).toBeLessThan(8)
  })
})

describe('refused', () => {
  it.each<[string, Partial<MigrateOptions>, string]>([
    [
      'a balloon that is larger than what is free',
      { balloonBytes: MIB - 4096 },
      'the guest has 768k of free memory, and a balloon of 1020k',
    ],
    ['hints where post-copy is possible', { freePageHints: true }, 'take --mode precopy, or --balloon'],
    [
      'more that was freed than there is',
      { guest: 'kv:set=512k,freed=1M' },
      'freed=1M is more than the 512k that its set leaves',
    ],
    ['a balloon in a guest that is a trace', { guest: 'a.lackey', balloonBytes: 4096 }, 'the guest has 0B of free memory'],
  ])('is %s', (_, options, message) => {
    expect(() => finish({ ...GUEST, ...options })).toThrow(message)
  })
})
