/**
 * The recorder: events as columns in chunks, and a hash over all of them.
 *
 * 1. `event` mixes the row into the hash, always.
 * 2. If the recorder keeps rows, it appends them to the newest chunk (65,536 rows a chunk, 19 bytes a row).
 *
 * A run that nobody will look at keeps nothing and still has the same hash as one that is kept. Rows stand in execution
 * order; their times may overlap between lanes by up to one quantum of the clock gear.
 */
import { Hash64 } from '../base/hash.ts'
import type { EventKind, Lane } from './event.ts'

const CHUNK_ROWS = 65_536

interface Chunk {
  readonly timeNs: Float64Array
  readonly kind: Uint8Array
  readonly lane: Uint16Array
  readonly page: Int32Array
  readonly arg: Int32Array
}

function makeChunk(): Chunk {
  return {
    timeNs: new Float64Array(CHUNK_ROWS),
    kind: new Uint8Array(CHUNK_ROWS),
    lane: new Uint16Array(CHUNK_ROWS),
    page: new Int32Array(CHUNK_ROWS),
    arg: new Int32Array(CHUNK_ROWS),
  }
}

export class Recorder {
  readonly keep: boolean
  readonly lanes: Lane[] = []
  readonly #chunks: Chunk[] = []
  readonly #hash = new Hash64()
  #open: Chunk | null = null
  #inOpen = 0
  #rows = 0
  #maxNs = 0

  constructor(options: { readonly keep: boolean }) {
    this.keep = options.keep
  }

  /** Rows kept so far (0 if this recorder keeps none). */
  get rows(): number {
    return this.keep ? this.#rows : 0
  }

  /** Events seen so far, kept or not. */
  get events(): number {
    return this.#rows
  }

  addLane(lane: Lane): number {
    this.#hash.text(`${lane.machine}/${lane.name}`)
    return this.lanes.push(lane) - 1
  }

  event(timeNs: number, kind: EventKind, lane: number, page: number, arg: number): void {
    // Time in units of 1/1024 ns, fine enough to tell any two runs apart; Hash64 takes 32 bits at a time.
    this.#hash.row(timeNs * 1024, timeNs / 4_194_304, (kind << 16) | lane, page ^ Math.imul(arg, 0x9e3779b1))
    this.#rows++
    if (!this.keep) return
    let chunk = this.#open
    if (chunk === null || this.#inOpen === CHUNK_ROWS) {
      chunk = makeChunk()
      this.#chunks.push(chunk)
      this.#open = chunk
      this.#inOpen = 0
    }
    const i = this.#inOpen++
    if (timeNs > this.#maxNs) this.#maxNs = timeNs
    chunk.timeNs[i] = timeNs
    chunk.kind[i] = kind
    chunk.lane[i] = lane
    chunk.page[i] = page
    chunk.arg[i] = arg
  }

  /** 16 hex digits over every event so far. */
  hash(): string {
    return this.#hash.digest()
  }

  /** The largest time of any row so far. */
  get endNs(): number {
    return this.#maxNs
  }

  time(row: number): number {
    return this.#chunks[row >>> 16].timeNs[row & 0xffff]
  }

  kind(row: number): EventKind {
    return this.#chunks[row >>> 16].kind[row & 0xffff] as EventKind
  }

  lane(row: number): number {
    return this.#chunks[row >>> 16].lane[row & 0xffff]
  }

  page(row: number): number {
    return this.#chunks[row >>> 16].page[row & 0xffff]
  }

  arg(row: number): number {
    return this.#chunks[row >>> 16].arg[row & 0xffff]
  }
}
