/**
 * A sequence count: readers do not wait, they look twice. Odd means that somebody is writing.
 *
 *     begin: count += 1, write barrier          end: write barrier, count += 1
 *
 * A reader takes the count, reads its fields, and compares: equal and even means that nothing it read was half old.
 * One context may not begin twice: the count would be even while it writes (beginRaw leaves that check out). Two contexts
 * may be inside at once where something else orders what they change; whoever needs to be alone says so.
 *
 * In the clock gear a write section is atomic, but it lasts in simulated time: the count keeps when the last one began and
 * ended, and a reader on another CPU asks whether that overlaps its own reading. @kernel seqcount_t
 * Source: include/linux/seqlock.h.
 */
import { violate } from '../base/assert.ts'
import { type AccessOp, NOTHING, type Proc, write } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import { loading, seenBy, smpWmb, storing } from './barriers.ts'

export class Seqcount {
  sequence = 0
  /** Clock gear: the last write section. */
  beganNs = Number.NEGATIVE_INFINITY
  endedNs = Number.NEGATIVE_INFINITY
  readonly #writers: Task[] = []

  constructor(
    readonly id: number,
    readonly label: string,
    /** The fields it covers go through the store buffers (barriers.ts), and so does it. */
    readonly buffered = false,
  ) {}

  /** For barriers.ts. */
  labelOf(field: string): string | null {
    return this.buffered && field === 'sequence' ? this.label : null
  }

  /** Contexts inside a write section now. */
  get writers(): number {
    return this.#writers.length
  }

  /** A subclass above 0 says that a second area's count is meant. @kernel write_seqcount_begin, write_seqcount_begin_nested */
  begin(k: Task, subclass = 0): Proc<void> {
    if (this.#writers.includes(k))
      violate('I-SEQ', `${k.name} begins ${this.label} ${this.id} twice: the count would be even while it writes`)
    this.#writers.push(k)
    if (k.lockdep !== null) k.lockdep.takes(k, this.label, this.id, 'count', subclass)
    return this.beginRaw(k)
  }

  /** Without the check that lockdep gives. @kernel raw_write_seqcount_begin */
  beginRaw(k: Task): Proc<void> {
    if (k.stepping) return this.#beginStep(k)
    this.sequence++
    this.beganNs = k.clock.nowNs
    return NOTHING
  }

  *#beginStep(k: Task): Proc<void> {
    yield this.#announceWrite(k)
    seenBy(k, this).sequence = this.sequence + 1
    yield write(this.id, 'smp_wmb')
    smpWmb(k, 'seq-begin-wmb')
  }

  /** @kernel write_seqcount_end */
  end(k: Task): Proc<void> {
    this.leaveOdd(k)
    return this.endRaw(k)
  }

  /** Leaves the section and the count odd: whoever reads it from now on gives up. */
  leaveOdd(k: Task): void {
    const i = this.#writers.indexOf(k)
    if (i < 0) violate('I-SEQ', `${k.name} ends ${this.label} ${this.id}, which it did not begin`)
    this.#writers.splice(i, 1)
    if (k.lockdep !== null) k.lockdep.gives(k, this.label, this.id)
  }

  /** @kernel raw_write_seqcount_end */
  endRaw(k: Task): Proc<void> {
    if (k.stepping) return this.#endStep(k)
    this.sequence++
    this.endedNs = k.clock.nowNs
    return NOTHING
  }

  *#endStep(k: Task): Proc<void> {
    yield write(this.id, 'smp_wmb')
    smpWmb(k, 'seq-end-wmb')
    yield this.#announceWrite(k)
    seenBy(k, this).sequence = this.sequence + 1
  }

  /** The task is inside a write section. */
  isWriter(k: Task): boolean {
    return this.#writers.length > 0 && this.#writers.includes(k)
  }

  /** Somebody writes, as a reader at `k`'s time sees it, who read `sequence`. */
  isOdd(k: Task, sequence = this.sequence): boolean {
    if ((sequence & 1) !== 0) return true
    const now = k.clock.nowNs
    return !k.stepping && this.beganNs <= now && now < this.endedNs
  }

  /** The count is not `sequence`, which was read at `sinceNs`. Announce the read before asking. @kernel read_seqcount_retry */
  isChanged(k: Task, sequence: number, sinceNs: number): boolean {
    if (seenBy(k, this).sequence !== sequence) return true
    return !k.stepping && this.endedNs > sinceNs && this.beganNs <= k.clock.nowNs
  }

  /** The announcement that goes before a look at the count. */
  announce(k: Task): AccessOp {
    return loading(k, this.id, this.label)
  }

  #announceWrite(k: Task): AccessOp {
    return this.buffered ? storing(k, this.id, this.label) : write(this.id, this.label)
  }
}
