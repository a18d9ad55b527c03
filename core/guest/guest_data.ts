/**
 * What a guest's files hold, read and checked: plain data, for machines that run the guest and read no files.
 *
 * Pairs with catalog.ts, whose workloads these are: a captured process as it is there, and traces that are there whole (recorded.ts).
 */
import type { Prng } from '../base/prng.ts'
import type { Capture, CapturedMemory } from './capture.ts'
import { type GuestChoice, makeWorkloads } from './catalog.ts'
import { LackeyWorkload } from './lackey.ts'
import { RecordedWorkload } from './recorded.ts'
import type { Workload } from './workload.ts'

export interface GuestData {
  /** Accesses of each trace, one a vCPU. */
  readonly traces: readonly Int32Array[]
  readonly capture: Capture | null
}

/** Of a guest that needs no file. */
export const NO_DATA: GuestData = { traces: [], capture: null }

/** As makeWorkloads, with traces that never run dry. */
export function workloadsOf(
  guest: GuestChoice,
  ramPages: number,
  vcpus: number,
  prng: Prng,
  { traces, capture }: { readonly traces: readonly Int32Array[]; readonly capture: CapturedMemory | null },
): (Workload | null)[] {
  return makeWorkloads(guest, ramPages, vcpus, prng, capture).map((workload, vcpu) => {
    const accesses = traces[vcpu]
    return workload instanceof LackeyWorkload && accesses !== undefined
      ? new RecordedWorkload(accesses, workload.thinkNs)
      : workload
  })
}
