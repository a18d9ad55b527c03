/**
 * The 4096 bytes that a page's two words and its version stand for, for whoever compresses or compares real bytes.
 *
 * A frame keeps two words and a version (phys_mem.ts); the rest is a pure function of these, the page and the kind of data:
 *
 *     word 0 | body: by page and kind, the same for ever | word 1          and in the body, one field of 8 bytes a cache line:
 *                                                                          a store overwrites one of the 64, all by turns
 *
 * So n stores between two looks differ in at most n fields and the two words, as records that are updated in place do; a page
 * whose words are zero is all zeros. Kinds: heap (pointers, small numbers, zeros, short strings), text, sparse (three lines of
 * four are zero) and random (encrypted or compressed already). The shares are ours; zlib at level 1 makes of a heap page a bit over a third,
 * as zswap and zram report for memory (2 to 3 to 1). Memory that was captured from a real process knows the kind of each page,
 * or has its very bytes, which then are the body.
 */
import { mix32 } from '../base/hash.ts'

export const CONTENT_KINDS = ['heap', 'text', 'sparse', 'random'] as const
export type ContentKind = (typeof CONTENT_KINDS)[number]

/** What a real process held, page by page. */
export interface CapturedContent {
  kindOf(page: number): ContentKind
  /** The page as it was; null where nobody wrote it down. */
  bytesOf(page: number): Uint8Array | null
}

/** What a guest's memory holds: everywhere the same kind, or as captured. */
export type MemoryContent = ContentKind | CapturedContent

export const PAGE_BYTES = 4096
const WORDS = PAGE_BYTES / 4
const WORDS_PER_LINE = 16
const LINES = WORDS / WORDS_PER_LINE
const LAST = WORDS - 1

/** Steps from line to line, and its inverse modulo 64: store v overwrites the field of line 37 v + something. */
const STRIDE_INVERSE = 45

const GOLDEN = 0x9e3779b9
/** The upper half of a pointer on x86-64: user memory that mmap gave. */
const POINTER_HIGH = 0x00007f3a

const VOCABULARY = [
  ...['the ', 'of ', 'and ', 'to ', 'in ', 'is ', 'that ', 'page ', 'for ', 'it ', 'as ', 'was ', 'with ', 'be ', 'by ', 'on '],
  ...[
    'not ',
    'he ',
    'his ',
    'but ',
    'at ',
    'are ',
    'this ',
    'have ',
    'from ',
    'or ',
    'had ',
    'they ',
    'which ',
    'one ',
    'you ',
    'were ',
  ],
  ...[
    'memory ',
    'machine ',
    'between ',
    'another ',
    'number ',
    'before ',
    'system ',
    'through ',
    'should ',
    'because ',
    'people ',
    'little ',
  ],
  ...[
    'kernel, ',
    'address ',
    'written. ',
    'nothing ',
    'against ',
    'without ',
    'general ',
    'question ',
    'however, ',
    'several ',
    'example ',
    'perhaps ',
  ],
].map((word) => Uint8Array.from(word, (letter) => letter.charCodeAt(0)))

/** Writes the page's bytes into `out`, 1024 words in the order of a little-endian machine. */
export function pageBytes(
  out: Uint32Array,
  content: MemoryContent,
  page: number,
  word0: number,
  word1: number,
  version: number,
): void {
  if (word0 === 0 && word1 === 0) {
    out.fill(0)
    return
  }
  const seed = mix32(Math.imul(page + 1, GOLDEN))
  const kind = typeof content === 'string' ? content : content.kindOf(page)
  const captured = typeof content === 'string' ? null : content.bytesOf(page)
  if (captured === null) BODY[kind](out, seed)
  else new Uint8Array(out.buffer, out.byteOffset, PAGE_BYTES).set(captured)
  stores(out, kind, seed, version)
  out[0] = word0
  out[LAST] = word1
}

const BODY: Readonly<Record<ContentKind, (out: Uint32Array, seed: number) => void>> = {
  heap: heapBody,
  text: textBody,
  sparse: sparseBody,
  random: randomBody,
}

function randomBody(out: Uint32Array, seed: number): void {
  for (let i = 0; i < WORDS; i++) out[i] = mix32(seed + Math.imul(i, GOLDEN))
}

function sparseBody(out: Uint32Array, seed: number): void {
  out.fill(0)
  for (let i = 0; i < WORDS; i += WORDS_PER_LINE) {
    const h = mix32(seed + Math.imul(i, GOLDEN))
    if ((h & 3) === 0) for (let at = i; at < i + 6; at += 2) heapField(out, at, mix32(h + at), seed)
  }
}

function heapBody(out: Uint32Array, seed: number): void {
  for (let i = 0; i < WORDS; i += 2) heapField(out, i, mix32(seed + Math.imul(i, GOLDEN)), seed)
}

/** Eight bytes: of 16, 5 are zeros, 4 a pointer nearby, 3 a small number, 2 letters and 2 anything. */
function heapField(out: Uint32Array, at: number, h: number, seed: number): void {
  const choice = h & 15
  if (choice < 5) {
    out[at] = 0
    out[at + 1] = 0
  } else if (choice < 9) {
    out[at] = ((seed & 0xff000000) | ((h >>> 8) & 0xfffff0)) >>> 0
    out[at + 1] = POINTER_HIGH
  } else if (choice < 12) {
    out[at] = (h >>> 8) & 0xff
    out[at + 1] = 0
  } else if (choice < 14) {
    out[at] = letters(h >>> 4)
    out[at + 1] = letters(h >>> 12)
  } else {
    out[at] = mix32(h + 1)
    out[at + 1] = mix32(h + 2)
  }
}

/** Four lower-case letters. */
function letters(h: number): number {
  return 0x61616161 + (h & 0x0f) + ((h & 0xf0) << 4) + ((h & 0xf00) << 8) + ((h & 0x7000) << 12)
}

function textBody(out: Uint32Array, seed: number): void {
  const bytes = new Uint8Array(out.buffer, out.byteOffset, PAGE_BYTES)
  for (let at = 0, n = 0; at < PAGE_BYTES; n++) {
    const h = mix32(seed + Math.imul(n, GOLDEN))
    // The smaller of two draws: words at the front come more often.
    const a = h % VOCABULARY.length
    const b = (h >>> 16) % VOCABULARY.length
    const word = VOCABULARY[a < b ? a : b]
    for (let i = 0; i < word.length && at < PAGE_BYTES; i++) bytes[at++] = word[i]
  }
}

/** The newest store to each line that has seen one. */
function stores(out: Uint32Array, kind: ContentKind, seed: number, version: number): void {
  for (let line = 0; line < LINES; line++) {
    const back = (version - Math.imul(STRIDE_INVERSE, line - seed)) & (LINES - 1)
    const store = version - back
    if (store < 1) continue
    const h = mix32(seed ^ Math.imul(store, GOLDEN))
    const at = line * WORDS_PER_LINE + ((seed >>> (line & 15)) & 7) * 2
    if (kind === 'random') {
      out[at] = h
      out[at + 1] = mix32(h)
    } else if (kind === 'text') {
      out[at] = letters(h)
      out[at + 1] = letters(h >>> 16)
    } else heapField(out, at, h, seed)
  }
}
