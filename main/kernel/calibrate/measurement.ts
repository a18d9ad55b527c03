/**
 * What a calibration measures, and how one figure is made of many rounds.
 *
 * A round does the same thing many times between two looks at the clock. All measurements are made in several passes over the whole
 * list: others load the machine, but not all the time, so the pass with the lowest median counts, and the quartiles of its rounds
 * say how far they spread. The medians of the other passes are kept beside it.
 */
import { quantile } from 'simple-statistics'
import type { Measured } from '../../../core/hw/calibration.ts'
import type { Calls } from './calls.ts'
import type { Partner } from './partner.ts'

export interface Rig {
  readonly calls: Calls
  readonly partner: Partner
  /** CPUs that this process may use. */
  readonly cpus: readonly number[]
}

export interface Measurement {
  readonly name: string
  readonly what: string
  readonly unit: Measured['unit']
  /** Calls into C that one of them takes. */
  readonly calls: number
  /** One value a round. */
  readonly rounds: (rig: Rig) => number[]
  /** Makes no sense on a single CPU. */
  readonly needsTwoCpus?: boolean
}

/** What makes rounds: `timed`, or `besideSpinner`. */
export type Timer = typeof timed

/** ns of one of `times`, in each of `rounds` rounds. `prepare` and `clear` are not timed. */
export function timed(
  rounds: number,
  times: number,
  work: () => void,
  prepare: () => void = () => undefined,
  clear: () => void = () => undefined,
): number[] {
  return Array.from({ length: rounds }, () => {
    prepare()
    const startedAt = performance.now()
    work()
    const ns = (performance.now() - startedAt) * 1e6
    clear()
    return ns / times
  })
}

/** Of so much of its full speed a spinner has its CPU for itself. */
const BUSY_SHARE = 0.7

/** As `timed`, while the partner spins on another CPU; of the rounds, those in which it really had one, whoever else wants it. */
export function besideSpinner({ calls, partner, cpus }: Rig): Timer {
  return (rounds, times, work, prepare, clear) => {
    const [first = 0, second = first] = cpus
    calls.pin([first])
    partner.pin(second)
    const found = partner.whileSpinning(() =>
      Array.from({ length: rounds }, () => {
        let spun = 0
        const spinning = () => {
          const before = partner.spins
          work()
          // The counter is of 32 bits, and may turn over.
          spun = (partner.spins - before) >>> 0
        }
        const ns = timed(1, times, spinning, prepare, clear)[0] ?? 0
        return { ns, speed: spun / (ns * times) }
      }),
    )
    calls.pin(cpus)
    partner.pin(-1)
    const fastest = Math.max(...found.map(({ speed }) => speed))
    return found.filter(({ speed }) => speed >= BUSY_SHARE * fastest).map(({ ns }) => ns)
  }
}

/** The figure of all passes. `ffiNs`: what a call into C costs, which is not the kernel's. */
export function condensed(measurement: Measurement, passes: readonly (readonly number[])[], ffiNs: number): Measured {
  const { name, what, unit, calls } = measurement
  const isRate = unit === 'bytes/s'
  const medians = passes.map((rounds) => quantile([...rounds], 0.5))
  const seen = isRate ? Math.max(...medians) : Math.min(...medians)
  const best = passes[medians.indexOf(seen)] ?? []
  return {
    name,
    what,
    unit,
    calls,
    value: isRate ? seen : Math.max(0, seen - calls * ffiNs),
    seen,
    low: quantile([...best], 0.25),
    high: quantile([...best], 0.75),
    medians,
  }
}
