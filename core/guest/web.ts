/**
 * web: a web server with its files in the page cache, as SPECweb99 has it. One operation is one request:
 *  1. A directory is chosen (zipfian), then one of its 36 files by class: all pages of the file are read.
 *  2. The client's session is read; a dynamic request writes it.
 *  3. A line goes to the end of the log, a ring of pages.
 *
 *     class   sizes            share of requests      pages of its nine files
 *     0       100 to 900 B     35 %                     9, a page each
 *     1       1 to 9 KB        50 %                    15
 *     2       10 to 90 KB      14 %                   115
 *     3       100 to 900 KB     1 %                  1125      1264 pages a directory
 *
 * Sources: SPECweb96 and 99 workload (classes and shares); Ruan and Pai, USENIX 2006, on the same mix: directories of about 5 MB
 * chosen by Zipf's law with alpha 1, 14 KB a request; SPECweb99: 30 % of requests are dynamic [from memory]. Hines et al. ran
 * SPECweb2005 from six clients, "our largest application". Ours: within a class all files alike, alpha 0.99, an eighth of the
 * set for sessions, 128 B a log line.
 */
import type { Prng } from '../base/prng.ts'
import { RATE_OPS, sizeKey } from './guest_key.ts'
import type { GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, chance, thinkNs, type Workload } from './workload.ts'
import { Zipf } from './zipf.ts'

const FILES_PER_CLASS = 9
const DIRECTORY_SKEW = 0.99
const LOG_LINE_BYTES = 128
const LOG_PAGES = 256
/** Session read, session read or written, log line. */
const FIXED_ACCESSES = 3

/** KB of the smallest file of a class, and how many of 100 requests want the class. */
const CLASSES = [
  { kb: 0.1, percent: 35 },
  { kb: 1, percent: 50 },
  { kb: 10, percent: 14 },
  { kb: 100, percent: 1 },
] as const

interface File {
  /** First page within its directory. */
  readonly at: number
  readonly pages: number
}

/** The 36 files of a directory, class by class. */
export const WEB_FILES: readonly File[] = (() => {
  const files: File[] = []
  let at = 0
  for (const { kb } of CLASSES) {
    for (let i = 1; i <= FILES_PER_CLASS; i++) {
      const pages = Math.ceil((kb * i) / 4)
      files.push({ at, pages })
      at += pages
    }
  }
  return files
})()

export const DIRECTORY_PAGES = WEB_FILES.reduce((sum, { pages }) => sum + pages, 0)
const LARGEST_FILE_PAGES = Math.max(...WEB_FILES.map(({ pages }) => pages))
/** Pages that a request reads on the average: 4.2, or 17 KB with each file's last page in full. */
export const MEAN_FILE_PAGES = WEB_FILES.reduce((sum, { pages }, i) => {
  const percent = CLASSES[Math.floor(i / FILES_PER_CLASS)]?.percent ?? 0
  return sum + (pages * percent) / 100 / FILES_PER_CLASS
}, 0)

export interface WebOptions {
  readonly setPages: number
  /** Requests a second of this vCPU. */
  readonly opsPerSec: number
  /** Share of requests that write their session. */
  readonly writes: number
}

export class WebWorkload implements Workload {
  readonly accessesPerOp = MEAN_FILE_PAGES + FIXED_ACCESSES
  readonly thinkNs: number
  readonly bootPages: number
  readonly #prng: Prng
  readonly #directories: Zipf
  readonly #writes: number
  /** Pages: files first, then sessions, then the log. */
  readonly #filePages: number
  readonly #sessionPages: number
  readonly #logPages: number
  #logBytes: number

  /** `logAt`, 0 to 1: where in the log this vCPU begins to write. */
  constructor(options: WebOptions, logAt: number, prng: Prng) {
    const { setPages } = options
    this.bootPages = setPages
    this.#sessionPages = Math.max(1, setPages >>> 3)
    this.#logPages = Math.max(1, Math.min(LOG_PAGES, setPages >>> 4))
    this.#filePages = Math.max(1, setPages - this.#sessionPages - this.#logPages)
    this.#directories = new Zipf(
      Math.max(1, Math.floor(this.#filePages / DIRECTORY_PAGES)),
      DIRECTORY_SKEW,
      prng.fork('directories'),
    )
    this.#prng = prng.fork('requests')
    this.#writes = options.writes
    this.#logBytes = Math.floor(this.#logPages * logAt) * 4096
    this.thinkNs = thinkNs(options.opsPerSec, this.accessesPerOp)
  }

  fill(out: Int32Array): number {
    const prng = this.#prng
    const last = this.bootPages - 1
    const sessions = Math.min(this.#filePages, last)
    let n = 0
    while (n <= BLOCK_ACCESSES - LARGEST_FILE_PAGES - FIXED_ACCESSES) {
      // 1. A set smaller than a directory holds what fits of it.
      const file = WEB_FILES[this.#fileOf(prng.below(100))]
      const at = this.#directories.item() * DIRECTORY_PAGES + file.at
      for (let i = 0; i < file.pages; i++) out[n++] = access((at + i) % this.#filePages, i & 1, false)
      // 2.
      const bits = prng.uint32()
      const session = Math.min(last, sessions + (bits % this.#sessionPages))
      out[n++] = access(session, 0, false)
      out[n++] = access(session, 1, chance(bits, this.#writes))
      // 3.
      const line = Math.floor(this.#logBytes / 4096) % this.#logPages
      this.#logBytes += LOG_LINE_BYTES
      out[n++] = access(Math.min(last, sessions + this.#sessionPages + line), 0, true)
    }
    return n
  }

  #fileOf(percentile: number): number {
    let below = 0
    for (let c = 0; c < CLASSES.length; c++) {
      below += CLASSES[c].percent
      if (percentile < below) return c * FILES_PER_CLASS + this.#prng.below(FILES_PER_CLASS)
    }
    return 0
  }
}

export const WEB: GuestKind = {
  name: 'web',
  summary: "a web server: SPECweb99's files from the page cache, sessions and a log",
  keys: [
    sizeKey('set', 0.75, 'memory for files, sessions and log'),
    { key: 'rate', unit: 'rate', fallback: '5k/s', meaning: RATE_OPS },
    { key: 'writes', unit: 'share', fallback: '30%', meaning: 'share of requests that write their session' },
  ],
  example: 'web:rate=2k/s',
  op: 'one request',
  content: 'text',
  contentSource: 'ours: pages and scripts; pictures would compress less',
  make(setup) {
    const writes = setup.share('writes')
    // A request writes a line of log, and for the share of dynamic ones a page of its session.
    const opsPerSec = setup.rate(LOG_LINE_BYTES + 4096 * writes) / setup.vcpus
    const options = { setPages: setup.pages(), opsPerSec, writes }
    return setup.each((prng, i) => new WebWorkload(options, i / setup.vcpus, prng))
  },
}
