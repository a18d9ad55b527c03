/**
 * The ledger: what a guest and its migration tell of themselves, for the invariants that no kernel state shows. A scene, a
 * litmus test or a migration calls the methods where the thing happens, in the same step; the invariants read the columns.
 *
 *   the guest      stored, loaded: versions count the stores to a page in the one global order; 0 is a page of zeros
 *   a machine      runs
 *   the source     sent, and `dirty` for the bitmap; handsOver at the point of no return; completes at the end
 *   destination    placed, discarded; `memory` says where its guest's pages are mapped
 *   any user code  answered
 *
 * An epoch of a page lasts from one discard to the next; a packet may carry the epoch in which it was sent. Who keeps a shadow
 * (guest/shadow.ts) tells its versions. Every part is optional: an invariant says nothing of what nobody told.
 */
import type { Mm } from '../mm/mm.ts'

export class Ledger {
  /** Version of each page after its last store, on whatever machine. */
  readonly newest: Uint32Array
  /** Version that the destination's memory shows; -1 where nothing is placed. */
  readonly shown: Int32Array
  readonly epoch: Uint32Array
  /** Placements in this epoch. */
  readonly placements: Uint32Array
  /** Version of each page when it was sent last. */
  readonly lastSent: Uint32Array
  /** The newest versions at the hand-over: what is left to send is never newer. */
  readonly atHandOver: Uint32Array
  /** Machines that execute the guest now. */
  readonly running = new Set<string>()
  /** From here on the destination's memory is the guest's. */
  handedOver = false
  /** Nothing is left to send. */
  completed = false
  /**
   * Whether the source still knows that the page must be sent: it is in the bitmap, in a log that was not yet read, on the way
   * between the two, or in the hands of whoever sends.
   */
  dirty: ((page: number) => boolean) | null = null
  /** The guest's memory at the destination: page 0 of the guest is page `first` there. */
  memory: { readonly mm: Mm; readonly first: number } | null = null
  /** The first load that did not see the newest version. */
  strayLoad: { readonly page: number; readonly seen: number; readonly newest: number } | null = null
  /** The first placement of a packet of another epoch. */
  latePacket: { readonly page: number; readonly epoch: number; readonly current: number } | null = null
  /** The first answer that no serial execution gives. */
  oddAnswer: { readonly who: string; readonly answer: string; readonly allowed: string } | null = null

  constructor(readonly pages: number) {
    this.newest = new Uint32Array(pages)
    this.shown = new Int32Array(pages).fill(-1)
    this.epoch = new Uint32Array(pages)
    this.placements = new Uint32Array(pages)
    this.lastSent = new Uint32Array(pages)
    this.atHandOver = new Uint32Array(pages)
  }

  /** The guest stored to a page. Version 0: the page is zeros from now on (MADV_DONTNEED by the guest). */
  stored(page: number, version: number): void {
    this.newest[page] = version
    if (this.handedOver) this.shown[page] = version
  }

  loaded(page: number, seen: number): void {
    const newest = this.newest[page]
    if (seen !== newest) this.strayLoad ??= { page, seen, newest }
  }

  runs(machine: string, does: boolean): void {
    if (does) this.running.add(machine)
    else this.running.delete(machine)
  }

  sent(page: number, version: number): void {
    this.lastSent[page] = version
  }

  handsOver(): void {
    this.handedOver = true
    this.atHandOver.set(this.newest)
  }

  completes(): void {
    this.completed = true
  }

  /**
   * A page was put where the guest sees it, successfully; `epoch` is what its packet said, if packets say. Whoever places may
   * tell of it some steps later: a store of the guest may have been told before, to a page that was placed for the first time.
   */
  placed(page: number, version: number, epoch = this.epoch[page]): void {
    const current = this.epoch[page]
    if (epoch !== current) this.latePacket ??= { page, epoch, current }
    else if (this.placements[page]++ === 0 && this.shown[page] >= 0) return
    this.shown[page] = version
  }

  /** What was placed is gone, and the page is to be placed anew. */
  discarded(page: number): void {
    this.epoch[page]++
    this.placements[page] = 0
    this.shown[page] = -1
  }

  /** User code got an answer, an errno or a signal; serial executions give one of `allowed`. */
  answered(who: string, answer: number | string, allowed: readonly (number | string)[]): void {
    if (!allowed.includes(answer)) this.oddAnswer ??= { who, answer: String(answer), allowed: allowed.join(' or ') }
  }
}
