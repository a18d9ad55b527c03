/**
 * A trace that was read whole: its accesses as plain numbers, for a vCPU that cannot wait for more of its file.
 *
 * LackeyWorkload reads and places, here as in a simulated run, so the accesses are the same ones in the same order; behind the last comes the
 * first again, as a trace starts over. A trace that is streamed has no limit; one that is handed to threads has (MOST_ACCESSES).
 */
import { formatCount } from '../base/units.ts'
import { type LackeyWorkload, TraceError } from './lackey.ts'
import { BLOCK_ACCESSES, type Workload } from './workload.ts'

/** Of one trace: 256 MiB of them, and over a gigabyte of the file's text. */
export const MOST_ACCESSES = 2 ** 26

export class RecordedWorkload implements Workload {
  readonly accessesPerOp = 1
  readonly bootPages = 0
  readonly #accesses: Int32Array
  #at = 0

  constructor(
    accesses: Int32Array,
    readonly thinkNs: number,
  ) {
    this.#accesses = accesses
  }

  fill(out: Int32Array): number {
    if (this.#at === this.#accesses.length) this.#at = 0
    const part = this.#accesses.subarray(this.#at, this.#at + BLOCK_ACCESSES)
    out.set(part)
    this.#at += part.length
    return part.length
  }
}

/** All accesses of a trace, from its first line to its last. Null: stopped. Throws TraceError. */
export async function recordTrace(
  trace: LackeyWorkload,
  blocks: AsyncIterable<Uint8Array>,
  stop: { readonly aborted: boolean },
  most = MOST_ACCESSES,
): Promise<Int32Array | null> {
  const block = new Int32Array(BLOCK_ACCESSES)
  let accesses = new Int32Array(BLOCK_ACCESSES)
  let length = 0
  const take = () => {
    for (let n = trace.fill(block); n > 0; n = trace.fill(block)) {
      if (length + n > most) throw tooLong(trace.path, most)
      if (length + n > accesses.length) {
        const larger = new Int32Array(accesses.length * 2)
        larger.set(accesses)
        accesses = larger
      }
      accesses.set(block.subarray(0, n), length)
      length += n
    }
  }
  for await (const bytes of blocks) {
    if (stop.aborted) return null
    trace.feed(bytes)
    take()
  }
  trace.feed(null)
  take()
  return accesses.subarray(0, length)
}

function tooLong(path: string, most: number): TraceError {
  return new TraceError(
    `${path}: the trace has more than ${formatCount(most)} accesses, the most that a thread is handed; cut it short with head, or give it to migrate, which reads any length`,
  )
}
