/**
 * The captured guest does what its capture says: each change once, in its time; pages that were zero stay so; and it migrates.
 */
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { contentOfCapture } from '../../core/guest/capture.ts'
import { CapturedWorkload, zerosOf } from '../../core/guest/captured.ts'
import { BLOCK_ACCESSES } from '../../core/guest/workload.ts'
import { pageBytes } from '../../core/hw/page_bytes.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { MIB, small } from '../run/small.ts'
import { process } from './capture_of.ts'
import { take } from './stream_of.ts'

const CHANGES = [[1, 2, 3], [], [64, 65, 130, 131, 199]]

function workload(vcpu = 0, vcpus = 1, reads = 0.5, changes: readonly (readonly number[])[] = CHANGES) {
  const capture = process(200, changes)
  return new CapturedWorkload(capture, zerosOf(capture), { vcpu, vcpus, reads }, new Prng(vcpu + 1))
}

const stores = (from: CapturedWorkload) =>
  take(from, 1)
    .filter(({ store }) => store)
    .map(({ page }) => page)
    .sort((a, b) => a - b)

describe('a captured process', () => {
  it('stores to each changed page once a sample, and begins again behind the last', () => {
    const one = workload()
    expect([stores(one), stores(one), stores(one), stores(one)]).toEqual([...CHANGES, CHANGES[0]])
  })

  it('takes for a sample the time that it took', () => {
    const one = workload()
    const out = new Int32Array(BLOCK_ACCESSES)
    for (let sample = 0; sample < 3; sample++) {
      const n = one.fill(out)
      expect(n * one.thinkNs).toBeCloseTo(1e6, 3)
    }
  })

  it('shares the changes of a sample among its vCPUs, none twice', () => {
    const both = [workload(0, 2), workload(1, 2)]
    for (const changes of CHANGES) expect(both.flatMap(stores).sort((a, b) => a - b)).toEqual(changes)
  })

  it.each([0, 0.5, 0.9])('loads for a share of %d of its accesses, and once a millisecond at least', (reads) => {
    const one = workload(0, 1, reads, [Array.from({ length: 100 }, (_, i) => i), []])
    const busy = take(one, 1)
    expect(busy.length).toBe(Math.max(1, Math.round(100 / (1 - reads))))
    expect(busy.filter(({ store }) => store)).toHaveLength(100)
    expect(take(one, 1).map(({ store }) => store)).toEqual([false])
  })

  it('hands a sample of many pages out in several blocks', () => {
    const many = Array.from({ length: 3000 }, (_, i) => i)
    const capture = process(3000, [many])
    const one = new CapturedWorkload(capture, zerosOf(capture), { vcpu: 0, vcpus: 1, reads: 0.5 }, new Prng(1))
    const written = take(one, 3).filter(({ store }) => store)
    expect(written.map(({ page }) => page).sort((a, b) => a - b)).toEqual(many)
  })
})

describe('a migration of it', () => {
  const run = (pages: number, memBytes: number, seed = 1) => {
    const capture = process(pages, CHANGES)
    const made = new MigrationRun(
      { ...small({ guest: 'x.pfguest', memBytes }), seed },
      new Recorder({ keep: false }),
      undefined,
      null,
      null,
      null,
      capture,
    )
    while (made.advance(1000) !== 'done');
    return made
  }

  it('is consistent, and pages that were zero go as zeros, but for those that changed', () => {
    const made = run(256, MIB)
    const { consistency, migration, guest } = made.report()
    expect(consistency).toMatchObject({ verdict: 'consistent', pagesCompared: 256 })
    expect(guest.pages).toBe(256)
    // 64 of 256 were zero; pages 3, 131 and 199 are of these, and changed before the migration began.
    expect(made.shadow.written).toBe(192 + 3)
    expect(migration.ram.duplicate).toBe(64 - 3)
  })

  it('is refused where the process has more memory than the guest', () => {
    expect(() => run(300, MIB)).toThrow(
      "the captured process has 1200k, more than the guest's memory of 1M; leave --mem out, or give more",
    )
  })
})

describe('the bytes of a captured page', () => {
  it('are those that were captured, but for the words that the check needs', () => {
    const bytes = Uint8Array.from({ length: 4096 }, (_, i) => i % 251)
    const content = contentOfCapture({ ...process(4, []), bytes: [bytes] })
    const out = new Uint32Array(1024)
    pageBytes(out, content, 0, 7, 8, 0)
    expect([out[0], out[1023]]).toEqual([7, 8])
    expect(new Uint8Array(out.buffer).subarray(4, 4092)).toEqual(bytes.subarray(4, 4092))
  })

  it('are of its kind where no bytes were captured', () => {
    const [captured, made] = [new Uint32Array(1024), new Uint32Array(1024)]
    pageBytes(captured, contentOfCapture(process(4, [])), 1, 7, 8, 3)
    pageBytes(made, 'text', 1, 7, 8, 3)
    expect(captured).toEqual(made)
  })
})
