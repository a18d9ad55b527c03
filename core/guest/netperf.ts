/**
 * netperf: TCP_STREAM senders, one a vCPU. One operation sends 4096 bytes:
 *  1. The program's send buffer is read: a small ring that it fills once and sends again and again.
 *  2. The kernel copies the bytes to the next page of the socket's buffers, a ring in which a page is used anew once its bytes
 *     are acknowledged: a small set that is dirtied all the time while the rest of memory rests. Both lie in
 *     memory as frames are handed out (frames.ts), and are used in no order: each CPU has a list of free pages of its own, last in, first
 *     out, and a packet's pages go to that of the CPU which hears that it has arrived.
 *
 * Sources: Hines, Deshpande and Gopalan, OSR 2009, figures 9 to 11: NetPerf's sender in the guest, "slightly more page-dirtying
 * than the compilation"; 940 Mb/s is what iPerf gets of 1 GbE (V-Recover); tcp_wmem of Linux: 4 MiB at most a socket, which is the
 * ring's size here. Ours: 64 KiB of send buffers, half of memory in use by the rest of the system.
 */
import type { Prng } from '../base/prng.ts'
import { handedOut, shuffled } from './frames.ts'
import { sizeKey } from './guest_key.ts'
import type { GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, thinkNs, type Workload } from './workload.ts'

const SEND_BUFFER_PAGES = 16
const ACCESSES_PER_OP = 3

export interface NetperfOptions {
  readonly setPages: number
  readonly buffers: number
  readonly pagesPerSec: number
}

export class NetperfWorkload implements Workload {
  readonly accessesPerOp = ACCESSES_PER_OP
  readonly thinkNs: number
  readonly bootPages: number
  /** The pages of the send buffer, then those of the ring. */
  readonly #pages: Int32Array
  readonly #sendPages: number
  #sendAt = 0
  #ringAt: number

  /** Its buffers, `buffers` pages, lie in pages [first, end). */
  constructor(options: NetperfOptions, first: number, end: number, prng: Prng) {
    this.bootPages = options.setPages
    const frames = handedOut(first, end, prng, Math.min(end - first, options.buffers))
    this.#pages = shuffled(frames.length, prng).map((i) => frames[i])
    this.#sendPages = Math.min(SEND_BUFFER_PAGES, this.#pages.length >>> 1)
    this.#ringAt = this.#sendPages
    this.thinkNs = thinkNs(options.pagesPerSec, ACCESSES_PER_OP)
  }

  fill(out: Int32Array): number {
    const pages = this.#pages
    let n = 0
    while (n <= BLOCK_ACCESSES - ACCESSES_PER_OP) {
      // 1.
      out[n] = access(pages[this.#sendAt], 0, false)
      // 2.
      const page = pages[this.#ringAt]
      out[n + 1] = access(page, 0, true)
      out[n + 2] = access(page, 1, true)
      n += ACCESSES_PER_OP
      if (++this.#sendAt >= this.#sendPages) this.#sendAt = 0
      if (++this.#ringAt === pages.length) this.#ringAt = this.#sendPages
    }
    return n
  }
}

export const NETPERF: GuestKind = {
  name: 'netperf',
  summary: 'TCP senders: small rings of socket buffers, written all the time',
  keys: [
    sizeKey('set', 0.5, 'memory in use, nearly all of it at rest'),
    { key: 'rate', unit: 'rate', fallback: '940Mbps', meaning: 'bytes sent a second by all vCPUs together, or pages' },
    { key: 'ring', unit: 'size', fallback: '4M', meaning: 'socket buffers of one sender' },
  ],
  example: 'netperf:rate=9.4Gbps,ring=8M',
  op: '4096 bytes sent',
  content: 'random',
  contentSource: 'netperf fills its send buffers with random data unless told otherwise [from memory]; the rest is ours',
  make(setup) {
    const setPages = setup.pages()
    const pagesPerSec = setup.rate(4096) / setup.vcpus
    const buffers = setup.pages('ring') + SEND_BUFFER_PAGES
    return setup.each((prng, i) => {
      const [first, end] = setup.part(setPages, i)
      return end > first ? new NetperfWorkload({ setPages, buffers, pagesPerSec }, first, end, prng.fork('ring')) : null
    })
  },
}
