/**
 * A process: an address space and user code's way to memory, through the MMU of the CPU it runs on.
 *
 * Every access translates first; a miss becomes a page fault, which may sleep. A signal ends what user code was doing
 * (SignalError): nobody in this model installs a handler.
 *
 * A page's content is its two words and its version (hw/phys_mem.ts); readPage and writePage move it as read(2) and
 * recv(2) do, in one go after both ends were translated.
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, NOTHING, type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { isCalm } from '../mm/calm.ts'
import { Mm } from '../mm/mm.ts'
import { handlePageFault } from '../mm/page_fault.ts'
import { FAULT_USER } from '../mm/vm_fault.ts'
import type { Machine } from './machine.ts'

/** User code got a signal. */
export class SignalError extends Error {
  override readonly name = 'SignalError'
  constructor(
    readonly signal: 'sigsegv' | 'sigbus' | 'oom' | 'killed',
    readonly page: number,
    thread: string,
  ) {
    super(`${thread} got ${signal.toUpperCase()} at page ${page}`)
  }
}

export interface PageContent {
  word0: number
  word1: number
  version: number
}

export class Process {
  /** CAP_SYS_PTRACE. */
  privileged = true

  constructor(
    readonly machine: Machine,
    /** Its own address space; a child's is made by fork. */
    readonly mm: Mm = new Mm(machine.kernel, machine.windowPages),
  ) {}

  /** Lets a thread run in this process. */
  adopt(k: Thread): void {
    this.mm.runOn(k)
  }

  /** Clock gear: nobody is in the way of what `k` does with this process's memory, so that it can be done at once. */
  isCalm(k: Thread): boolean {
    return isCalm(k, this.mm)
  }

  /** The frame behind a page after whatever faults it takes. */
  *touch(k: Thread, page: number, store: boolean, offset = 0): Proc<Pfn> {
    if (!k.stepping) {
      const pfn = k.cpu.mmu.translate(page, store)
      if (pfn >= 0) return pfn
    }
    return yield* this.touchAfterMiss(k, page, store, offset)
  }

  /** The same, where the caller's own translation (clock gear) has just failed: hardware does not walk twice to fault once. */
  *touchAfterMiss(k: Thread, page: number, store: boolean, offset = 0): Proc<Pfn> {
    for (let missed = !k.stepping; ; missed = false) {
      if (k.stepping) {
        yield store ? write(page, 'tlb') : read(page, 'tlb')
        k.cpu.mmu.touchEntry(page)
      }
      const pfn = missed ? -1 : k.cpu.mmu.translate(page, store)
      if (pfn >= 0) return pfn
      const result = yield* handlePageFault(k, this.mm, page, store, FAULT_USER, offset)
      this.machine.onFaulted(k, page)
      if (result !== 'ok') throw new SignalError(result, page, k.name)
    }
  }

  /** Reads a page's content into `out`. */
  readPage(k: Thread, page: number, out: PageContent): Proc<void> {
    const pfn = k.stepping ? -1 : k.cpu.mmu.translate(page, false)
    if (pfn < 0) return this.#readAfterFault(k, page, out)
    this.#copyOut(pfn, out)
    return NOTHING
  }

  *#readAfterFault(k: Thread, page: number, out: PageContent): Proc<void> {
    this.#copyOut(yield* this.touchAfterMiss(k, page, false), out)
  }

  #copyOut(pfn: Pfn, out: PageContent): void {
    touch(pfn, 'page.content', AccessMode.read)
    const phys = this.machine.kernel.phys
    out.word0 = phys.words[pfn * 2]
    out.word1 = phys.words[pfn * 2 + 1]
    out.version = phys.version[pfn]
  }

  /** Overwrites a page's content. */
  writePage(k: Thread, page: number, content: PageContent): Proc<void> {
    const pfn = k.stepping ? -1 : k.cpu.mmu.translate(page, true)
    if (pfn < 0) return this.#writeAfterFault(k, page, content)
    this.#copyIn(pfn, content)
    return NOTHING
  }

  *#writeAfterFault(k: Thread, page: number, content: PageContent): Proc<void> {
    this.#copyIn(yield* this.touchAfterMiss(k, page, true), content)
  }

  #copyIn(pfn: Pfn, content: PageContent): void {
    touch(pfn, 'page.content', AccessMode.write)
    const phys = this.machine.kernel.phys
    phys.words[pfn * 2] = content.word0
    phys.words[pfn * 2 + 1] = content.word1
    phys.version[pfn] = content.version
  }
}
