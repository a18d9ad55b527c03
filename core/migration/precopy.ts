/**
 * Pre-copy: guest RAM is sent while the guest runs, again and again what it wrote, until what is left is little enough.
 *
 *  1. setup (RamState.setup): every page is dirty, the log is on.
 *  2. an iteration: how much is left? If little, by the bitmap, ask the kernel's log too; if little still, 3. Else send some.
 *     A guest that writes faster than the link carries would never let it end: so there is a last iteration.
 *  3. completion: stop the vCPUs; sync once more, since they wrote until they stood; send all that is left (ram_save.ts).
 *
 * Source: QEMU, migration/migration.c. @qemu migration_thread, migration_iteration_run, migration_completion
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { RamState } from './ram_save.ts'

export interface PrecopyOptions {
  readonly ram: RamState
  /** As few dirty pages as this can be sent while the guest stands. @qemu threshold_size */
  readonly threshold: number
  /** Host pages between two looks at how much is left. */
  readonly batch: number
  /** At most so many iterations. @qemu max_iters, of guestperf */
  readonly iterations: number
  /** Stops all vCPUs; answers when the last has stopped. @qemu vm_stop_force_state */
  readonly stopVcpus: (k: Thread) => Proc<void>
}

/** From the first page to the last, after 1; the guest stands afterwards, and the destination has, or will get, all of it. */
export function* precopy(k: Thread, o: PrecopyOptions): Proc<void> {
  // 2.
  for (let n = 0; n < o.iterations && !(yield* isLittleLeft(k, o)); n++) yield* o.ram.iterate(k, o.batch)
  // 3.
  yield* o.stopVcpus(k)
  yield* o.ram.complete(k)
}

/** @qemu qemu_savevm_state_pending_estimate, qemu_savevm_state_pending_exact */
function* isLittleLeft(k: Thread, { ram, threshold }: PrecopyOptions): Proc<boolean> {
  if (ram.pending > threshold) return false
  yield* ram.sync(k)
  return ram.pending <= threshold
}
