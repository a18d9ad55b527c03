/**
 * Which lines of page tables the data caches hold: what a read of a walk costs.
 *
 * A line is eight entries, 64 bytes. Two direct-mapped sets of tags, near and far, stand for the part of two caches that holds page
 * tables; a read finds its line near, far, or in memory, and leaves it in both. No data cache is modelled beside them, so how much
 * of a cache is left to page tables is a number of the preset. A walk along neighbouring pages reads memory once in eight.
 *
 * Lines are never dropped: a table that is written is still in a cache, whoever wrote it.
 */
import { WINDOW_PAGES_MAX } from './page_table.ts'
import type { CpuPreset } from './preset.ts'

/** Bits of a slot within its line. */
export const LINE_SHIFT = 3
/** Far more lines than a window can have tables. */
const LINES_MAX = WINDOW_PAGES_MAX >>> LINE_SHIFT

export class TableLines {
  /** The line that each place holds, -1 for none. */
  readonly near: Int32Array
  readonly far: Int32Array
  readonly nearMask: number
  readonly farMask: number
  readonly nearNs: number
  readonly farNs: number
  readonly memoryNs: number

  /** `more`: lines of tables beyond those that map the window. */
  constructor(preset: CpuPreset, windowPages: number, more = 0) {
    const nsPerCycle = 1 / preset.clockGHz.value
    // More places than there are lines would never be used.
    const most = Math.min(LINES_MAX, linesOfWindow(windowPages) + more)
    this.near = new Int32Array(powerOfTwo(Math.min(most, preset.nearTableLines.value))).fill(-1)
    this.far = new Int32Array(powerOfTwo(Math.min(most, preset.farTableLines.value))).fill(-1)
    this.nearMask = this.near.length - 1
    this.farMask = this.far.length - 1
    this.nearNs = preset.nearReadCycles.value * nsPerCycle
    this.farNs = preset.farReadCycles.value * nsPerCycle
    this.memoryNs = preset.memoryReadCycles.value * nsPerCycle
  }

  /** Reads the line; what that takes, in ns. */
  read(line: number): number {
    const near = line & this.nearMask
    if (this.near[near] === line) return this.nearNs
    this.near[near] = line
    const far = line & this.farMask
    if (this.far[far] === line) return this.farNs
    this.far[far] = line
    return this.memoryNs
  }
}

/** Of the tables that map a window: half as much again as the leaf tables have. */
export function linesOfWindow(windowPages: number): number {
  return (windowPages >>> LINE_SHIFT) * 1.5 + 64
}

/** The lowest that is no less than n: a place is the low bits of a line. */
function powerOfTwo(n: number): number {
  return 2 ** (32 - Math.clz32(Math.ceil(Math.max(1, n)) - 1))
}
