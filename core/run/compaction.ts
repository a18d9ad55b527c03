/**
 * Compaction of a heap, page by page: the live objects of one page go to a page at their new place, which is placed at once.
 *
 *  - copy: they are gathered in a buffer that is used again and again; UFFDIO_COPY allocates the page and copies the buffer. The
 *    page they came from is given back to the kernel.
 *  - move: they are gathered in a page that is then moved to its place, UFFDIO_MOVE, without another copy. Where does such a page
 *    come from? `fresh`: it is touched for the first time, which the kernel answers with a page of zeros. `recycled`: a page that was
 *    emptied before is written over; it need not be given back, nor allocated, nor cleared.
 *
 * Gathering costs the same on all ways: a copy of a page's size in user code. The result is simulated ns a page.
 * Source: the userfaultfd series for UFFDIO_MOVE (2023), and the garbage collector of Android that it was made for.
 */
import type { Proc } from '../engine/op.ts'
import { QUANTUM } from '../engine/op.ts'
import { Timeline } from '../engine/timeline.ts'
import type { Thread } from '../hw/cpu.ts'
import type { CpuPreset } from '../hw/preset.ts'
import { Identity, Machine } from '../machine/machine.ts'
import { Process } from '../machine/process.ts'
import {
  MADV_DONTNEED,
  O_CLOEXEC,
  O_NONBLOCK,
  pageOfAddress,
  sys,
  UFFD_API,
  UFFDIO_REGISTER_MODE_MISSING,
  type Userfaultfd,
} from '../machine/syscall.ts'
import { Recorder } from '../trace/recorder.ts'

export const COMPACTIONS = ['copy', 'move fresh', 'move recycled'] as const
export type CompactionWay = (typeof COMPACTIONS)[number]

export interface CompactionOptions {
  readonly way: CompactionWay
  readonly pages: number
  readonly preset: CpuPreset
}

const TURNS_A_SLICE = 1000

export class Compaction {
  readonly #timeline = new Timeline(10_000)
  readonly #machine: Machine
  readonly #process: Process
  #ns = 0

  constructor(readonly options: CompactionOptions) {
    this.#machine = new Machine(
      {
        name: 'source',
        preset: options.preset,
        frames: 4 * options.pages + 64,
        windowPages: 4 * options.pages + 64,
        without: new Set(),
      },
      this.#timeline,
      new Identity(),
      new Recorder({ keep: false }),
    )
    this.#process = new Process(this.#machine)
    const k = this.#machine.makeThread('compaction')
    this.#process.adopt(k)
    this.#machine.start(k, this.#main(k))
  }

  *#main(k: Thread): Proc<void> {
    const { pages, way } = this.options
    const bytes = pages * 4096
    const from = yield* sys.mmap(k, this.#process, bytes)
    const to = yield* sys.mmap(k, this.#process, bytes)
    const buffers = yield* sys.mmap(k, this.#process, bytes)
    const uffd = sys.userfaultfd(this.#process, O_CLOEXEC | O_NONBLOCK)
    if (typeof uffd === 'number') throw new Error(`userfaultfd: ${uffd}`)
    sys.uffdioApi(this.#process, uffd, UFFD_API, 0)
    yield* sys.uffdioRegister(k, uffd, to, bytes, UFFDIO_REGISTER_MODE_MISSING)
    yield* this.#touchAll(k, from)
    // A buffer of one page, or pages that were emptied before.
    if (way !== 'move fresh') yield* this.#touchAll(k, buffers)
    const startNs = k.nowNs
    for (let at = 0; at < bytes; at += 4096) {
      yield* this.#one(k, uffd, from + at, to + at, way === 'copy' ? buffers : buffers + at)
      if (k.expired) yield QUANTUM
    }
    this.#ns = k.nowNs - startNs
  }

  *#touchAll(k: Thread, address: number): Proc<void> {
    const first = pageOfAddress(address)
    for (let page = first; page < first + this.options.pages; page++) yield* this.#process.touch(k, page, true)
  }

  *#one(k: Thread, uffd: Userfaultfd, from: number, to: number, buffer: number): Proc<void> {
    const { way, preset } = this.options
    // Gather.
    yield* this.#process.touch(k, pageOfAddress(from), false)
    yield* this.#process.touch(k, pageOfAddress(buffer), true)
    k.cpu.charge(preset.copyPageNs.value)
    const { ret } =
      way === 'copy'
        ? yield* sys.uffdioCopy(k, this.#process, uffd, to, buffer, 4096, 0)
        : yield* sys.uffdioMove(k, this.#process, uffd, to, buffer, 4096, 0)
    if (ret !== 0) throw new Error(`${way}: ${ret}`)
    if (way !== 'move recycled') yield* sys.madvise(k, this.#process, from, 4096, MADV_DONTNEED)
  }

  /** A bounded piece of the run; false when it is over. */
  advance(): boolean {
    return this.#timeline.run(TURNS_A_SLICE) === 'running'
  }

  /** Simulated ns a page. */
  result(): number {
    if (this.#ns === 0) throw new Error('the compaction is not over')
    return this.#ns / this.options.pages
  }
}
