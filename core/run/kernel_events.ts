/**
 * What happens in a migration on the host's real kernel, as events of the model's own vocabulary: so that whatever shows or exports a
 * simulated run does the same with a real one.
 *
 * They come in portions while the run goes on, each later than the one before: plain columns of numbers, which a socket carries as
 * JSON. A row is about `count` pages from `page` on. Times are ns since the guest began to boot. There is nothing in it that nobody
 * saw: no TLB shootdown, and of a store only that it was made before a look at the dirty log.
 */
import type { EventKind, Lane } from '../trace/event.ts'
import { Recorder } from '../trace/recorder.ts'

export interface KernelEvents {
  /** Columns, all of one length, by time. */
  readonly timeNs: readonly number[]
  readonly kind: readonly number[]
  /** Indices into kernelLanes. */
  readonly lane: readonly number[]
  readonly page: readonly number[]
  readonly count: readonly number[]
  readonly arg: readonly number[]
  /** From then on there was no room to write them down, and nothing more will come; null: there is. */
  readonly missedFromNs: number | null
}

/** The threads that write events, besides the vCPUs of both sides. */
export const KERNEL_THREADS = [
  { name: 'migration', machine: 'source' },
  { name: 'return path', machine: 'source' },
  { name: 'listen', machine: 'destination' },
  { name: 'preempt', machine: 'destination' },
  { name: 'fault', machine: 'destination' },
] as const satisfies readonly Lane[]
export type KernelThread = (typeof KERNEL_THREADS)[number]['name']

/** Those threads, the source's vCPUs, the destination's. */
export function kernelLanes(vcpus: number): Lane[] {
  const lanes: Lane[] = [...KERNEL_THREADS]
  for (const machine of ['source', 'destination'] as const)
    for (let vcpu = 0; vcpu < vcpus; vcpu++) lanes.push({ name: `vCPU ${vcpu}`, machine })
  return lanes
}

/** Portions put together again: one row a page, as a simulated run records it. */
export class KernelRecording {
  readonly recorder: Recorder
  missedFromNs: number | null = null

  constructor(vcpus: number, keep: boolean) {
    this.recorder = new Recorder({ keep })
    for (const lane of kernelLanes(vcpus)) this.recorder.addLane(lane)
  }

  add({ timeNs, kind, lane, page, count, arg, missedFromNs }: KernelEvents): void {
    for (let row = 0; row < timeNs.length; row++) {
      const first = page[row]
      for (let n = 0; n < count[row]; n++)
        this.recorder.event(timeNs[row], kind[row] as EventKind, lane[row], first < 0 ? first : first + n, arg[row])
    }
    this.missedFromNs ??= missedFromNs
  }
}
