/**
 * T16: what can be worked out on paper: downtime from what remains, the series of passes, a whole memory over a link, and how many dirty
 * bits a guest that writes at random sets for nothing.
 *
 * The expected values are formulas, not measurements: `low` is the formula where the simulator can only add to it. Bandwidth in
 * a formula is what the link carries of pages; the link of a run is that much faster, by its framing and headers.
 * Source: KubeVirt VEP 248, tables of remaining bytes over bandwidth; the geometric series of pre-copy; CloudSim's RAM / (bw / 2).
 */
import { payloadBytesPerNs } from '../../hw/wire.ts'
import { DEFAULT_CAPABILITIES } from '../../migration/capabilities.ts'
import { PAGE_RECORD_BYTES } from '../../migration/parameters.ts'
import { falselyDirty } from './falsely_dirty.ts'
import { migrate } from './migration.ts'
import type { PublishedCell, PublishedTable, Values } from './table.ts'

const MIB = 2 ** 20
/** The bandwidth of a link that carries so many bits of page content a second. */
const wire = (pagesBitsPerSec: number) => (pagesBitsPerSec * (PAGE_RECORD_BYTES / 4096)) / payloadBytesPerNs(8e9)

const REMAINING_MB = [31.25, 62.5, 125, 250]
const DOWNTIME_BPS = 500e6
const downtimeCell = (mb: number) => `downtime of ${mb} MB at 500 Mb/s`

const RAM_BYTES = 256 * MIB
const DIRTY_BYTES_PER_SEC = 62.5e6
const SERIES_BPS = 1e9
const PASSES = 6
const passCell = (n: number) => `pass ${n + 1}: RAM times (d/b)^${n}`

const CLOUDSIM_CELL = 'CloudSim: 1024 MB over half of 1 Gb/s'

/**
 * Stores at random, m a page in the time of a pass. A dirty page is falsely so if all of its k stores came before it was sent: chance
 * 1 / (k + 1). k is Poisson with mean m, so that the share is ((e^m - 1) / m - 1) / (e^m - 1).
 */
const STORES_A_PAGE = [0.1, 1]
const falseCell = (m: number) => `falsely dirty after pass 1, stores at random, ${m} a page`
const falseShare = (m: number) => (100 * (Math.expm1(m) / m - 1)) / Math.expm1(m)
const FALSE_POINTS = 2

/** A formula that fixed costs (device state, switch) and a little imprecision come on top of. */
function above(name: string, unit: string, expected: number, factor: number, fixed: number): PublishedCell {
  return { name, unit, expected, low: expected * 0.95, high: expected * factor + fixed }
}

export const CLOSED_FORMS: PublishedTable = {
  id: 'T16',
  title: 'closed forms of pre-copy',
  source:
    'KubeVirt VEP 248 (31.25 MB at 500 Mb/s: 500 ms, and so on); RAM (d/b)^n; CloudSim, RAM / (bw / 2); the share of false dirt is our arithmetic',
  stated: ['what remains and the bandwidth', 'd/b = 1/2', '1024 MB, 1 Gb/s'],
  ours: [
    'a writer that goes over what is to remain again and again, so that each pass leaves all of it',
    'a sweep at 62.5 MB/s over 256 MiB, where the link carries 125 MB/s of pages',
    'memory of just that size',
  ],
  band: 'downtime: 2 % and 60 ms of device state and switch more, 5 % less, since some pages were sent after they were written last; a pass 8 % either way, since the guest is slowed a little by the faults of dirty tracking and writes on in the sync; CloudSim 5 %; false dirt 2 points, since the guest is slowed a little and the pass takes a little longer',
  seeds: 1,
  cells: [
    ...REMAINING_MB.map((mb) => above(downtimeCell(mb), 'ms', (mb * 8e9) / DOWNTIME_BPS, 1.02, 60)),
    ...Array.from({ length: PASSES }, (_, n) => {
      const expected = RAM_BYTES / MIB / 2 ** n
      return { name: passCell(n), unit: 'MiB', expected, low: expected * 0.92, high: expected * 1.08 }
    }),
    above(CLOUDSIM_CELL, 's', (1024 * 8e6) / 0.5e9, 1.05, 0),
    ...STORES_A_PAGE.map((m) => {
      const expected = falseShare(m)
      return { name: falseCell(m), unit: '%', expected, low: expected - FALSE_POINTS, high: expected + FALSE_POINTS }
    }),
  ],
  measure,
}

function* measure(seed: number): Generator<string, Values, void> {
  const values: Record<string, number> = {}
  const common = { mode: 'precopy', capabilities: DEFAULT_CAPABILITIES, seed } as const
  for (const mb of REMAINING_MB) {
    const name = downtimeCell(mb)
    const pages = Math.round((mb * 1e6) / 4096)
    const { run } = yield* migrate(name, {
      ...common,
      guest: `sweep:set=${pages * 4}k,rate=1GB/s`,
      memBytes: Math.ceil(pages / 256) * MIB,
      bandwidthBitsPerSec: wire(DOWNTIME_BPS),
      downtimeLimitNs: (1.2 * mb * 8e15) / DOWNTIME_BPS,
    })
    values[name] = run.report().migration.downtime
  }
  const series = yield* migrate(
    'the series of passes',
    {
      ...common,
      guest: `sweep:rate=${DIRTY_BYTES_PER_SEC / 1e6}MB/s`,
      memBytes: RAM_BYTES,
      bandwidthBitsPerSec: wire(SERIES_BPS),
      downtimeLimitNs: 20e6,
    },
    PASSES,
  )
  for (let n = 0; n < PASSES; n++) values[passCell(n)] = (series.passes[n].pages * 4096) / MIB
  const whole = yield* migrate(CLOUDSIM_CELL, {
    ...common,
    guest: 'uniform:rate=1k/s,writes=0%',
    memBytes: Math.round(1024e6 / MIB) * MIB,
    bandwidthBitsPerSec: wire(SERIES_BPS / 2),
  })
  values[CLOUDSIM_CELL] = whole.run.report().migration['total-time'] / 1000
  for (const m of STORES_A_PAGE) {
    const passSeconds = (RAM_BYTES * 8) / SERIES_BPS
    const rate = Math.round((m * RAM_BYTES) / 4096 / passSeconds)
    const guest = `uniform:rate=${rate}/s,writes=100%`
    const bandwidthBitsPerSec = wire(SERIES_BPS)
    const options = { ...common, guest, memBytes: RAM_BYTES, vcpus: 1, bandwidthBitsPerSec, downtimeLimitNs: 1e6 }
    const [share] = yield* falselyDirty(falseCell(m), options, 1)
    values[falseCell(m)] = share
  }
  return values
}
