/**
 * Dirty rings: each vCPU writes down for itself which pages it made writable, and is made to stop when its ring is nearly full.
 *
 *  a store: faults; under the PTE lock, before the PTE gets W, the page goes into the ring of the vCPU on this CPU (dirty_log.ts,
 *  `mark`). What others write is marked in the log's bitmap (KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP).
 *  soft full: 64 entries are left; the vCPU does not go on before somebody has reset its ring (KVM_EXIT_DIRTY_RING_FULL).
 *  collect: user code takes entries out of a ring that it has mapped; the entries stay used.
 *  reset:  1. under slots_lock, for each collected entry of each ring: the entry is free again.   2. under its PTE lock the page
 *  loses W.   3. one flush.   What user code reads of a page after this includes every store that is in no ring.
 *
 * A page that can be written is in a ring or marked: collected is not enough, W goes in 2. Whoever has collected an entry must not
 * rely on it before a reset that began later is over, his own or another's; slots_lock makes that true (R63).
 * Modelled on hosts without PML: with it, hardware fills a buffer of 512 entries, which goes to the ring at the next exit.
 * Source: virt/kvm/dirty_ring.c; virt/kvm/kvm_main.c; Documentation/virt/kvm/api.rst, 8.29.
 * @kernel kvm_dirty_ring_push, kvm_dirty_ring_soft_full, kvm_dirty_ring_reset, kvm_vm_ioctl_reset_dirty_pages
 */
import { fail } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { Rwsem } from '../sync/rwsem.ts'
import { flushProtected, writeProtect } from './dirty_log.ts'
import { ERRNO } from './errno.ts'
import type { Mm } from './mm.ts'

/** Entries kept back for what one entry into the guest may dirty. @kernel KVM_DIRTY_RING_RSVD_ENTRIES */
export const RESERVED_ENTRIES = 64
/** @kernel KVM_DIRTY_RING_MAX_ENTRIES */
const MAX_ENTRIES = 65_536

export class DirtyRing {
  readonly #pages: Int32Array
  /** Entries ever written, collected and reset; each follows the one before. @kernel dirty_index, reset_index */
  #pushed = 0
  #collected = 0
  #reset = 0

  constructor(
    /** The CPU that its vCPU runs on. */
    readonly cpu: number,
    entries: number,
  ) {
    this.#pages = new Int32Array(entries)
  }

  push(page: number): void {
    const size = this.#pages.length
    if (this.#pushed - this.#reset >= size) fail(`the dirty ring of CPU ${this.cpu} has no room for page ${page}`)
    touch(this.cpu, 'dirty_ring', AccessMode.write)
    this.#pages[this.#pushed++ % size] = page
  }

  /** Its vCPU has to leave the guest. */
  get isSoftFull(): boolean {
    return this.#pushed - this.#reset >= this.#pages.length - RESERVED_ENTRIES
  }

  /** The oldest page that nobody has collected, now collected; -1: none. The caller has announced it. */
  collect(): number {
    touch(this.cpu, 'dirty_ring', AccessMode.write)
    return this.#collected < this.#pushed ? this.#pages[this.#collected++ % this.#pages.length] : -1
  }

  /** The oldest collected entry, now free; its page, or -1. */
  free(): number {
    touch(this.cpu, 'dirty_ring', AccessMode.write)
    return this.#reset < this.#collected ? this.#pages[this.#reset++ % this.#pages.length] : -1
  }
}

/** All rings of a guest. */
export class DirtyRings {
  readonly #byCpu: readonly (DirtyRing | undefined)[]
  readonly slotsLock: Rwsem

  constructor(
    readonly all: readonly DirtyRing[],
    mm: Mm,
  ) {
    const byCpu: DirtyRing[] = []
    for (const ring of all) byCpu[ring.cpu] = ring
    this.#byCpu = byCpu
    const { lockNs, wakeupNs } = mm.kernel.preset
    this.slotsLock = new Rwsem(mm.id, 'kvm.slots_lock', lockNs.value, wakeupNs.value)
  }

  of(cpu: number): DirtyRing | undefined {
    return this.#byCpu[cpu]
  }
}

/**
 * A ring of `entries` for the vCPU on each of these CPUs, before the log is started. 0; EINVAL for a size that is no power of two,
 * too large, or nothing but reserve; EBUSY if there are rings or a log. @kernel kvm_vm_ioctl_enable_dirty_log_ring
 */
export function dirtyRingsEnable(mm: Mm, cpus: readonly number[], entries: number): number {
  if ((entries & (entries - 1)) !== 0 || entries <= RESERVED_ENTRIES || entries > MAX_ENTRIES) return ERRNO.EINVAL
  if (mm.dirtyRings !== null || mm.dirtyLog !== null) return ERRNO.EBUSY
  mm.dirtyRings = new DirtyRings(
    cpus.map((cpu) => new DirtyRing(cpu, entries)),
    mm,
  )
  return 0
}

/** How many entries were reset, or EINVAL without rings. */
export function* dirtyRingsReset(k: Thread, mm: Mm): Proc<number> {
  const rings = mm.dirtyRings
  if (rings === null) return ERRNO.EINVAL
  yield* rings.slotsLock.downWrite(k)
  yield* mm.mmapLock.downRead(k)
  let [count, first, last] = [0, -1, -1]
  for (const ring of rings.all) {
    for (;;) {
      // 1.
      if (k.stepping) yield write(ring.cpu, 'dirty_ring')
      const page = ring.free()
      if (page < 0) break
      count++
      // 2.
      const slot = mm.table.walk(page)
      if (slot < 0) continue
      const lock = mm.kernel.pteLock(slot)
      yield* lock.lock(k)
      if (k.stepping) yield write(slot, 'pte')
      if (writeProtect(k, mm, slot)) {
        first = first < 0 ? page : Math.min(first, page)
        last = Math.max(last, page)
      }
      lock.unlock(k)
    }
  }
  // 3.
  yield* flushProtected(k, mm, first, last)
  mm.mmapLock.upRead(k)
  rings.slotsLock.upWrite(k)
  return count
}
