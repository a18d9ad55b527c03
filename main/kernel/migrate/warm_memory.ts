/**
 * Memory that the destination will take, taken once and given back before the migration begins.
 *
 * On a virtual machine the first touch of a page may have to wait for the hypervisor, which has not handed that memory out yet, or has
 * taken it back: three times as long as placing a page takes. That is no part of a migration. Pages that were freed just now lie
 * on top of the kernel's free lists, where the next who asks finds them.
 */
import { setImmediate } from 'node:timers/promises'
import { Mapping } from '../sys/mapping.ts'
import { MADV } from '../sys/uapi.ts'

/** In one go, a few ms; then whoever else has something to do has a turn. */
const PORTION_BYTES = 16 * 2 ** 20

export async function warmMemory(bytes: number, stop: { readonly aborted: boolean }): Promise<void> {
  const memory = Mapping.anonymous(bytes)
  try {
    for (let at = 0; at < bytes && !stop.aborted; at += PORTION_BYTES) {
      memory.advise(MADV.populateWrite, at, Math.min(PORTION_BYTES, bytes - at))
      await setImmediate()
    }
  } finally {
    memory.unmap()
  }
}
