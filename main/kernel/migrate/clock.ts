/**
 * The host's monotonic clock in ns, the same in every thread and process; and sleeping on it as the model's Procs do.
 *
 * `performance.now` is the cheapest way to ask, and counts from another moment in each thread: that moment is found once.
 * runInRealTime drives a Proc of the model's that needs nothing but the time (pre-copy's iterations): it sleeps where the Proc says so.
 */
import type { Proc } from '../../../core/engine/op.ts'
import type { Sleeper } from '../../../core/engine/task.ts'

const TRIES = 100
const originNs = findOrigin()

export function nowNs(): number {
  return originNs + performance.now() * 1e6
}

/** CLOCK_MONOTONIC at the moment from which performance.now counts: of several tries, the one in whose middle nobody else ran. */
function findOrigin(): number {
  let origin = 0
  let shortest = Number.POSITIVE_INFINITY
  for (let i = 0; i < TRIES; i++) {
    const before = performance.now()
    const [seconds, ns] = process.hrtime()
    const after = performance.now()
    if (after - before >= shortest) continue
    shortest = after - before
    origin = seconds * 1e9 + ns - ((before + after) / 2) * 1e6
  }
  return origin
}

const never = new Int32Array(new SharedArrayBuffer(4))

/** The thread sleeps; for worker threads only. */
export function sleepUntil(atNs: number): void {
  const ms = (atNs - nowNs()) / 1e6
  if (ms > 0) Atomics.wait(never, 0, 0, ms)
}

export class RealClock implements Sleeper {
  wakeAtNs = 0

  get nowNs(): number {
    return nowNs()
  }
}

/** The Proc's answer. */
export function runInRealTime<T>(clock: RealClock, proc: Proc<T>): T {
  for (;;) {
    const result = proc.next()
    if (result.done === true) return result.value
    if (result.value.kind !== 'sleep') throw new Error(`a Proc on the real clock cannot wait for ${result.value.kind}`)
    sleepUntil(clock.wakeAtNs)
  }
}
