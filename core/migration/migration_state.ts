/**
 * The state of one migration and its figures, in QEMU's words. Both sides and the report read it; the source writes it.
 *
 * Only the transitions in NEXT are legal; each is an event in the trace, and so is each sync of the dirty bitmap (passed).
 * They are those of QEMU 10.1's migrate_set_state on the source, each with its caller. Left out: leaving QEMU, which cancels
 * whatever runs, and errors of a socket that does not exist yet, which fail a recovery.
 *
 * Source: QEMU, migration/migration.c, migration/colo.c; qapi/migration.json, MigrationStatus.
 */
import { fail } from '../base/assert.ts'
import type { Thread } from '../hw/cpu.ts'
import { EventKind, MIGRATION_STATUS, type MigrationStatus } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'

/** What may follow what; everything else is a bug. */
const NEXT: Readonly<Record<MigrationStatus, readonly MigrationStatus[]>> = {
  // migrate_init
  none: ['setup'],
  // qemu_savevm_wait_unplug (the first two), migration_connect_set_error, migration_cancel
  setup: ['active', 'wait-unplug', 'failed', 'cancelling'],
  // qemu_savevm_wait_unplug, migration_cancel
  'wait-unplug': ['active', 'cancelling'],
  // migration_switchover_prepare (the first two), bg_migration_completion, migration_detect_error, migration_cancel
  active: ['pre-switchover', 'device', 'completed', 'failed', 'cancelling'],
  // migration_switchover_prepare after migrate_continue, multifd_send_set_error, migration_cancel
  'pre-switchover': ['device', 'failed', 'cancelling'],
  // postcopy_start, migration_completion_end, migration_completion (COLO, and its failure), migration_cancel
  device: ['postcopy-active', 'completed', 'colo', 'failed', 'cancelling'],
  // migration_completion_end, migration_completion, postcopy_pause; it cannot be cancelled: qmp_migrate_cancel refuses
  'postcopy-active': ['completed', 'failed', 'postcopy-paused'],
  // migrate_prepare, by migrate -r
  'postcopy-paused': ['postcopy-recover-setup'],
  // migration_connect; migration_connect_set_error: a post-copy never fails for its connection
  'postcopy-recover-setup': ['postcopy-recover', 'postcopy-paused'],
  // migrate_handle_rp_resume_ack; postcopy_pause, once more round its loop
  'postcopy-recover': ['postcopy-active', 'postcopy-paused'],
  // primary_vm_do_failover
  colo: ['completed'],
  // migration_cleanup
  cancelling: ['cancelled'],
  completed: [],
  failed: [],
  cancelled: [],
}

export class MigrationState {
  status: MigrationStatus = 'none'
  startNs = 0
  setupNs = 0
  endNs = 0
  downtimeStartNs = 0
  downtimeEndNs = 0
  /** Pages sent with content, and as zero records. */
  normal = 0
  duplicate = 0
  /** Bytes sent while the guest ran here, while it was stopped, and after the switch. */
  precopyBytes = 0
  downtimeBytes = 0
  postcopyBytes = 0
  /** Pages that the source has not yet sent. */
  remaining = 0
  dirtySyncCount = 0
  /** Pages dirtied a second, from the last sync but one to the last; and dirty at the last. @qemu dirty-pages-rate, dirty_bytes_last_sync */
  dirtyPagesRate = 0
  dirtyAtSync = 0
  /** How long the last sync took, and when it ended. */
  syncNs = 0
  syncedNs = 0
  requests = 0
  /** One sentence, when failed. */
  error = ''
  onChange: (status: MigrationStatus, nowNs: number) => void = () => {}

  constructor(readonly recorder: Recorder) {}

  /** @qemu migrate_set_state */
  set(k: Thread, status: MigrationStatus): void {
    if (!NEXT[this.status].includes(status)) fail(`migration goes from ${this.status} to ${status}`)
    this.status = status
    this.recorder.event(k.nowNs, EventKind.State, k.lane, -1, MIGRATION_STATUS.indexOf(status))
    this.onChange(status, k.nowNs)
  }

  /** A sync, begun at `startNs`, found `dirtied` pages more: a pass is over, and `pages` are dirty for the next. The event MIGRATION_PASS of QMP. */
  passed(k: Thread, startNs: number, dirtied: number, pages: number): void {
    if (this.dirtySyncCount > 0 && k.nowNs > this.syncedNs) this.dirtyPagesRate = (dirtied * 1e9) / (k.nowNs - this.syncedNs)
    this.dirtySyncCount++
    this.dirtyAtSync = pages
    this.remaining = pages
    this.syncNs = k.nowNs - startNs
    this.syncedNs = k.nowNs
    this.recorder.event(k.nowNs, EventKind.Pass, k.lane, -1, pages)
  }

  get isOver(): boolean {
    return this.status === 'completed' || this.status === 'failed' || this.status === 'cancelled'
  }
}
