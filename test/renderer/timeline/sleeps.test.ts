/** Sleeping intervals, collected from rows and series. */
import { describe, expect, test } from 'vitest'
import { SleepCollector } from '../../../renderer/timeline/sleeps.ts'
import { EngineDouble } from '../double/engine_double.ts'

const silent = { out: () => {}, err: () => {} }

async function finished(pages: number) {
  const engine = new EngineDouble(pages, 1)
  await engine.command('migrate', silent)
  const series = await engine.series(10_000)
  if (!series) throw new Error('the double has no series after its run')
  return { engine, series }
}

describe('sleeps', () => {
  test('each remote fault becomes one interval on its own vCPU that ends when the vCPU wakes', async () => {
    const { engine, series } = await finished(64)
    const sleeps = await new SleepCollector().collect(engine, series, () => false)
    expect(sleeps.map((sleep) => sleep.toNs)).toEqual([...series.faultTimeNs])
    expect(sleeps.map((sleep) => sleep.toNs - sleep.fromNs)).toEqual([...series.faultLatencyNs])
    expect(sleeps.map((sleep) => sleep.lane)).toEqual(Array.from({ length: 8 }, (_, fault) => `vCPU ${fault % 2}`))
  })

  test('collecting again finds nothing twice', async () => {
    const { engine, series } = await finished(64)
    const collector = new SleepCollector()
    const first = await collector.collect(engine, series, () => false)
    expect(await collector.collect(engine, series, () => false)).toEqual(first)
  })

  test('another run on the screen stops the collecting', async () => {
    const { engine, series } = await finished(64)
    expect(await new SleepCollector().collect(engine, series, () => true)).toEqual([])
  })
})
