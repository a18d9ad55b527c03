/**
 * T15: the first live migrations of Xen, which send no faster than the guest writes, and how long the guest stood.
 *
 * After each pass:  1. the guest dirtied memory faster than it was sent: from now on send at that rate and 50 Mb/s more, 500 Mb/s at
 * most.   2. stop the guest if the rate is the highest and this pass sent more than the last, or after 29 passes, or if a pass sent less than 50
 * pages, or if three times the guest's memory went; what is left is then sent at the highest rate.
 * 1 and 2 are said to QEMU as an operator would: max-bandwidth, and stop.
 *
 * Sources: Clark et al., "Live migration of virtual machines", NSDI 2005, abstract; Xen, tools/libxc/xc_linux_save.c (START_MBIT_RATE,
 * MAX_MBIT_RATE, DEF_MAX_ITERS, DEF_MAX_FACTOR, print_stats).
 */
import { DEFAULT_CAPABILITIES } from '../../migration/capabilities.ts'
import { DEFAULT_PARAMETERS } from '../../migration/migration_parameters.ts'
import type { MigrationRun } from '../migration_run.ts'
import { migrate } from './migration.ts'
import { type PublishedTable, type Values, within } from './table.ts'

const MIB = 2 ** 20
const START_MBIT = 100
const MAX_MBIT = 500
const MORE_MBIT = 50
const MAX_PASSES = 29
const FEW_PAGES = 50
const MAX_FACTOR = 3
const BYTES_A_MBIT = 125_000

/** What to do at the end of each pass. */
export class AdaptiveRate {
  mbit = START_MBIT
  #passes = 0
  #sentLast = Number.POSITIVE_INFINITY
  #sentInAll = 0

  constructor(readonly ramPages: number) {}

  /** A pass sent so many pages in `ns`, and so many are dirty at its end; true: stop the guest. */
  passed(sent: number, dirty: number, ns: number): boolean {
    this.#passes++
    this.#sentInAll += sent
    // 2. Xen looks at the rate that this pass had.
    const grows = sent > this.#sentLast && this.mbit === MAX_MBIT
    const isLast = grows || this.#passes >= MAX_PASSES || sent < FEW_PAGES || this.#sentInAll > MAX_FACTOR * this.ramPages
    this.#sentLast = sent
    // 1.
    const dirtiedMbit = (dirty * 4096 * 8e3) / ns
    if (dirtiedMbit > this.mbit) this.mbit = Math.min(MAX_MBIT, Math.floor(dirtiedMbit) + MORE_MBIT)
    return isLast
  }
}

const GUESTS = [
  { name: 'SPECweb', ms: 210, guest: 'web:rate=1k/s', mib: 800 },
  { name: 'Quake 3 server', ms: 60, guest: 'sweep:set=512k,rate=10MB/s', mib: 64 },
] as const
const cell = (name: string) => `${name}, time that it stood`

export const ADAPTIVE_RATE: PublishedTable = {
  id: 'T15',
  title: 'the downtime of the first live migrations, with a rate that follows the guest',
  source: 'Clark et al., "Live migration of virtual machines", NSDI 2005, abstract; xc_linux_save.c of Xen for the rule',
  stated: [
    '1 Gb/s',
    'SPECweb99 and a Quake 3 server',
    'the rate: from 100 to 500 Mb/s, what was dirtied in the last pass and 50 more',
  ],
  ours: [
    'guests of 800 and of 64 MiB',
    'SPECweb: the guest web at 1,000 requests a second, 350 connections of 320 to 400 kb/s [from memory]',
    'Quake 3: 512 KiB written over in each frame, 20 frames a second, the default of its server [from memory]',
    'a page that is written again in a pass before it is sent is sent all the same; Xen leaves it to the next',
    'device state as of a small virtio machine, 10 ms; of Xen 2.0 not known',
  ],
  band: 'a factor of 2 either way: the guests are models, and what Xen needed besides sending pages is not stated',
  seeds: 3,
  cells: within(
    2,
    'ms',
    GUESTS.map(({ name, ms }) => [cell(name), ms] as const),
  ),
  measure,
}

function* measure(seed: number): Generator<string, Values, void> {
  const values: Record<string, number> = {}
  for (const { name, guest, mib } of GUESTS) {
    const operator = new Operator((mib * MIB) / 4096)
    const { run } = yield* migrate(
      name,
      {
        mode: 'precopy',
        capabilities: DEFAULT_CAPABILITIES,
        parameters: { ...DEFAULT_PARAMETERS, 'max-bandwidth': START_MBIT * BYTES_A_MBIT },
        guest,
        memBytes: mib * MIB,
        vcpus: 1,
        bandwidthBitsPerSec: 1e9,
        downtimeLimitNs: 1e6,
        seed,
      },
      Number.POSITIVE_INFINITY,
      (run) => operator.look(run),
    )
    values[cell(name)] = (run.state.downtimeEndNs - Math.min(operator.stoppedNs, run.state.downtimeStartNs)) / 1e6
  }
  return values
}

/** Speaks to a migration at the end of each of its passes. */
class Operator {
  stoppedNs = Number.POSITIVE_INFINITY
  readonly #rule: AdaptiveRate
  #syncs = 0
  #pages = 0
  #startNs = 0

  constructor(ramPages: number) {
    this.#rule = new AdaptiveRate(ramPages)
  }

  look({ state, rates, control, nowNs }: MigrationRun): void {
    if (state.dirtySyncCount === this.#syncs || this.stoppedNs < Number.POSITIVE_INFINITY) return
    const isPass = this.#syncs > 0
    const [sent, ns] = [this.#pages, state.syncedNs - this.#startNs]
    this.#syncs = state.dirtySyncCount
    this.#pages = state.dirtyAtSync
    this.#startNs = state.syncedNs
    if (!isPass || rates === null) return
    const isLast = this.#rule.passed(sent, state.dirtyAtSync, ns)
    rates.maxBandwidth = (isLast ? MAX_MBIT : this.#rule.mbit) * BYTES_A_MBIT
    if (isLast && control.stop() === null) this.stoppedNs = nowNs
  }
}
