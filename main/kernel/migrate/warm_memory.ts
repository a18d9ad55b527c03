/**
 * Memory that the destination will take, taken once before the migration and given back as it begins.
 *
 * On a virtual machine the first touch of a page may have to wait for the hypervisor, which has not handed that memory out yet, or has
 * taken it back: three times as long as placing a page takes. That is no part of a migration. Pages that were freed just now lie
 * on top of the kernel's free lists, where the next who asks finds them; those that have lain there for a while may have been reported to
 * the hypervisor as free, and are gone again (mm/page_reporting.c), so they are held until the very moment.
 */
import { setImmediate } from 'node:timers/promises'
import { Mapping } from '../sys/mapping.ts'
import { MADV } from '../sys/uapi.ts'

/** In one go, a few ms; then whoever else has something to do has a turn. */
const PORTION_BYTES = 16 * 2 ** 20

export class WarmMemory {
  readonly #memory: Mapping

  private constructor(memory: Mapping) {
    this.#memory = memory
  }

  /** Takes so much, or less where it is told to stop. */
  static async take(bytes: number, stop: { readonly aborted: boolean }): Promise<WarmMemory> {
    const memory = Mapping.anonymous(bytes)
    try {
      await inPortions(memory, MADV.populateWrite, stop)
    } catch (e) {
      memory.unmap()
      throw e
    }
    return new WarmMemory(memory)
  }

  /** Once. */
  async giveBack(stop: { readonly aborted: boolean }): Promise<void> {
    try {
      await inPortions(this.#memory, MADV.dontNeed, stop)
    } finally {
      this.#memory.unmap()
    }
  }
}

async function inPortions(memory: Mapping, advice: number, stop: { readonly aborted: boolean }): Promise<void> {
  for (let at = 0; at < memory.length && !stop.aborted; at += PORTION_BYTES) {
    memory.advise(advice, at, Math.min(PORTION_BYTES, memory.length - at))
    await setImmediate()
  }
}
