/**
 * Stride: hints from the stream of requests. Requests that lie near each other are one stream; what is pushed first are the pages
 * that it would come to next, at the distance that it kept so far.
 *
 *  1. A request belongs to the newest stream whose last request is at most NEAR pages away. Its stride is the distance between
 *     the two, unless that is a whole number of strides: then pages in between had been pushed, and the stride stays.
 *  2. A request near none begins a stream, in place of the one that was quiet longest; it has no stride yet.
 *  3. Streams take turns, the newest first: each pushes up to AHEAD pages at its stride. Pages that were sent count, and are skipped.
 *  4. When all of that is pushed, the scan goes on behind the last request, as forward does.
 *
 * Streams of several vCPUs are told apart by place, as a prefetcher in hardware does: a request does not say whose it is.
 * Ours; cf. Al Maruf and Chowdhury, "Effectively prefetching remote memory with Leap", USENIX ATC 2020.
 */
import { ForwardPolicy } from './forward.ts'
import type { PrepagingPolicy, Unsent } from './policy.ts'

const STREAMS = 8
const NEAR = 512
const AHEAD = 64

interface Stream {
  last: number
  /** 0: not known yet. */
  stride: number
  /** Steps of the stride that were looked at since the last request. */
  steps: number
}

export class StridePolicy implements PrepagingPolicy {
  readonly name = 'stride'
  readonly waits = false
  count = 0
  /** Newest first. */
  readonly #streams: Stream[] = []
  #turn = 0
  readonly #rest = new ForwardPolicy()

  requested(page: number): void {
    this.#rest.requested(page)
    const streams = this.#streams
    // 1.
    const i = streams.findIndex(({ last }) => Math.abs(page - last) <= NEAR)
    // 2.
    const known = i >= 0 ? streams.splice(i, 1)[0] : streams.length === STREAMS ? streams.pop() : undefined
    const stream = known ?? { last: page, stride: 0, steps: 0 }
    const distance = page - stream.last
    if (i < 0) stream.stride = 0
    else if (stream.stride === 0 || distance % stream.stride !== 0) stream.stride = distance
    stream.last = page
    stream.steps = 0
    streams.unshift(stream)
    this.#turn = 0
  }

  next(unsent: Unsent, most: number): number {
    const streams = this.#streams
    // 3.
    for (let quiet = 0; quiet < streams.length; quiet++) {
      const stream = streams[this.#turn]
      this.#turn = (this.#turn + 1) % streams.length
      const page = advance(stream, unsent)
      if (page < 0) continue
      this.count = 1
      return page
    }
    // 4.
    const page = this.#rest.next(unsent, most)
    this.count = this.#rest.count
    return page
  }
}

/** The stream's next unsent page, or -1. */
function advance(stream: Stream, unsent: Unsent): number {
  while (stream.stride !== 0 && stream.steps < AHEAD) {
    const page = stream.last + ++stream.steps * stream.stride
    if (page < 0 || page >= unsent.length) {
      stream.steps = AHEAD
      return -1
    }
    if (unsent.has(page)) return page
  }
  return -1
}
