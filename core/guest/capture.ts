/**
 * Memory of a real process as a guest: what `capture` found, and what `migrate --guest FILE.pfguest` runs.
 *
 * A page of the guest is a page that the process had populated: first those of the first look, by address, then those that came
 * later, as they came. Of a page there is its area, whether it was zero, and the number of its content: pages with one number held
 * the same bytes. A sample lists the pages that changed since the sample before. Pairs with capture_file.ts, its form as a file,
 * and captured.ts, the guest that does the same again.
 */
import type { CapturedContent, ContentKind } from '../hw/page_bytes.ts'

export const AREA_KINDS = ['anonymous', 'heap', 'stack', 'private file', 'other'] as const
/** Of an area of private memory; `other` is shared or the kernel's own, and its pages are not captured. */
export type AreaKind = (typeof AREA_KINDS)[number]

/** An area of memory, as /proc/PID/maps tells it. */
export interface CapturedArea {
  /** Number of its first page: its address, divided by 4096. */
  readonly start: number
  readonly pages: number
  /** `rw-p` */
  readonly perms: string
  readonly kind: AreaKind
}

export interface Sample {
  /** Behind the first look. */
  readonly timeUs: number
  /** Pages that changed, as pairs of first page and count, in order. */
  readonly runs: Int32Array
}

/** What contents no page has: it was zero. */
export const ZERO_CONTENT = -1

export interface Capture {
  /** The name of the process. */
  readonly command: string
  readonly kernel: string
  /** What was asked for, between two samples. */
  readonly intervalUs: number
  readonly areas: readonly CapturedArea[]
  /** Pages of the first look; the others came later. */
  readonly firstPages: number
  /** Of each page: the number of its area, its place in there, and the number of its content, or ZERO_CONTENT. */
  readonly areaOf: Int32Array
  readonly placeOf: Float64Array
  readonly contentOf: Int32Array
  /** Of each content: the kind of data that it looks like. */
  readonly kindOf: readonly ContentKind[]
  readonly samples: readonly Sample[]
  /** The 4096 bytes of each content, where they were asked for. */
  readonly bytes: readonly Uint8Array[] | null
}

/** What a guest needs of it that does the same again. */
export type CapturedMemory = Pick<Capture, 'firstPages' | 'contentOf' | 'samples'>

/** What its pages hold, for whoever compresses them: the bytes themselves, or bytes of their kind. */
export function contentOfCapture({ contentOf, kindOf, bytes }: Capture): CapturedContent {
  return {
    kindOf: (page) => kindOf[contentOf[page]] ?? 'heap',
    bytesOf: (page) => {
      const content = contentOf[page] ?? ZERO_CONTENT
      return bytes?.[content] ?? null
    },
  }
}

/** Pages in ascending order as runs. */
export function runsOf(pages: Int32Array): Int32Array {
  const runs: number[] = []
  for (let i = 0; i < pages.length; ) {
    let end = i + 1
    while (end < pages.length && pages[end] === pages[end - 1] + 1) end++
    runs.push(pages[i], end - i)
    i = end
  }
  return Int32Array.from(runs)
}

export interface Changes {
  /** Pages that changed at least once. */
  readonly pages: number
  /** Each sample counts a page once. */
  readonly total: number
}

export function changesOf({ contentOf, samples }: Capture): Changes {
  const changed = new Uint8Array(contentOf.length)
  let total = 0
  for (const { runs } of samples) {
    for (let i = 0; i < runs.length; i += 2) {
      changed.fill(1, runs[i], runs[i] + runs[i + 1])
      total += runs[i + 1]
    }
  }
  return { pages: changed.reduce((n, one) => n + one, 0), total }
}
