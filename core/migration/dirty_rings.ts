/**
 * Dirty tracking by rings: what a virtual machine monitor does with the rings of its vCPUs.
 *
 *  reap, by whoever needs it, under a lock:  1. every entry of every ring is collected into one bitmap.   2. what was collected is protected
 *  (KVM_RESET_DIRTY_RINGS), and the entries are free.
 *  sync: the same, and  3. the bitmap is taken.
 *
 * So what is taken is protected before the caller reads it (R63). And an entry that somebody has collected is in the bitmap before another
 * syncs: else the last sync would miss it, since it is in the ring no longer (R65). The kernel's lock (dirty_ring.ts) is taken in 2. only.
 *
 * Rings are reaped at each sync; by a vCPU whose ring is nearly full, which costs the vCPU that time; and each second by a thread
 * of its own, so that an idle vCPU's entries do not wait for ever. While vCPUs are limited (dirty_limit.ts), that thread rests and a vCPU
 * reaps its own ring only: else one vCPU would empty the rings of the others, and these would never be full.
 * The log starts with all pages protected, since what is writable must be in a ring.
 *
 * Source: QEMU, accel/kvm/kvm-all.c.
 * @qemu kvm_slots_lock, kvm_dirty_ring_reap, kvm_dirty_ring_reap_one, kvm_dirty_ring_flush, kvm_dirty_ring_reaper_thread, kvm_cpu_exec
 */
import { Bitmap } from '../base/bitmap.ts'
import { type Proc, SLEEP, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Process } from '../machine/process.ts'
import { addressOf, type DirtyRing, sys } from '../machine/syscall.ts'
import { Rwsem } from '../sync/rwsem.ts'
import type { DirtyTracker } from './dirty_tracker.ts'
import { check } from './host_page.ts'

/** QEMU's dirty-ring-size is 0, which is off; its documentation takes 4096. */
export const DIRTY_RING_ENTRIES = 4096
/** @qemu kvm_dirty_ring_reaper_thread */
const REAPER_NS = 1_000_000_000
/** Out of the guest, to user space and back, with QEMU's big lock between. Ours: a heavy exit is some thousand cycles. */
const EXIT_NS = 2000
/** To read an entry of 16 bytes, write its flag and set its bit. Ours: one cache line holds four. */
const COLLECT_NS = 10

export class DirtyRings implements DirtyTracker {
  readonly owesClears = false
  /** Times that a vCPU found its ring nearly full. */
  fulls = 0
  /** Pages that each vCPU has dirtied. @qemu CPUState.dirty_pages */
  readonly dirtyPages: Float64Array
  /** Where vCPUs are limited: ns that the vCPU sleeps when its ring is full. @qemu dirtylimit_in_service, throttle_us_per_full */
  limit: ((vcpu: number) => number) | null = null
  readonly #process: Process
  readonly #ramPage: number
  readonly #cpus: readonly number[]
  readonly #entries: number
  /** Collected, and not yet taken by a sync. @qemu KVMSlot.dirty_bmap */
  readonly #collected: Bitmap
  /** @qemu kvm_slots_lock */
  readonly #slotsLock: Rwsem
  #isLogging = false
  #rings: readonly DirtyRing[] = []

  /** `cpus`: the CPU that each vCPU runs on. */
  constructor(process: Process, ramPage: number, pages: number, cpus: readonly number[], entries = DIRTY_RING_ENTRIES) {
    this.#process = process
    this.#ramPage = ramPage
    this.#cpus = cpus
    this.#entries = entries
    this.#collected = new Bitmap(pages)
    this.dirtyPages = new Float64Array(cpus.length)
    const { lockNs, wakeupNs } = process.machine.kernel.preset
    this.#slotsLock = new Rwsem(0, 'kvm_slots_lock', lockNs.value, wakeupNs.value)
  }

  /** Pages that fit a ring. */
  get entries(): number {
    return this.#entries
  }

  *start(k: Thread): Proc<void> {
    const process = this.#process
    check(sys.dirtyRingsEnable(process, this.#cpus, this.#entries), 0, 'enabling dirty rings')
    this.#rings = sys.dirtyRings(process)
    const length = this.#collected.length * 4096
    check(yield* sys.dirtyLogStart(k, process, addressOf(this.#ramPage), length), 0, 'starting the dirty log')
    this.#isLogging = true
  }

  *sync(k: Thread, out: Bitmap): Proc<void> {
    const locks = yield* this.#lock(k)
    // 1. and 2.
    for (let vcpu = 0; vcpu < this.#rings.length; vcpu++) yield* this.#collect(k, vcpu)
    if (this.#process.machine.kernel.has('dirty-ring-reset')) yield* this.#reset(k)
    // 3.
    if (k.stepping) yield write(0, 'slot.dirty_bmap')
    const collected = this.#collected
    for (let page = collected.nextSet(0); page >= 0; page = collected.nextSet(page + 1)) out.set(page)
    collected.empty()
    if (locks) this.#slotsLock.upWrite(k)
    yield* this.#takeMarks(k, out)
  }

  /** What others than vCPUs wrote is in the log's bitmap. */
  *#takeMarks(k: Thread, out: Bitmap): Proc<void> {
    const address = addressOf(this.#ramPage)
    const { length } = this.#collected
    const marked = new Bitmap(length)
    check(yield* sys.dirtyLogGet(k, this.#process, address, length * 4096, marked), 0, 'reading the dirty log')
    if (marked.count === 0) return
    check(yield* sys.dirtyLogClear(k, this.#process, address, length * 4096, marked, address), 0, 'clearing the dirty log')
    for (let page = marked.nextSet(0); page >= 0; page = marked.nextSet(page + 1)) out.set(page)
  }

  /** Nothing is owed. */
  *clear(): Proc<void> {}

  *stop(k: Thread): Proc<void> {
    this.#isLogging = false
    yield* sys.dirtyLogStop(k, this.#process)
  }

  /** All rings, or that of one vCPU. */
  *reap(k: Thread, only = -1): Proc<void> {
    const locks = yield* this.#lock(k)
    // 1.
    if (only >= 0) yield* this.#collect(k, only)
    else for (let vcpu = 0; vcpu < this.#rings.length; vcpu++) yield* this.#collect(k, vcpu)
    // 2.
    yield* this.#reset(k)
    if (locks) this.#slotsLock.upWrite(k)
  }

  /** Whether the lock is the caller's, to be given back. */
  *#lock(k: Thread): Proc<boolean> {
    if (!this.#process.machine.kernel.has('dirty-ring-lock')) return false
    yield* this.#slotsLock.downWrite(k)
    return true
  }

  *#collect(k: Thread, vcpu: number): Proc<void> {
    const ring = this.#rings[vcpu]
    for (;;) {
      if (k.stepping) yield write(ring.cpu, 'dirty_ring')
      const page = ring.collect()
      if (page < 0) return
      k.cpu.nowNs += COLLECT_NS
      this.dirtyPages[vcpu]++
      if (k.stepping) yield write(0, 'slot.dirty_bmap')
      this.#collected.set(page - this.#ramPage)
    }
  }

  *#reset(k: Thread): Proc<void> {
    const reset = yield* sys.dirtyRingsReset(k, this.#process)
    check(Math.min(reset, 0), 0, 'resetting the dirty rings')
  }

  /** The vCPU on this CPU may not go on as it is. */
  isDue(k: Thread): boolean {
    return this.#process.mm.dirtyRings?.of(k.cpu.id)?.isSoftFull === true
  }

  /** KVM_EXIT_DIRTY_RING_FULL, by the vCPU; how long it sleeps then. */
  *handle(k: Thread): Proc<number> {
    const vcpu = this.#cpus.indexOf(k.cpu.id)
    this.fulls++
    k.cpu.nowNs += EXIT_NS
    yield* this.reap(k, this.limit === null ? -1 : vcpu)
    return this.limit?.(vcpu) ?? 0
  }

  /** A thread that reaps runs in the process whose memory is logged. */
  adopt(k: Thread): void {
    this.#process.adopt(k)
  }

  /** The thread that reaps each second, while there is a log. */
  *reaper(k: Thread): Proc<void> {
    this.adopt(k)
    for (;;) {
      k.wakeAtNs = k.nowNs + REAPER_NS
      yield SLEEP
      if (!this.#isLogging) return
      if (this.limit === null) yield* this.reap(k)
    }
  }
}
