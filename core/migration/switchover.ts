/**
 * The state device, and the pause before it: the vCPUs stand already, and nothing of the guest's last state has been sent.
 *
 * With pause-before-switchover whoever manages both machines now does what it has to, and says migrate_continue. Where nobody is
 * there who could, it goes on by itself, at once: as libvirt does when its own work is done. However long it takes is downtime.
 * A cancel ends the pause, and the guest goes on at the source; a connection that breaks does not: that shows when it is used.
 *
 * Pairs with source.ts, which goes through here on its way into completion and into post-copy. Source: QEMU, migration/migration.c.
 * @qemu migration_switchover_prepare, qmp_migrate_continue
 */
import { BLOCK, type Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { MigrationState } from './migration_state.ts'

export class Switchover {
  readonly #state: MigrationState
  readonly #startVcpus: (k: Thread) => void
  readonly #waits: (() => boolean) | null
  #waiter: Thread | null = null

  /** `waits`: null, no pause; else whether somebody is there to end it. */
  constructor(state: MigrationState, startVcpus: (k: Thread) => void, waits: (() => boolean) | null) {
    this.#state = state
    this.#startVcpus = startVcpus
    this.#waits = waits
  }

  /** When the vCPUs stand; false: it was cancelled, and they go on. */
  *prepare(k: Thread): Proc<boolean> {
    const state = this.#state
    if (state.status !== 'cancelling' && this.#waits !== null) {
      state.set(k, 'pre-switchover')
      if (this.#waits()) yield* this.#pause(k)
    }
    if (state.status === 'cancelling') {
      this.#startVcpus(k)
      return false
    }
    state.set(k, 'device')
    return true
  }

  /** migrate_continue; without effect where nothing waits for it. */
  proceed(nowNs: number): void {
    const waiter = this.#waiter
    this.#waiter = null
    waiter?.wake(nowNs)
  }

  *#pause(k: Thread): Proc<void> {
    this.#waiter = k
    while (this.#waiter !== null && this.#state.status === 'pre-switchover') {
      k.park('migrate_continue')
      yield BLOCK
    }
    this.#waiter = null
  }
}
