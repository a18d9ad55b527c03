/**
 * Which pages are dirty at a sync although the copy on the wire is current: they were written before this pass sent them, and not since.
 *
 * A recorder that looks along: at each Send it notes how often the page had been written; at each Pass it asks of every dirty page
 * whether it was written since. The dirty log cannot know, since it marks a store whether or not its page was sent already.
 * Source: Chunguang Li, qemu-devel, September and November 2016: "should only mark pages as dirty after they have been sent".
 */
import { EventKind } from '../../trace/event.ts'
import { Recorder } from '../../trace/recorder.ts'
import type { MigrationRun } from '../migration_run.ts'
import type { MigrateOptions } from '../options.ts'
import { driven, makeRun } from './migration.ts'

const NEVER_SENT = 2 ** 32 - 1

export class FalselyDirtyCount extends Recorder {
  /** After pass 1, 2, ...: percent of the dirty pages. */
  readonly shares: number[] = []
  #run: MigrationRun | null = null
  #sentVersion = new Uint32Array(0)

  constructor() {
    super({ keep: false })
  }

  watch(run: MigrationRun): void {
    this.#run = run
    this.#sentVersion = new Uint32Array(run.pages).fill(NEVER_SENT)
  }

  override event(timeNs: number, kind: EventKind, lane: number, page: number, arg: number): void {
    super.event(timeNs, kind, lane, page, arg)
    if (this.#run === null) return
    if (kind === EventKind.Send) this.#sentVersion[page] = this.#run.shadow.version[page]
    if (kind === EventKind.Pass) this.#count(this.#run)
  }

  #count({ outgoing, shadow, state }: MigrationRun): void {
    // The first sync comes before anything was sent.
    if (outgoing === null || state.dirtySyncCount < 2) return
    const { bits } = outgoing.ram.dirty
    let [dirty, falsely] = [0, 0]
    for (let page = bits.nextSet(0); page >= 0; page = bits.nextSet(page + 1)) {
      dirty++
      if (this.#sentVersion[page] === shadow.version[page]) falsely++
    }
    this.shares.push(dirty === 0 ? 0 : (100 * falsely) / dirty)
  }
}

/** The shares of the first `passes` passes. */
export function* falselyDirty(
  label: string,
  options: Partial<MigrateOptions>,
  passes: number,
): Generator<string, readonly number[], void> {
  const count = new FalselyDirtyCount()
  const run = makeRun(options, count)
  count.watch(run)
  yield* driven(label, run, passes)
  return count.shares
}
