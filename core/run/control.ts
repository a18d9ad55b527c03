/**
 * What somebody may say to a migration that is under way: QEMU's monitor commands, as the terminal, a script or a screen give them.
 *
 * Each answers null, or half a sentence that says why not, as QEMU has it: then nothing has happened. What was said takes effect
 * when the migration next looks, as there. It is no part of the options: a run that somebody has spoken to is not made again by
 * its command. Source: QEMU, migration/migration.c.
 */
import type { MigrationRun } from './migration_run.ts'

const NOT_STARTED = 'has nothing to act on yet, since the guest boots first; say it again in a moment'

export class MigrationControl {
  /** Somebody is there who may speak: a migration that pauses, before the switch or in post-copy, waits for a word. */
  attended = false
  readonly #run: MigrationRun
  #postcopyAsked = false

  constructor(run: MigrationRun) {
    this.#run = run
  }

  /** Pre-copy is to end with the next batch of pages. @qemu start_postcopy */
  get postcopyAsked(): boolean {
    return this.#postcopyAsked
  }

  /** @qemu qmp_migrate_start_postcopy */
  startPostcopy(): string | null {
    const { options, state } = this.#run
    if (!options.capabilities['postcopy-ram'])
      return 'needs postcopy-ram, which is off in this migration; start one with mode hybrid, or with capability postcopy-ram=on'
    if (state.status === 'none') return NOT_STARTED
    this.#postcopyAsked = true
    return null
  }

  /** The guest is to go on at the source. @qemu qmp_migrate_cancel */
  cancel(): string | null {
    return this.#command('cancel')
  }

  /** The connection is broken on purpose, and post-copy waits for a recovery. @qemu qmp_migrate_pause */
  pause(): string | null {
    return this.#command('pause')
  }

  /** A post-copy that is paused is to go on as soon as the link is up. @qemu qmp_migrate_recover, migrate -r */
  recover(): string | null {
    const { state, incidents } = this.#run
    if (state.status !== 'postcopy-paused') return `a migration that is ${state.status} has nothing to recover`
    if (!incidents.canRecover) return 'release-ram rules out a recovery; what was on its way is lost'
    if (incidents.crashed.size > 0) return `the ${[...incidents.crashed][0].name} crashed; there is nobody to connect to`
    incidents.recover()
    return null
  }

  /** One that pauses before the switch, and is in `expected` as whoever speaks believes, is to go on. @qemu qmp_migrate_continue */
  continueFrom(expected: string): string | null {
    const { state, outgoing } = this.#run
    if (state.status !== expected) return `Migration not in expected state: ${state.status}`
    outgoing?.switchover.proceed(this.#run.nowNs)
    return null
  }

  /** The guest stands where it is; the migration goes on, and starts it where it ends. @qemu qmp_stop */
  stop(): string | null {
    const { state, source, vm } = this.#run
    if (state.status === 'none') return NOT_STARTED
    if (state.downtimeStartNs > 0) return 'comes too late: the guest is leaving the source, or has left it'
    if (!vm.isRunning) return 'has nothing to do, since the guest already stands'
    const monitor = source.makeThread('monitor')
    source.start(monitor, vm.stop(monitor), this.#run.nowNs)
    return null
  }

  #command(what: 'cancel' | 'pause'): string | null {
    return this.#run.state.status === 'none' ? NOT_STARTED : this.#run.incidents.command(what)
  }
}
