/**
 * A trace that is read whole is the trace that is streamed: the same accesses in the same order, pass after pass, however its file was cut.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { parseGuest } from '../../core/guest/catalog.ts'
import { workloadsOf } from '../../core/guest/guest_data.ts'
import { LackeyWorkload, TraceError } from '../../core/guest/lackey.ts'
import { RecordedWorkload, recordTrace } from '../../core/guest/recorded.ts'
import { BLOCK_ACCESSES } from '../../core/guest/workload.ts'
import { inBlocks } from './capture_of.ts'
import { feedAll, linesOf, textOf } from './lackey_feed.ts'

const PAGES = 64
const GO_ON = { aborted: false }
const bytesOf = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0))
const record = (text: string, blockBytes = 1000, most?: number, stop = GO_ON) =>
  recordTrace(new LackeyWorkload('a.lackey', 100, PAGES), inBlocks(bytesOf(text), blockBytes), stop, most)

describe('a recorded trace', () => {
  it('has the accesses of the streamed one, wherever its file was cut', async () => {
    await fc.assert(
      fc.asyncProperty(linesOf(PAGES), fc.integer({ min: 1, max: 64 }), fc.boolean(), async (lines, cut, endsLine) => {
        const text = `${textOf(lines)}${endsLine ? '\n' : ''}`
        expect([...((await record(text, cut)) ?? [])]).toEqual(feedAll(new LackeyWorkload('a.lackey', 100, PAGES), [text]))
      }),
      { numRuns: 60 },
    )
  })

  it('starts over behind its last access as the streamed one does, more of them than a block holds', async () => {
    const text = Array.from({ length: 3000 }, (_, i) => ` ${'LSM'[i % 3]} ${(0x4000000 + (i % 50) * 4096).toString(16)},8`).join(
      '\n',
    )
    const streamed = new LackeyWorkload('a.lackey', 100, PAGES)
    const twice = [...feedAll(streamed, [text]), ...feedAll(streamed, [text])]
    const recorded = new RecordedWorkload((await record(text)) ?? new Int32Array(0), 100)
    const out = new Int32Array(BLOCK_ACCESSES)
    const all: number[] = []
    while (all.length < twice.length) all.push(...out.subarray(0, recorded.fill(out)))
    expect(all).toEqual(twice)
    expect(twice.length).toBeGreaterThan(2 * BLOCK_ACCESSES)
  })

  it('is refused where it holds nothing, or is none, as the streamed one is', async () => {
    await expect(record('==1== nothing\n')).rejects.toThrow('the trace holds no memory access')
    await expect(record(' L 04,8\nrubbish\n')).rejects.toThrow('a.lackey:2: not a memory access')
  })

  it('is refused where it is longer than what a thread is handed', async () => {
    const text = Array.from({ length: 6000 }, () => ' L 04000000,8\n').join('')
    const error = await record(text, 1000, 5000).catch((e) => e)
    expect(error).toBeInstanceOf(TraceError)
    expect(error.message).toContain('has more than 5,000 accesses')
    expect(error.message).toContain('cut it short')
  })

  it('is no longer read when somebody stops', async () => {
    expect(await record(' L 04000000,8\n', 4, undefined, { aborted: true })).toBeNull()
  })
})

describe('the workloads of a guest with its data', () => {
  it('are recorded traces, each in its own part of memory and at its own pace, and idle vCPUs', () => {
    const parsed = parseGuest('a.lackey+b.lackey:rate=5M/s')
    if (!parsed.ok) throw new Error(parsed.message)
    const traces = [Int32Array.of(1, 2, 3), Int32Array.of(401)]
    const [first, second, third] = workloadsOf(parsed.guest, 200, 3, new Prng(1), { traces, capture: null })
    expect([first?.thinkNs, second?.thinkNs, third]).toEqual([200, 200, null])
    const out = new Int32Array(BLOCK_ACCESSES)
    expect([first?.fill(out), ...out.subarray(0, 3), second?.fill(out), out[0]]).toEqual([3, 1, 2, 3, 1, 401])
  })
})
