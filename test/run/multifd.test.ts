/**
 * multifd: pre-copy's pages by several channels, compressed or not, and the guest finds what it wrote.
 */
import { describe, expect, it } from 'vitest'
import { loadCompression } from '../../core/migration/compression.ts'
import type { MigrationParameters } from '../../core/migration/migration_parameters.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import type { MigrateOptions } from '../../core/run/options.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { finish, MIB, small } from './small.ts'

const GUEST = { guest: 'kv:rate=20k/s,set=6M', memBytes: 8 * MIB, mode: 'precopy', downtimeLimitNs: 20e6 } as const

function withMultifd(parameters: Partial<MigrationParameters> = {}, options: Partial<MigrateOptions> = {}): MigrateOptions {
  const base = small()
  return {
    ...base,
    ...GUEST,
    timeLimitNs: 20e9,
    ...options,
    capabilities: { ...base.capabilities, multifd: true, ...options.capabilities },
    parameters: { ...base.parameters, ...parameters },
  }
}

function expectConsistent(run: MigrationRun): void {
  expect(run.state.status).toBe('completed')
  expect(run.report().consistency.verdict).toBe('consistent')
}

async function compressed(method: 'zlib' | 'zstd', level: number): Promise<MigrationRun> {
  // zlib at level 6 takes a pass of 40 ms for what the guest writes in it: it does not end within 20.
  const parameters = { 'multifd-compression': method, [`multifd-${method}-level`]: level } as const
  const options = withMultifd(parameters, { downtimeLimitNs: 200e6 })
  const compressor = await loadCompression(method, level)
  const run = new MigrationRun(options, new Recorder({ keep: false }), { lockdep: false }, null, null, compressor)
  while (run.advance(10_000) !== 'done');
  return run
}

describe('multifd', () => {
  it.each([1, 2, 5])('with %d channels brings every page, in passes, by all of them', (channels) => {
    const run = finish(withMultifd({ 'multifd-channels': channels }))
    expectConsistent(run)
    expect(run.state.dirtySyncCount).toBeGreaterThan(2)
    expect(run.channels.multifd.length).toBe(channels)
    for (const channel of run.channels.multifd) expect(channel.bytesSent).toBeGreaterThan((6 * MIB) / channels / 2)
    expect(run.channels.stream.bytesSent).toBeLessThan(MIB)
    expect(run.report().migration.ram['multifd-bytes']).toBe(run.channels.multifdBytesSent)
  })

  it.each(['kv', 'sweep:rate=5MB/s'])(
    'makes no difference to %s over a slow link, however much memory its buffers hold',
    (guest) => {
      const slow = { guest, memBytes: 16 * MIB, bandwidthBitsPerSec: 1e9, downtimeLimitNs: 50e6 } as const
      const [one, many] = [1, 16].map(
        (channels) => finish(withMultifd({ 'multifd-channels': channels }, slow)).report().migration,
      )
      // Sixteen hold 32 MiB, twice the memory. What is in the hands of their threads counts as what is left, too.
      expect([one?.status, many?.status]).toEqual(['completed', 'completed'])
      expect(many?.downtime).toBeLessThan(55)
      expect(many?.['total-time']).toBeLessThan(1.15 * (one?.['total-time'] ?? 0))
    },
  )

  it('finds zero pages in the threads of the channels, in the migration thread, or not at all', () => {
    const [inThreads, before, never] = (['multifd', 'legacy', 'none'] as const).map((detection) => {
      const run = finish(withMultifd({ 'zero-page-detection': detection }, { guest: 'idle' }))
      expectConsistent(run)
      return { duplicate: run.state.duplicate, stream: run.channels.stream.bytesSent, multifd: run.channels.multifdBytesSent }
    })
    // Three quarters of 2048 pages are zero: numbers in the headers of packets, records of 9 bytes on the stream, or pages.
    expect([inThreads?.duplicate, before?.duplicate, never?.duplicate]).toEqual([1536, 1536, 0])
    // And a FLUSH of 8 bytes a pass.
    expect(Math.abs((before?.stream ?? 0) - (inThreads?.stream ?? 0) - 1536 * 9)).toBeLessThan(50)
    expect((never?.multifd ?? 0) - (inThreads?.multifd ?? 0)).toBeGreaterThanOrEqual(1536 * 4096)
  })

  it('is silent in post-copy, which comes by the stream after all that the channels held', () => {
    const run = finish(withMultifd({}, { mode: 'hybrid', guest: 'kv:rate=200k/s,set=6M' }))
    expectConsistent(run)
    expect(run.state.requests).toBeGreaterThan(0)
    expect(run.channels.multifdBytesSent).toBeGreaterThan(6 * MIB)
    const pure = finish(withMultifd({}, { mode: 'postcopy' }))
    expectConsistent(pure)
    expect(pure.channels.multifdBytesSent).toBe(0)
  })

  it('is as fast as its CPUs together, up to what the wire carries', () => {
    const time = (channels: number) => {
      const guest = { guest: 'kv:rate=100/s,set=30M', memBytes: 32 * MIB, bandwidthBitsPerSec: 1e11 }
      return finish(withMultifd({ 'multifd-channels': channels }, guest)).report().migration['total-time']
    }
    const [one, two, four] = [time(1), time(2), time(4)]
    expect(two).toBeLessThan(one)
    expect(four).toBeLessThan(two)
    expect(four).toBeLessThan(0.75 * one)
  })

  it('saves the copy with zero-copy-send', () => {
    const capabilities = { ...small().capabilities, multifd: true, 'zero-copy-send': true }
    expectConsistent(finish(withMultifd({}, { capabilities })))
  })

  it.each([
    ['zlib', 1],
    ['zlib', 6],
    ['zstd', 1],
  ] as const)('with %s at level %d sends a heap in less than half of its size', async (method, level) => {
    const run = await compressed(method, level)
    expectConsistent(run)
    expect(run.channels.multifdBytesSent).toBeLessThan((run.state.normal * 4096) / 2)
  })
})
