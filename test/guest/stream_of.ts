/**
 * The stream of a guest, for tests: workloads as the catalog makes them, and their accesses taken apart.
 *
 * An access is page * 4 + word * 2 + store.
 */
import { Prng } from '../../core/base/prng.ts'
import { makeWorkloads, parseGuest } from '../../core/guest/catalog.ts'
import { BLOCK_ACCESSES, type Workload } from '../../core/guest/workload.ts'

export interface Access {
  readonly page: number
  readonly word: number
  readonly store: boolean
}

/** The accesses of so many blocks. */
export function take(workload: Workload | null | undefined, blocks: number): Access[] {
  const out = new Int32Array(BLOCK_ACCESSES)
  const taken: Access[] = []
  for (let b = 0; b < blocks; b++) {
    const n = workload?.fill(out) ?? 0
    for (const a of out.subarray(0, n)) taken.push({ page: a >>> 2, word: (a >>> 1) & 1, store: (a & 1) === 1 })
  }
  return taken
}

/** The guest's workloads, one a vCPU. */
export function made(text: string, ramPages: number, vcpus = 1, seed = 1): (Workload | null)[] {
  const parse = parseGuest(text)
  if (!parse.ok) throw new Error(parse.message)
  return makeWorkloads(parse.guest, ramPages, vcpus, new Prng(seed))
}
