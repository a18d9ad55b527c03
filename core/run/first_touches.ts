/**
 * How each page was met when a vCPU touched it first at the destination: it was missing, a network fault; or it was there.
 *
 * The paper counts in the guest, whose pages arrive in a swap cache: the first touch of a page that is there is a minor fault
 * to it, and the share of network faults among all is its measure of prepaging. Here a page is put where it belongs when it
 * arrives, and its first touch is no fault at all but a walk of the page tables by an MMU that cannot know it yet. So a walk
 * is where it is seen, and an access that the TLB answers costs nothing more.
 *
 * Pages are host pages: one entry of a TLB covers one. Source: Hines, Deshpande and Gopalan, OSR 2009, sections 3.2 and 5.
 */
export interface PrepagingReport {
  /** First touches of pages that were not there. */
  networkFaults: number
  /** First touches of pages that had come before. */
  minorFaults: number
}

export class FirstTouches {
  /** By page of the address space: 0 as long as nobody touched it. The MMUs of vCPUs at the destination write 1. */
  readonly touched: Uint8Array
  readonly #hostPages: number
  #networkFaults = 0

  constructor(windowPages: number, hostPages: number) {
    this.touched = new Uint8Array(windowPages)
    this.#hostPages = hostPages
  }

  /** A vCPU waits for `page`. */
  missing(page: number): void {
    const first = page - (page % this.#hostPages)
    if (this.touched[first] !== 0) return
    this.touched[first] = 1
    this.#networkFaults++
  }

  report(): PrepagingReport {
    let pages = 0
    for (let i = 0; i < this.touched.length; i++) pages += this.touched[i]
    return { networkFaults: this.#networkFaults, minorFaults: pages - this.#networkFaults }
  }
}
