/**
 * Background snapshot: the destination gets an image of the guest as it is at one moment, and the guest runs on, here.
 *
 *  1. Before that moment: memory is prepared for write tracking (write_tracking.ts).
 *  2. The moment: stop the vCPUs, save the devices into a buffer, write-protect all memory, let the vCPUs go on. What they load is as
 *     before; a store to a page that was not yet saved sleeps.
 *  3. Until every page is saved: a page that somebody waits to write goes first, else the next. Save it, and only then release it:
 *     so each page goes as it was at the moment, once.
 *  4. The devices, from the buffer, come last: their state is that of the moment, too. Then memory is as before.
 *
 * A connection that breaks leaves a useless image and a guest that never noticed: 4. without the devices.
 * Source: QEMU, migration/migration.c. @qemu bg_migration_thread, bg_migration_iteration_run, bg_migration_completion
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Link } from '../hw/link.ts'
import type { Process } from '../machine/process.ts'
import type { DeviceState } from './device_state.ts'
import type { MigrationState } from './migration_state.ts'
import type { RamState } from './ram_save.ts'
import { StreamMessage } from './ram_stream.ts'
import { WriteTracking } from './write_tracking.ts'

export interface SnapshotOptions {
  readonly ram: RamState
  readonly process: Process
  readonly ramPage: number
  readonly pages: number
  readonly hostPages: number
  readonly deviceState: DeviceState
  readonly stream: Link
  readonly state: MigrationState
  readonly stopVcpus: (k: Thread) => Proc<void>
  readonly startVcpus: (k: Thread) => void
  /** The moment: every vCPU stands. */
  readonly onMoment: () => void
}

export class BackgroundSnapshot {
  readonly tracking: WriteTracking
  readonly #o: SnapshotOptions

  constructor(options: SnapshotOptions) {
    this.#o = options
    this.tracking = new WriteTracking(options.process, options.ramPage, options.pages)
  }

  /** 1. */
  prepare(k: Thread): Proc<void> {
    return this.tracking.prepare(k)
  }

  /** 2. to 4. */
  *take(k: Thread): Proc<void> {
    const { stream, state, deviceState, stopVcpus, startVcpus, onMoment } = this.#o
    // 2.
    state.downtimeStartNs = k.nowNs
    yield* stopVcpus(k)
    onMoment()
    k.cpu.nowNs += deviceState.saveNs
    yield* this.tracking.start(k)
    startVcpus(k)
    // 3.
    yield* this.#savePages(k)
    // 4.
    if (!stream.broken) yield* stream.send(k, StreamMessage.Devices, -1, deviceState.bytes)
    yield* this.tracking.stop(k)
  }

  *#savePages(k: Thread): Proc<void> {
    const { ram, hostPages, stream } = this.#o
    while (ram.pending > 0 && !stream.broken) {
      const page = yield* this.tracking.fault(k)
      const first = page < 0 ? ram.nextDirty() : page - (page % hostPages)
      yield* ram.saveHostPage(k, first)
      // Where the connection broke within the page, nobody will read the image: stop lets everybody write.
      if (!stream.broken) yield* this.tracking.release(k, first, hostPages)
    }
  }
}
