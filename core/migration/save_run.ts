/**
 * The pages that one thread of a source that looks first sends one behind the other, by one call: what a call costs, where that was
 * measured, and which of them hold anything.
 *
 * It asks PAGEMAP_SCAN about the run at once, and sends what holds nothing as zeros without reading it: reading would map it.
 *  1. the first page's bit goes, and with it the kernel's marks of its chunk.   2. the look.   3. each page's bit, the first's aside, and its
 *  record. A store between 2 and 3 leaves a mark, by which the page is sent once more, as one that was read too early (R63). A sync in
 *  between would take that mark: it ends the run.
 *
 * Pairs with ram_save.ts. Source: main/kernel/migrate/ram_save.ts, which does the same on the real kernel.
 */
import { Bitmap } from '../base/bitmap.ts'
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { PageContent, Process } from '../machine/process.ts'
import { addressOf, sys } from '../machine/syscall.ts'
import type { DirtyBitmap } from './dirty_bitmap.ts'
import { check } from './host_page.ts'
import { placeBatchPages, saveRunNs } from './parameters.ts'

export class SaveRun {
  readonly content: PageContent = { word0: 0, word1: 0, version: 0 }
  /** The first page, the one behind the last, and the next that would join. */
  #first = 0
  #end = 0
  #next = 0
  /** Which of the run hold something. */
  #holding = new Bitmap(0)

  /** The next page begins another. */
  end(): void {
    this.#end = 0
  }

  /** Page `page`, whose bit is cleared, goes next: with the last one's run, or it begins one, and that is looked at. `ramPage`: where guest page 0 is. */
  *join(k: Thread, page: number, dirty: DirtyBitmap, process: Process, ramPage: number): Proc<void> {
    const joins = page === this.#next && page < this.#end
    this.#next = page + 1
    if (joins) return
    const most = placeBatchPages(k.cpu.preset)
    const count = 1 + dirty.runBehind(page, most - 1)
    this.#first = page
    this.#end = page + count
    k.cpu.nowNs += saveRunNs(k.cpu.preset)
    if (this.#holding.length < most) this.#holding = new Bitmap(most)
    this.#holding.empty()
    const result = yield* sys.pagemapScanHolding(k, process, addressOf(ramPage + page), count * 4096, this.#holding)
    check(result, 0, 'PAGEMAP_SCAN')
  }

  /** Of a page that has just joined. */
  holds(page: number): boolean {
    return this.#holding.has(page - this.#first)
  }
}
