/**
 * Every guest of the catalog keeps to the rules of workload.ts: its accesses lie in what it booted, whatever the size; blocks are
 * not empty and not too long; the same seed does the same; the rate asked for is the rate that its think times make.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FILE_GUESTS, GUESTS } from '../../core/guest/catalog.ts'
import { BLOCK_ACCESSES } from '../../core/guest/workload.ts'
import { CONTENT_KINDS } from '../../core/hw/page_bytes.ts'
import { made } from './stream_of.ts'

const NAMES = GUESTS.filter((g) => !FILE_GUESTS.includes(g)).map((g) => g.name)

describe.each(NAMES)('%s', (name) => {
  it('stays in what it booted, of any size and on any number of vCPUs', () => {
    const size = fc.integer({ min: 1, max: 400 })
    fc.assert(
      fc.property(size, fc.integer({ min: 1, max: 4 }), fc.nat(), (ramPages, vcpus, seed) => {
        const out = new Int32Array(BLOCK_ACCESSES)
        for (const workload of made(name, ramPages, vcpus, seed)) {
          if (workload === null) continue
          expect(workload.bootPages).toBeLessThanOrEqual(ramPages)
          for (let block = 0; block < 3; block++) {
            const n = workload.fill(out)
            expect(n).toBeGreaterThan(0)
            expect(n).toBeLessThanOrEqual(BLOCK_ACCESSES)
            const outside = out.subarray(0, n).findIndex((a) => a < 0 || a >>> 2 >= workload.bootPages)
            expect(outside).toBe(-1)
          }
        }
      }),
      { numRuns: 40 },
    )
  })

  it('does the same for the same seed', () => {
    const stream = (seed: number) => {
      const out = new Int32Array(BLOCK_ACCESSES)
      return made(name, 3000, 2, seed).flatMap((w) => {
        const blocks: number[] = []
        for (let i = 0; i < 4; i++) blocks.push(...out.subarray(0, w?.fill(out) ?? 0), w?.thinkNs ?? 0)
        return blocks
      })
    }
    expect(stream(5)).toEqual(stream(5))
  })

  it('touches its memory at the rate that it is told, twice as often at twice the rate', () => {
    const accessesPerSec = (rate: string) => {
      const vcpus = made(`${name}:rate=${rate}`, 3000, 2)
      return vcpus.reduce((sum, w) => sum + (w === null ? 0 : 1e9 / w.thinkNs), 0)
    }
    // mm-dirty comes in bursts at full speed: its test is its own.
    if (name !== 'mm-dirty') expect(accessesPerSec('2k/s') / accessesPerSec('1k/s')).toBeCloseTo(2, 6)
    else expect(accessesPerSec('2k/s')).toBe(accessesPerSec('1k/s'))
  })

  it('says what its operation is, and what its pages hold', () => {
    const kind = GUESTS.find((g) => g.name === name)
    expect(kind?.op).not.toBe('')
    expect(CONTENT_KINDS).toContain(kind?.content)
    expect(kind?.contentSource).not.toBe('')
  })
})
