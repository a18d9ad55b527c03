/**
 * Pre-copy: guest RAM is sent while the guest runs, again and again what it wrote, until what is left is little enough.
 *
 *  1. setup (RamState.setup): every page is dirty, the log is on.
 *  2. an iteration: was something else asked for meanwhile? How much is left? If little, by the bitmap, ask the kernel's log too; if
 *     little still, 3. Else send for a while. A guest that writes faster than the link carries would never let it end.
 *  3. completion: stop the vCPUs; sync once more, since they wrote until they stood; send all that is left (ram_save.ts).
 *
 * Post-copy, where it is asked for, comes first: it starts at the end of a pass, or at once, however little is left.
 * Source: QEMU, migration/migration.c. @qemu migration_thread, migration_iteration_run, migration_completion
 */
import type { Proc } from '../engine/op.ts'
import type { Sleeper } from '../engine/task.ts'
import type { Thread } from '../hw/cpu.ts'
import type { RamState } from './ram_save.ts'

/** Why the iterations ended: little enough is left; or what was asked for. */
export type IterationEnd = 'completion' | 'postcopy' | 'cancel' | 'broken'

/** What the iterations ask of RAM: of the model's (ram_save.ts), or of the real kernel's (main/kernel/migrate). */
export interface PrecopyRam<K> {
  /** Pages that are dirty, as far as is known. */
  readonly pending: number
  /** Learns what was written since the last time. */
  sync(k: K): Proc<void>
  /** Sends at most so many host pages, and not much longer than until then. */
  iterate(k: K, most: number, untilNs: number): Proc<void>
  /** What was kept back to go with more goes now. [nothing is kept back] */
  sendQueued?(k: K): Proc<void>
}

export interface PrecopyOptions<K = Thread> {
  readonly ram: PrecopyRam<K>
  /** As few dirty pages as this can be sent while the guest stands; asked before each iteration. @qemu threshold_size */
  readonly threshold: (k: K) => number
  /** Host pages between two looks at how much is left. */
  readonly batch: () => number
  /** Nor longer than this between two looks. @qemu MAX_WAIT */
  readonly batchNs?: number
  /** At most so many iterations. [as many as it takes] */
  readonly iterations?: number
  /** What else was asked for meanwhile, if anything. */
  readonly asked?: (k: K) => Exclude<IterationEnd, 'completion'> | null
  /** Between two iterations: sleeps where more must not be sent now. @qemu migration_rate_limit */
  readonly pace?: (k: K) => Proc<void>
}

export interface WholePrecopyOptions extends PrecopyOptions {
  readonly ram: RamState
  /** Stops all vCPUs; answers when the last has stopped. @qemu vm_stop_force_state */
  readonly stopVcpus: (k: Thread) => Proc<void>
}

/** From the first page to the last, after 1, with nothing in between; the guest stands afterwards, and the destination has, or will get, all of it. */
export function* precopy(k: Thread, o: WholePrecopyOptions): Proc<void> {
  yield* iterate(k, o)
  yield* o.stopVcpus(k)
  yield* o.ram.complete(k)
}

/** 2., until the guest should stop; why. @qemu migration_iteration_run */
export function* iterate<K extends Sleeper>(k: K, o: PrecopyOptions<K>): Proc<IterationEnd> {
  const { ram, batch, batchNs = Number.POSITIVE_INFINITY, iterations = Number.POSITIVE_INFINITY } = o
  for (let n = 0; n < iterations; n++) {
    const isLittle = yield* isLittleLeft(k, o)
    const asked = o.asked?.(k) ?? null
    if (asked !== null) return asked
    if (isLittle) break
    yield* ram.iterate(k, batch(), k.nowNs + batchNs)
    if (o.pace !== undefined) yield* o.pace(k)
  }
  return 'completion'
}

/** @qemu qemu_savevm_state_pending_estimate, qemu_savevm_state_pending_exact */
function* isLittleLeft<K>(k: K, { ram, threshold }: PrecopyOptions<K>): Proc<boolean> {
  if (ram.pending > threshold(k)) return false
  yield* ram.sync(k)
  return ram.pending <= threshold(k)
}
