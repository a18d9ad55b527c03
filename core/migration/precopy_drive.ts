/**
 * What drives the iterations of a pre-copy: how much may be left, how much goes between two looks, and when to sleep.
 *
 * Pairs with precopy.ts, which iterates, and rates.ts, which knows the speed.
 */
import type { Proc } from '../engine/op.ts'
import type { Sleeper } from '../engine/task.ts'
import type { Thread } from '../hw/cpu.ts'
import type { MigrationState } from './migration_state.ts'
import type { IterationEnd, PrecopyOptions, PrecopyRam } from './precopy.ts'
import type { Rates } from './rates.ts'

/** Host pages that are sent between two looks at anything else. */
const BATCH = 1024
/** @qemu MAX_WAIT */
const MAX_WAIT_NS = 50_000_000

/** A pre-copy's speed and its end. */
export interface PrecopyDrive<K = Thread> {
  readonly rates: Rates
  /** Called before each iteration. */
  readonly onIteration: (k: K) => void
  /** What else was asked for meanwhile. */
  readonly asked: (k: K) => Exclude<IterationEnd, 'completion'> | null
  /** After so long without one, the bitmap is synced in the middle of a pass; Infinity: never. @qemu cpu_throttle_dirty_sync_timer */
  readonly syncEveryNs: number
}

export interface Driven<K = Thread> {
  readonly ram: PrecopyRam<K>
  readonly state: Pick<MigrationState, 'dirtyAtSync' | 'syncedNs'>
  readonly hostPages: number
  readonly isBroken: () => boolean
}

/** The options of the iterations that begin now. */
export function drivenPrecopy<K extends Sleeper>(k: K, drive: PrecopyDrive<K>, driven: Driven<K>): PrecopyOptions<K> {
  const { rates, onIteration, asked } = drive
  const { ram, state, hostPages, isBroken } = driven
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
  }
}

function* pace<K extends Sleeper>(k: K, { rates, syncEveryNs }: PrecopyDrive<K>, { ram, state }: Driven<K>): Proc<void> {
  if (k.nowNs - state.syncedNs >= syncEveryNs) yield* ram.sync(k)
  if (ram.pending === 0) {
    if (ram.sendQueued !== undefined) yield* ram.sendQueued(k)
    yield* rates.drain(k)
  }
  yield* rates.limit(k)
}
