/**
 * What a guest's files hold, where both machines find it: a memfd, which no file stands for, written once by the coordinator.
 *
 * It is no part of the migration, as a guest's generator is none: both sides' vCPUs follow it, and it is where a page's captured content is
 * known from when a page is first written and when all are compared. The layout is plain data that goes with a machine's setup.
 *
 *     | accesses of each trace | content number of each captured page | samples: times, ends of their runs, runs | 4096 bytes of each content |
 */
import type { CapturedMemory } from '../../../core/guest/capture.ts'
import type { GuestData } from '../../../core/guest/guest_data.ts'
import { PAGE_BYTES } from '../sys/mapping.ts'

/** A column: its first byte, and how many numbers. */
interface Column {
  readonly at: number
  readonly length: number
}

export interface GuestLayout {
  readonly bytes: number
  readonly traces: readonly Column[]
  readonly capture: {
    readonly firstPages: number
    readonly contentOf: Column
    readonly sampleTimes: Column
    /** Of each sample, where its runs end among all runs. */
    readonly sampleEnds: Column
    readonly runs: Column
    /** Null: the file has no contents. */
    readonly contents: Column | null
  } | null
}

type Numbers = Int32Array | Float64Array | Uint8Array

/** Columns one behind the other. */
class Packer {
  bytes = 0
  readonly parts: { readonly at: number; readonly numbers: Numbers }[] = []

  /** Parts of a column, which are of one kind and a multiple of eight bytes each but for the last. */
  add(...numbers: readonly Numbers[]): Column {
    const at = Math.ceil(this.bytes / 8) * 8
    this.bytes = at
    for (const part of numbers) {
      this.parts.push({ at: this.bytes, numbers: part })
      this.bytes += part.byteLength
    }
    return { at, length: numbers.reduce((n, { length }) => n + length, 0) }
  }
}

export interface PackedGuest {
  readonly layout: GuestLayout
  /** Into memory of so many bytes. */
  write(buffer: ArrayBuffer): void
}

/** Null: the guest needs none. */
export function packGuest({ traces, capture }: GuestData): PackedGuest | null {
  if (traces.length === 0 && capture === null) return null
  const packer = new Packer()
  const columns = {
    traces: traces.map((accesses) => packer.add(accesses)),
    capture: capture === null ? null : packCapture(packer, capture),
  }
  return {
    layout: { ...columns, bytes: packer.bytes },
    write: (buffer) => {
      const bytes = new Uint8Array(buffer)
      for (const { at, numbers } of packer.parts) {
        bytes.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), at)
      }
    },
  }
}

function packCapture(packer: Packer, { firstPages, contentOf, samples, bytes }: NonNullable<GuestData['capture']>) {
  const ends = new Int32Array(samples.length)
  let end = 0
  for (const [i, { runs }] of samples.entries()) {
    end += runs.length
    ends[i] = end
  }
  return {
    firstPages,
    contentOf: packer.add(contentOf),
    sampleTimes: packer.add(Float64Array.from(samples, ({ timeUs }) => timeUs)),
    sampleEnds: packer.add(ends),
    runs: packer.add(...samples.map(({ runs }) => runs)),
    contents: bytes === null ? null : packer.add(...bytes),
  }
}

/** What a page holds besides the words that vCPUs own, once it has been written: 1024 words, or null for zeros. */
export type ContentOf = (page: number) => Int32Array | null

export const NO_CONTENT: ContentOf = () => null

/** As a machine's threads see it. */
export interface SharedGuest {
  readonly traces: readonly Int32Array[]
  readonly capture: CapturedMemory | null
  readonly contentOf: ContentOf
}

export const NO_GUEST: SharedGuest = { traces: [], capture: null, contentOf: NO_CONTENT }

export function readGuest(buffer: ArrayBuffer, { traces, capture }: GuestLayout): SharedGuest {
  const ints = ({ at, length }: Column) => new Int32Array(buffer, at, length)
  if (capture === null) return { ...NO_GUEST, traces: traces.map(ints) }
  const times = new Float64Array(buffer, capture.sampleTimes.at, capture.sampleTimes.length)
  const ends = ints(capture.sampleEnds)
  const runs = ints(capture.runs)
  const contentOf = ints(capture.contentOf)
  const { firstPages, contents } = capture
  return {
    traces: [],
    capture: {
      firstPages,
      contentOf,
      samples: Array.from(times, (timeUs, i) => ({ timeUs, runs: runs.subarray(i === 0 ? 0 : ends[i - 1], ends[i]) })),
    },
    contentOf:
      contents === null
        ? NO_CONTENT
        : (page) => {
            const content = contentOf[page] ?? -1
            return content < 0 ? null : new Int32Array(buffer, contents.at + content * PAGE_BYTES, PAGE_BYTES / 4)
          },
  }
}
