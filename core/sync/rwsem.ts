/**
 * A reader-writer semaphore: mmap_lock, the anon_vma root's lock.
 *
 * It may be held across sleeps. First come, first served: a reader waits behind a waiting writer, so that writers do not
 * starve. In the step gear that order is a choice: unless `queues` is set, a waiter is not ready until the lock is free for it,
 * and the scheduler chooses among the waiters, which covers every order but loses the wait of a reader behind a queued writer.
 * In the clock gear a free lock carries the times at which its last writer and last reader left; whoever asks for
 * it earlier on another CPU moves its clock there. Whoever waits sleeps, and pays for being woken (`wakeupNs`), with the lock
 * already its own; only a writer behind a running writer spins instead, which costs nothing more. A subclass above 0 tells lockdep that a second lock of the same class
 * is meant (down_write_nested).
 *
 * Source: kernel/locking/rwsem.c.
 * @kernel down_read, up_read, down_write, up_write, down_read_trylock, down_write_trylock
 */
import { fail, violate } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import type { Release } from '../engine/memory_order.ts'
import { AccessMode, BLOCK, type Gate, NOTHING, type Proc, QUANTUM } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import { CacheLine } from './cache_line.ts'

function* turn(): Proc<void> {
  yield QUANTUM
}

interface Waiter {
  readonly task: Task
  readonly write: boolean
  granted: boolean
}

export class Rwsem {
  writer: Task | null = null
  readers = 0
  /** Step gear: waiters queue up, first come, first served, for races that need it. */
  queues = false
  readonly #queue: Waiter[] = []
  #writerLeftNs = 0
  #readersLeftNs = 0
  /** Readers that the last writer has woken. */
  #woken = 0
  readonly #line: CacheLine | null
  /** What those who left had stored and not everybody sees yet. */
  #left: Release | null = null
  readonly #readGate: Gate = this.#gateFor(() => this.#readFree())
  readonly #writeGate: Gate = this.#gateFor(() => !this.isHeld && this.#isLeft)
  readonly #queueGate: Gate = this.#gateFor(() => this.#isLeft)

  constructor(
    readonly id: number,
    readonly label: string,
    readonly costNs: number,
    /** Clock gear: from the lock being free to a sleeper running with it. */
    readonly wakeupNs = 0,
    /** Clock gear: from one CPU's cache to another's, for a lock that many CPUs take; 0: not modelled. */
    lineTransferNs = 0,
    /** Clock gear: what waking one sleeper takes of whoever wakes it. */
    readonly wakerNs = 0,
    /** Clock gear: all CPUs that may want it, for the longest queue at its line. */
    cpus?: { readonly length: number },
  ) {
    this.#line = lineTransferNs > 0 ? new CacheLine(lineTransferNs, cpus) : null
  }

  #gateFor(opens: () => boolean): Gate {
    return { opens, describe: () => `${this.label} ${this.id}`, holder: () => this.writer }
  }

  get isHeld(): boolean {
    return this.writer !== null || this.readers > 0
  }

  /** Clock gear: nobody holds it, waits for it, or left it later than `nowNs`. */
  isFreeAt(nowNs: number): boolean {
    return !this.isHeld && this.#queue.length === 0 && this.#writerLeftNs <= nowNs && this.#readersLeftNs <= nowNs
  }

  downRead(k: Task, subclass = 0): Proc<void> {
    if (k.lockdep !== null) k.lockdep.asks(k, this.label, this.id, 'read', subclass)
    if (!k.stepping && this.#readFree()) {
      const askedNs = k.clock.nowNs
      this.#enterRead(k, subclass)
      return this.#caughtUp(k, askedNs)
    }
    return this.#wait(k, false, subclass)
  }

  downWrite(k: Task, subclass = 0): Proc<void> {
    if (k.lockdep !== null) k.lockdep.asks(k, this.label, this.id, 'sleep', subclass)
    if (!k.stepping && !this.isHeld && this.#queue.length === 0) {
      const askedNs = k.clock.nowNs
      this.#enterWrite(k, subclass)
      return this.#caughtUp(k, askedNs)
    }
    return this.#wait(k, true, subclass)
  }

  /**
   * Who had to wait is ahead of the other CPUs now, and lets them catch up before it goes on: else the locks it takes next
   * would be held in their future, and they would wait for what has not happened yet.
   */
  #caughtUp(k: Task, askedNs: number): Proc<void> {
    return k.clock.nowNs > askedNs + this.costNs && k.expired ? turn() : NOTHING
  }

  /** Takes the lock for reading if that needs no sleep. Announce the access before calling it in the step gear. */
  tryRead(k: Task, subclass = 0): boolean {
    if (!this.#readFree()) return false
    this.#enterRead(k, subclass)
    return true
  }

  tryWrite(k: Task, subclass = 0): boolean {
    if (this.isHeld || this.#queue.length > 0 || !this.#isLeft) return false
    this.#enterWrite(k, subclass)
    return true
  }

  #readFree(): boolean {
    return this.writer === null && this.#queue.length === 0 && this.#isLeft
  }

  get #isLeft(): boolean {
    return this.#left === null || this.#left.isVisible
  }

  #enterRead(k: Task, subclass: number): void {
    this.readers++
    if (k.memory !== null) k.memory.acquire(k)
    if (k.lockdep !== null) k.lockdep.takes(k, this.label, this.id, 'read', subclass)
    const clock = k.clock
    if (this.#writerLeftNs > clock.nowNs) {
      // The writer that leaves wakes its sleepers one after the other.
      clock.nowNs = this.#writerLeftNs + this.wakeupNs + this.#woken++ * this.wakerNs
    }
    clock.nowNs += this.costNs
    this.#line?.touch(clock)
  }

  #enterWrite(k: Task, subclass: number): void {
    this.writer = k
    if (k.memory !== null) {
      k.memory.acquire(k)
      this.#left = null
    }
    if (k.lockdep !== null) k.lockdep.takes(k, this.label, this.id, 'sleep', subclass)
    const clock = k.clock
    // Behind a writer it spins; behind readers, who are not known one by one, it sleeps.
    if (this.#readersLeftNs > clock.nowNs && this.#readersLeftNs >= this.#writerLeftNs) {
      clock.nowNs = this.#readersLeftNs + this.wakeupNs
    } else if (this.#writerLeftNs > clock.nowNs) clock.nowNs = this.#writerLeftNs
    clock.nowNs += this.costNs
    this.#line?.touch(clock)
  }

  *#wait(k: Task, write: boolean, subclass: number): Proc<void> {
    if (k.stepping && this.writer === k) violate('I-DEAD', `${k.name} takes ${this.label} ${this.id} while writing it`)
    if (k.stepping) {
      const gate = this.queues ? this.#queueGate : write ? this.#writeGate : this.#readGate
      // Whoever joins a queue changes it for all.
      const mode = write || this.queues ? AccessMode.acquire : AccessMode.acquireShared
      yield { kind: 'access', mode, object: this.id, label: this.label, gate }
    }
    if (write ? this.tryWrite(k, subclass) : this.tryRead(k, subclass)) return
    if (this.writer === k) violate('I-DEAD', `${k.name} takes ${this.label} ${this.id} while writing it`)
    const waiter: Waiter = { task: k, write, granted: false }
    this.#queue.push(waiter)
    while (!waiter.granted) {
      k.park(`${this.label} ${this.id}`, () => this.writer)
      yield BLOCK
    }
    if (write) this.#enterWrite(k, subclass)
    else {
      this.readers--
      this.#enterRead(k, subclass)
    }
  }

  #leaveStep(k: Task, mode: AccessMode): void {
    // Where memory reorders, leaving shuts the lock for readers, too, until what was stored is visible.
    touch(this.id, this.label, k.memory === null ? mode : AccessMode.write)
    if (k.memory !== null) this.#left = k.memory.release(k, this, this.#left, true)
  }

  upRead(k: Task): void {
    if (this.readers <= 0) violate('I-DEAD', `${k.name} leaves ${this.label} ${this.id}, which has no reader`)
    if (k.lockdep !== null) k.lockdep.gives(k, this.label, this.id)
    if (k.stepping) this.#leaveStep(k, this.queues ? AccessMode.release : AccessMode.releaseShared)
    this.readers--
    this.#line?.touch(k.clock)
    if (k.clock.nowNs > this.#readersLeftNs) this.#readersLeftNs = k.clock.nowNs
    if (this.#queue.length > 0) this.#grant(k)
  }

  upWrite(k: Task): void {
    if (this.writer !== k)
      violate('I-DEAD', `${k.name} leaves ${this.label} ${this.id}, written by ${this.writer?.name ?? 'nobody'}`)
    if (k.lockdep !== null) k.lockdep.gives(k, this.label, this.id)
    if (k.stepping) this.#leaveStep(k, AccessMode.release)
    this.#line?.touch(k.clock)
    this.#woken = 0
    this.writer = null
    this.#writerLeftNs = k.clock.nowNs
    if (this.#queue.length > 0) this.#grant(k)
  }

  /** The writer becomes a reader, and lets in the readers at the head of the queue. @kernel downgrade_write */
  downgrade(k: Task): void {
    if (this.writer !== k) fail(`${k.name} downgrades ${this.label} ${this.id}, written by ${this.writer?.name ?? 'nobody'}`)
    if (k.lockdep !== null) {
      k.lockdep.gives(k, this.label, this.id)
      k.lockdep.takes(k, this.label, this.id, 'read')
    }
    if (k.stepping) this.#leaveStep(k, AccessMode.release)
    this.#woken = 0
    this.writer = null
    this.#writerLeftNs = k.clock.nowNs
    this.readers++
    if (this.#queue.length > 0) this.#grant(k)
  }

  /** Hands the lock to the head of the queue: one writer, or all readers before the next writer. */
  #grant(k: Task): void {
    while (this.#queue.length > 0) {
      const head = this.#queue[0]
      if (head.write) {
        if (this.isHeld) return
        this.#queue.shift()
        this.writer = head.task
        head.granted = true
        this.#wakeSleeper(k, head.task)
        return
      }
      if (this.writer !== null) return
      this.#queue.shift()
      this.readers++
      head.granted = true
      this.#wakeSleeper(k, head.task)
    }
  }

  /** Waking is work of whoever leaves, one sleeper after the other. @kernel wake_up_q, try_to_wake_up */
  #wakeSleeper(k: Task, sleeper: Task): void {
    if (!k.stepping) k.clock.nowNs += this.wakerNs
    sleeper.wake(k.clock.nowNs + this.wakeupNs)
  }
}
