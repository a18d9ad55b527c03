/**
 * The model on a measured host: what a page costs the programs is found so that the model takes as long as was measured, whatever that was.
 */
import { describe, expect, it } from 'vitest'
import type { Calibration, PipelineRuns, PipelineWay } from '../../core/hw/calibration.ts'
import type { ProgramCosts } from '../../core/hw/preset.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { optionsOnHost, PIPELINE_WAYS, pipelineOptions, programCosts } from '../../core/run/calibrated_host.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import { DEFAULT_OPTIONS, type MigrateOptions } from '../../core/run/options.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { MemoryHost } from '../shell/memory_host.ts'
import { small } from './small.ts'

const WAY = PIPELINE_WAYS[0] as PipelineWay
const [SPARSE, SPARSE_PRECOPY, SCATTERED, SCATTERED_HYBRID] = PIPELINE_WAYS.slice(3) as [
  PipelineWay,
  PipelineWay,
  PipelineWay,
  PipelineWay,
]
const GO_ON = { aborted: false }

function runs(way: PipelineWay, totalNs: number): PipelineRuns {
  return { ...way, setupNs: 2e6, downtimeNs: 5e6, totalNs, totals: [totalNs], accessNs: 400 }
}

function calibration(totalNs: number, way = WAY): Calibration {
  const figure = (name: string, unit: 'ns' | 'bytes/s', value: number) => {
    return { name, what: name, unit, value, seen: value, low: value, high: value, medians: [value], calls: 0 }
  }
  return {
    schema: 'pageferry.calibration/1',
    release: '6.18.44',
    cpu: { name: 'a CPU', vendor: '', family: 0, model: 0, cpus: 2 },
    measured: [
      figure('unixThroughput', 'bytes/s', 4e9),
      figure('unixRoundTrip', 'ns', 30_000),
      figure('tcpThroughput', 'bytes/s', 3e9),
      figure('tcpRoundTrip', 'ns', 50_000),
      figure('socketWrite', 'ns', 500),
    ],
    reach: [],
    pipeline: way === WAY ? [runs(WAY, totalNs)] : [runs(WAY, 150e6), runs(way, totalNs)],
  }
}

const sourced = (value: number) => ({ value, kind: 'ours' as const, source: 'a test' })
const nought = sourced(0)

/** A small pre-copy over a fast link, where programs cost nothing but this. */
function reportOf(costs: Partial<ProgramCosts>, options: Partial<MigrateOptions>) {
  const program: ProgramCosts = {
    setupNs: nought,
    savePageNs: nought,
    saveRunNs: nought,
    loadCopiedPageNs: nought,
    loadMovedPageNs: nought,
    loadPrecopyPageNs: nought,
    loadZeroNs: nought,
    loadPrecopyZeroNs: nought,
    loadRunNs: nought,
    discardNs: nought,
    deviceSaveNs: nought,
    deviceLoadNs: nought,
    deviceBytes: sourced(64),
    haltNs: sourced(1000),
    sendBufferBytes: sourced(212_992),
    receiveBufferBytes: sourced(212_992),
    placeBatchPages: sourced(64),
    ...costs,
  }
  const asked = small({ mode: 'precopy', bandwidthBitsPerSec: 400e9, rttNs: 1000, ...options })
  const run = new MigrationRun(asked, new Recorder({ keep: false }), { lockdep: false }, null, { ...ZEN5, program })
  while (run.advance(10_000) !== 'done');
  return run.report()
}

describe('the model on a calibrated host', () => {
  it('pays for each call that sends, once for as many pages in a row as one call takes', () => {
    const total = (saveRunNs: number) => reportOf({ saveRunNs: sourced(saveRunNs) }, { guest: 'idle' }).migration['total-time']
    // 256 pages in a row, which nobody asks for: four calls of a millisecond.
    expect(total(1e6) - total(0)).toBeCloseTo(4, 0)
  })

  it.each([
    ['has a processor to itself', 4],
    ['waits for one now and then', 1],
  ])('keeps a vCPU to its rate for the 100 ms before the migration where it %s', (_which, processors) => {
    // Two vCPUs that take half of a processor.
    const costs = { accessNs: sourced(2000), sleepNs: nought, processors: sourced(processors) }
    const { guest } = reportOf(costs, { guest: 'uniform:rate=250k/s' })
    expect(guest.opsBefore).toBeGreaterThan(24_900)
    expect(guest.opsBefore).toBeLessThan(25_100)
  })

  it('does not let a vCPU make up for more than a real one does', () => {
    // They would take twice what there is.
    const costs = { accessNs: sourced(4000), sleepNs: nought, processors: sourced(1) }
    const { guest } = reportOf(costs, { guest: 'uniform:rate=500k/s' })
    expect(guest.opsBefore).toBeLessThan(26_000)
    expect(guest.opsBefore).toBeGreaterThan(20_000)
  })

  it.each([
    ['a page', WAY, 150, 'loadCopiedPageNs'],
    ['a zero page', SPARSE, 60, 'loadZeroNs'],
    ['a zero page in pre-copy', SPARSE_PRECOPY, 140, 'loadPrecopyZeroNs'],
    ['a run of pages', SCATTERED, 130, 'saveRunNs'],
    ['a run of pages that is placed', SCATTERED_HYBRID, 300, 'loadRunNs'],
  ] as const)('takes as long as the real migration that the cost of %s comes from', async (_what, way, ms, field) => {
    const measured = calibration(ms * 1e6, way)
    const program = await programCosts(measured, ZEN5, new MemoryHost(), GO_ON)
    const options = optionsOnHost(pipelineOptions(way), measured, false)
    const run = new MigrationRun(options, new Recorder({ keep: false }), { lockdep: false }, null, {
      ...ZEN5,
      program: program ?? undefined,
    })
    while (run.advance(10_000) !== 'done');
    expect(run.report().migration['total-time']).toBeCloseTo(ms, -0.6)
    expect(program?.[field].value).toBeGreaterThan(0)
    expect(program?.loadPrecopyPageNs.kind).toBe('ours')
  })

  it('leaves alone what the guest has never touched, and pays for its records only', () => {
    const costs = { savePageNs: sourced(1e5), loadPrecopyPageNs: sourced(1e5), loadZeroNs: sourced(1e5) }
    const sparse = reportOf(costs, { mode: 'postcopy', guest: 'idle:set=256k' })
    const { ram, 'total-time': total } = sparse.migration
    // A tenth of a millisecond for each: sent where it is there, received where it is not.
    expect([ram.normal, ram.duplicate]).toEqual([64, sparse.guest.pages - 64])
    expect(total).toBeGreaterThan(0.1 * ram.duplicate)
    expect(total).toBeLessThan(0.1 * (ram.duplicate + 2 * ram.normal))
  })

  it('is given no negative cost where the real one was faster than anything', async () => {
    const program = await programCosts(calibration(1e6), ZEN5, new MemoryHost(), GO_ON)
    expect(program?.loadCopiedPageNs.value).toBe(0)
  })

  it('is not waited for when somebody stops it', async () => {
    expect(await programCosts(calibration(150e6), ZEN5, new MemoryHost(), { aborted: true })).toBeNull()
  })

  it('has the socket for a link, unless a rate was asked for', () => {
    const measured = calibration(150e6)
    const free = optionsOnHost(DEFAULT_OPTIONS, measured, false)
    expect(free.dirtyTracking).toBe('pagemap')
    // 4 GB/s of payload, and what frames would take beside it.
    expect(free.bandwidthBitsPerSec).toBeGreaterThan(32e9)
    expect(free.rttNs).toBe(30_000)
    expect(optionsOnHost({ ...DEFAULT_OPTIONS, bandwidthBitsPerSec: 1e9 }, measured, true).bandwidthBitsPerSec).toBe(1e9)
    const tcp = optionsOnHost(DEFAULT_OPTIONS, measured, false, 'tcp')
    expect([tcp.bandwidthBitsPerSec < free.bandwidthBitsPerSec, tcp.rttNs]).toEqual([true, 50_000])
  })
})
