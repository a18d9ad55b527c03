/**
 * What drives the iterations of a pre-copy: how much may be left, how much goes between two looks, and when to sleep.
 *
 * Pairs with precopy.ts, which iterates, and rates.ts, which knows the speed.
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { MigrationState } from './migration_state.ts'
import type { IterationEnd, PrecopyOptions } from './precopy.ts'
import type { RamState } from './ram_save.ts'
import type { Rates } from './rates.ts'

/** Host pages that are sent between two looks at anything else. */
const BATCH = 1024
/** @qemu MAX_WAIT */
const MAX_WAIT_NS = 50_000_000

/** A pre-copy's speed and its end. */
export interface PrecopyDrive {
  readonly rates: Rates
  /** Called before each iteration. */
  readonly onIteration: (k: Thread) => void
  /** What else was asked for meanwhile. */
  readonly asked: (k: Thread) => Exclude<IterationEnd, 'completion'> | null
  /** After so long without one, the bitmap is synced in the middle of a pass; Infinity: never. @qemu cpu_throttle_dirty_sync_timer */
  readonly syncEveryNs: number
}

export interface Driven {
  readonly ram: RamState
  readonly state: MigrationState
  readonly hostPages: number
  readonly isBroken: () => boolean
  readonly stopVcpus: (k: Thread) => Proc<void>
}

/** The options of the iterations that begin now. */
export function drivenPrecopy(k: Thread, drive: PrecopyDrive, driven: Driven): PrecopyOptions {
  const { rates, onIteration, asked } = drive
  const { ram, state, hostPages, isBroken, stopVcpus } = driven
  rates.start(k.nowNs)
  return {
    ram,
    threshold: (thread) => {
      rates.update(thread.nowNs, state.dirtyAtSync * 4096, ram.pending === 0)
      onIteration(thread)
      return rates.threshold(thread.nowNs)
    },
    batch: () => Math.min(BATCH, Math.ceil(rates.allowance / hostPages)),
    batchNs: MAX_WAIT_NS,
    asked: (thread) => (isBroken() ? 'broken' : asked(thread)),
    pace: (thread) => pace(thread, drive, driven),
    stopVcpus,
  }
}

function* pace(k: Thread, { rates, syncEveryNs }: PrecopyDrive, { ram, state }: Driven): Proc<void> {
  if (k.nowNs - state.syncedNs >= syncEveryNs) yield* ram.sync(k)
  if (ram.pending === 0) yield* rates.drain(k)
  yield* rates.limit(k)
}
