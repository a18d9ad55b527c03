/**
 * The state of one migration and its figures, in QEMU's words. Both sides and the report read it; the source writes it.
 *
 * Only the transitions in NEXT are legal; each is an event in the trace. Source: qapi/migration.json, MigrationStatus.
 */
import { fail } from '../base/assert.ts'
import type { Thread } from '../hw/cpu.ts'
import { EventKind, MIGRATION_STATUS, type MigrationStatus } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'

/** What may follow what; everything else is a bug. */
const NEXT: Readonly<Partial<Record<MigrationStatus, readonly MigrationStatus[]>>> = {
  none: ['setup'],
  setup: ['active', 'failed'],
  active: ['device', 'failed'],
  device: ['postcopy-active', 'failed'],
  'postcopy-active': ['completed', 'failed'],
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
  /** Bytes sent while the guest was stopped, and after the switch. */
  downtimeBytes = 0
  postcopyBytes = 0
  /** Pages that the source has not yet sent. */
  remaining = 0
  dirtySyncCount = 0
  requests = 0
  /** One sentence, when failed. */
  error = ''
  onChange: (status: MigrationStatus) => void = () => {}

  constructor(readonly recorder: Recorder) {}

  /** @qemu migrate_set_state */
  set(k: Thread, status: MigrationStatus): void {
    if (!(NEXT[this.status]?.includes(status) ?? false)) fail(`migration goes from ${this.status} to ${status}`)
    this.status = status
    this.recorder.event(k.nowNs, EventKind.State, k.lane, -1, MIGRATION_STATUS.indexOf(status))
    this.onChange(status)
  }

  get isOver(): boolean {
    return this.status === 'completed' || this.status === 'failed'
  }
}
