/**
 * Feeding the lackey reader as a run does, and making traces for it to read.
 *
 * A block is fed when `fill` answers 0; after the last one comes null, and the reader is asked until it is dry.
 */
import fc from 'fast-check'
import type { LackeyWorkload } from '../../core/guest/lackey.ts'
import { BLOCK_ACCESSES } from '../../core/guest/workload.ts'

export interface Line {
  readonly kind: 'I ' | ' L' | ' S' | ' M'
  readonly address: number
  readonly size: number
}

/** Lines whose program pages fit into `ramPages`. */
export function linesOf(ramPages: number): fc.Arbitrary<Line[]> {
  const line: fc.Arbitrary<Line> = fc.record({
    kind: fc.constantFrom('I ', ' L', ' S', ' M'),
    address: fc.integer({ min: 0x4000000, max: 0x4000000 + (ramPages - 2) * 4096 }),
    size: fc.constantFrom(1, 2, 4, 8, 16, 32),
  })
  return fc.array(line, { minLength: 1, maxLength: 60 })
}

/** Without a newline at its end. */
export function textOf(lines: readonly Line[]): string {
  return lines.map(({ kind, address, size }) => `${kind} ${address.toString(16).padStart(8, '0')},${size}`).join('\n')
}

/** All that the reader makes of what it was fed. */
export function drain(workload: LackeyWorkload): number[] {
  const out = new Int32Array(BLOCK_ACCESSES)
  const all: number[] = []
  for (let n = workload.fill(out); n > 0; n = workload.fill(out)) for (const a of out.subarray(0, n)) all.push(a)
  return all
}

/** One pass over the trace; text is one byte a character. */
export function feedAll(workload: LackeyWorkload, blocks: readonly (string | Uint8Array)[]): number[] {
  const all: number[] = []
  for (const block of blocks) {
    workload.feed(typeof block === 'string' ? Uint8Array.from(block, (c) => c.charCodeAt(0)) : block)
    for (const a of drain(workload)) all.push(a)
  }
  workload.feed(null)
  for (const a of drain(workload)) all.push(a)
  return all
}
