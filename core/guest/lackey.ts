/**
 * Real programs: the text that `valgrind --tool=lackey --trace-mem=yes` writes, as a workload.
 *
 *     I  049eb844,4        an instruction fetch, read as a load
 *      L 0517c010,8        a load        S 0517c008,8   a store        M 0517c000,4   a load, then a store
 *     ==1234== ...         valgrind's own lines are skipped
 *
 * Streamed: bytes come in blocks of any size, a line may lie across two of them, and nothing but the present block is
 * kept. A program page gets a free page of the program's share of guest RAM at its first touch, scattered over all of it as a guest
 * kernel's free lists are. At the end of the file the trace starts over. An access that crosses a page edge touches both pages.
 *
 * A line that is none of these is an error with its line number (TraceError). Source: the Valgrind manual, Lackey.
 */
import { access, BLOCK_ACCESSES, type Workload } from './workload.ts'

/** The trace is not what it should be: one sentence with file, line and remedy. */
export class TraceError extends Error {
  override readonly name = 'TraceError'
}

const LINE_MAX = 512
const SIZE_MAX = 65_536
/** One line makes at most 34 accesses: 17 pages, loaded and stored. */
const ROOM = BLOCK_ACCESSES - 40

const NEWLINE = 10
const RETURN = 13
const SPACE = 32
const COMMA = 44
const DASH = 45
const EQUALS = 61
const LETTER_I = 73
const LETTER_L = 76
const LETTER_M = 77
const LETTER_S = 83

function hexDigit(c: number): number {
  if (c >= 48 && c <= 57) return c - 48
  const lower = c | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

/** A step that visits every page of `pages` once before any twice: near the golden section, and coprime with it. */
function strideFor(pages: number): number {
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))
  let stride = Math.max(1, Math.floor(pages * 0.618))
  while (gcd(stride, pages) !== 1) stride++
  return stride
}

export class LackeyWorkload implements Workload {
  readonly accessesPerOp = 1
  readonly bootPages = 0
  /** Program pages seen so far. */
  pagesSeen = 0
  /** Times the whole trace was read. */
  passes = 0
  /** The last `fill` found nothing: the vCPU waits for the host to feed more. */
  isDry = false
  readonly #pageOf = new Map<number, number>()
  readonly #line = new Uint8Array(LINE_MAX)
  #lineLength = 0
  #lineNumber = 1
  #block: Uint8Array = new Uint8Array(0)
  #at = 0
  #accessesThisPass = 0
  #lastProgramPage = -1
  #lastPage = -1
  /** The file's last line has no newline: it is still to be parsed. */
  #pendingLast = false
  readonly #stride: number
  /** Accesses that were parsed and not yet handed out. */
  readonly #made = new Int32Array(BLOCK_ACCESSES)
  #count = 0
  #passEnded = false

  constructor(
    readonly path: string,
    readonly thinkNs: number,
    readonly ramPages: number,
    /** Its share of RAM begins here. */
    readonly firstPage = 0,
  ) {
    this.#stride = strideFor(ramPages)
  }

  /** The next bytes of the file, or null at its end: the trace will start over. */
  feed(block: Uint8Array | null): void {
    this.isDry = false
    if (block !== null) {
      this.#block = block
      this.#at = 0
      return
    }
    if (this.#lineLength > 0) this.#pendingLast = true
    else this.#endPass()
  }

  #endPass(): void {
    if (this.#accessesThisPass === 0) {
      throw new TraceError(`${this.path}: the trace holds no memory access; make one with valgrind --tool=lackey --trace-mem=yes`)
    }
    this.passes++
    this.#accessesThisPass = 0
    this.#lineNumber = 1
    this.#lineLength = 0
    this.#pendingLast = false
    this.#passEnded = true
  }

  /**
   * Parses lines until a block of accesses is full or the trace ends. 0: the bytes are used up before that, feed more; what was
   * parsed is kept. So the blocks, and with them the run, do not depend on how the host cuts the file.
   */
  fill(out: Int32Array): number {
    const line = this.#line
    const block = this.#block
    let at = this.#at
    while (at < block.length && this.#count < ROOM) {
      const c = block[at++]
      if (c !== NEWLINE) {
        if (this.#lineLength === LINE_MAX) this.#fail('the line is longer than any lackey writes')
        line[this.#lineLength++] = c
        continue
      }
      this.#parseLine()
      this.#lineLength = 0
      this.#lineNumber++
    }
    this.#at = at
    if (this.#pendingLast && this.#count < ROOM) {
      // The file's last line had no newline.
      this.#parseLine()
      this.#endPass()
    }
    const isReady = this.#count >= ROOM || this.#passEnded
    this.#passEnded = false
    const n = isReady ? this.#count : 0
    out.set(this.#made.subarray(0, n))
    this.#count -= n
    this.isDry = n === 0
    return n
  }

  #fail(what: string): never {
    let text = ''
    for (let i = 0; i < Math.min(this.#lineLength, 40); i++) {
      const c = this.#line[i]
      text += c >= 32 && c < 127 ? String.fromCharCode(c) : '?'
    }
    const remedy = 'want lines like " L 0517c010,8" from valgrind --tool=lackey --trace-mem=yes'
    throw new TraceError(`${this.path}:${this.#lineNumber}: ${what} ("${text.trim()}"); ${remedy}`)
  }

  #parseLine(): void {
    const line = this.#line
    let n = this.#lineLength
    if (n > 0 && line[n - 1] === RETURN) n--
    if (n === 0) return
    // ==pid== and --pid-- lines are valgrind's own.
    if (n > 1 && ((line[0] === EQUALS && line[1] === EQUALS) || (line[0] === DASH && line[1] === DASH))) return
    const instruction = line[0] === LETTER_I
    const kind = instruction ? LETTER_I : n > 1 ? line[1] : 0
    if (
      !(instruction || line[0] === SPACE) ||
      (kind !== LETTER_I && kind !== LETTER_L && kind !== LETTER_S && kind !== LETTER_M)
    ) {
      this.#fail('not a memory access')
    }
    let i = instruction ? 1 : 2
    while (i < n && line[i] === SPACE) i++
    const start = i
    // All but the last three hex digits are the page number, exact up to 52 bits.
    let high = 0
    let low = 0
    while (i < n) {
      const digit = hexDigit(line[i])
      if (digit < 0) break
      high = high * 16 + (low >>> 8)
      low = ((low & 0xff) << 4) | digit
      i++
    }
    if (i === start || i - start > 16 || i >= n || line[i] !== COMMA) this.#fail('the address is not a hexadecimal number')
    let size = 0
    const sizeStart = ++i
    while (i < n && line[i] >= 48 && line[i] <= 57 && size <= SIZE_MAX) size = size * 10 + line[i++] - 48
    if (i === sizeStart || i !== n || size === 0 || size > SIZE_MAX) this.#fail(`the size is not a number from 1 to ${SIZE_MAX}`)
    this.#emit(kind, high, low, size)
  }

  #emit(kind: number, page: number, offset: number, size: number): void {
    const last = page + Math.floor((offset + size - 1) / 4096)
    for (let p = page; p <= last; p++) {
      const guestPage = p === this.#lastProgramPage ? this.#lastPage : this.#place(p)
      const word = p === page && offset < 2048 ? 0 : p === page ? 1 : 0
      if (kind !== LETTER_S) this.#made[this.#count++] = access(guestPage, word, false)
      if (kind === LETTER_S || kind === LETTER_M) this.#made[this.#count++] = access(guestPage, word, true)
      this.#accessesThisPass++
    }
  }

  #place(programPage: number): number {
    let page = this.#pageOf.get(programPage)
    if (page === undefined) {
      if (this.pagesSeen >= this.ramPages) {
        const mib = Math.ceil(this.ramPages / 256)
        throw new TraceError(
          `${this.path}:${this.#lineNumber}: the program touches more than its ${mib} MiB of the guest's memory; give more with --mem`,
        )
      }
      page = this.firstPage + ((this.pagesSeen * this.#stride) % this.ramPages)
      this.pagesSeen++
      this.#pageOf.set(programPage, page)
    }
    this.#lastProgramPage = programPage
    this.#lastPage = page
    return page
  }
}
