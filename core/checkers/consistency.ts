/**
 * The consistency check: every load of the guest, and at the end every page, against the shadow.
 *
 * What a wrong page is called:
 * - lost: zeros where something was written.            - stale: an older version of this page.
 * - torn: one half current, the other older.            - misplaced: another page's content.
 * - duplicated: another page's content, which is in its own place too.
 *
 * An image of a moment is compared with the shadow of that moment. A page of it that is newer is torn: it shows a later moment than the rest.
 *
 * A word is a stamp of page and version, so the cause is read off the content; nothing is assumed. It reads, and changes
 * nothing. Invariants I-DATA, I-LIN and I-ZERO of the race catalogue.
 */

import { type Shadow, stamp } from '../guest/shadow.ts'
import type { Mismatch } from '../guest/vcpu.ts'
import { ptePfn, ptePresent } from '../hw/pte.ts'
import type { Process } from '../machine/process.ts'
import { CHECK_NAME, EventKind, VIOLATION_CAUSE, type ViolationCause } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'

export interface ConsistencyViolation {
  readonly cause: ViolationCause
  readonly page: number
  readonly seenBy: string
  readonly timeNs: number
  readonly expectedVersion: number
  readonly foundVersion: number
  readonly message: string
}

/** Searching all pages for a stray word costs; after so many the page it came from is no longer named. */
const SEARCH_LIMIT = 64
/** How far back an older version of the same page is recognised. */
const VERSIONS_BACK = 4096

export class ConsistencyCheck {
  readonly counts: Record<ViolationCause, number> = { lost: 0, stale: 0, torn: 0, duplicated: 0, misplaced: 0, accounting: 0 }
  mismatches = 0
  pagesCompared = 0
  first: ConsistencyViolation | null = null
  #searches = 0

  constructor(
    readonly shadow: Shadow,
    readonly recorder: Recorder,
  ) {}

  get verdict(): 'consistent' | 'inconsistent' {
    return this.mismatches === 0 && this.counts.accounting === 0 ? 'consistent' : 'inconsistent'
  }

  /** A load that did not see the last store. */
  load(m: Mismatch): void {
    const { cause, other } = this.#diagnose(m.page, m.found)
    this.#violation(cause, m.page, `a load of vCPU ${m.vcpu}`, m.timeNs, m.lane, m.foundVersion, other)
  }

  /** A check of page accounting failed (run/final_checks.ts). */
  accounting(message: string, seenBy: string, timeNs: number, lane: number): void {
    this.counts.accounting++
    this.recorder.event(timeNs, EventKind.Violation, lane, -1, VIOLATION_CAUSE.indexOf('accounting'))
    this.first ??= { cause: 'accounting', page: -1, seenBy, timeNs, expectedVersion: 0, foundVersion: 0, message }
  }

  /**
   * Compares the pages of `process`, as its page table maps them, with the shadow. `isHere` says which pages the machine
   * claims to have (all, after a completed migration). `shadow` is that of an earlier moment, where the pages are its image.
   */
  comparePages(
    process: Process,
    ramPage: number,
    isHere: (page: number) => boolean,
    timeNs: number,
    lane: number,
    shadow = this.shadow,
  ): void {
    const before = this.mismatches
    for (let page = 0; page < shadow.pages; page++) {
      if (!isHere(page)) continue
      this.pagesCompared++
      const pfn = frameOf(process, ramPage + page)
      const { words, version } = process.machine.kernel.phys
      const word0 = pfn < 0 ? 0 : words[pfn * 2]
      const word1 = pfn < 0 ? 0 : words[pfn * 2 + 1]
      const bad0 = word0 !== shadow.words[page * 2]
      const bad1 = word1 !== shadow.words[page * 2 + 1]
      if (!bad0 && !bad1) continue
      const foundVersion = pfn < 0 ? 0 : version[pfn]
      const found = bad0 ? word0 : word1
      let { cause, other } = this.#diagnose(page, found)
      const isTooNew = this.#versionOf(page, found) > shadow.version[page]
      const isMixed = bad0 !== bad1 && this.#isTorn(page, word0, word1, foundVersion, shadow)
      if (cause === 'stale' && (isTooNew || isMixed)) cause = 'torn'
      if (cause === 'misplaced' && other >= 0 && this.#isInPlace(process, ramPage, other, shadow)) cause = 'duplicated'
      this.#violation(cause, page, 'the comparison at the end', timeNs, lane, foundVersion, other, shadow)
    }
    if (this.mismatches === before)
      this.recorder.event(timeNs, EventKind.CheckPassed, lane, -1, CHECK_NAME.indexOf('pages compared'))
  }

  #isInPlace(process: Process, ramPage: number, page: number, shadow: Shadow): boolean {
    const pfn = frameOf(process, ramPage + page)
    if (pfn < 0) return false
    const { words } = process.machine.kernel.phys
    return words[pfn * 2] === shadow.words[page * 2] && words[pfn * 2 + 1] === shadow.words[page * 2 + 1]
  }

  /**
   * Whether the two words cannot be one older state of the page. A whole page of version v holds no word newer than v, and is
   * stale only if v itself is not the newest.
   */
  #isTorn(page: number, word0: number, word1: number, foundVersion: number, shadow: Shadow): boolean {
    const newer = Math.max(this.#versionOf(page, word0), this.#versionOf(page, word1))
    return newer > foundVersion || foundVersion >= shadow.version[page]
  }

  /** The store that left this word in this page; 0 if none did, -1 if it is too long ago. */
  #versionOf(page: number, word: number): number {
    if (word === 0) return 0
    const newest = this.shadow.version[page]
    for (let v = newest; v > 0 && v > newest - VERSIONS_BACK; v--) if (stamp(page, v) === word) return v
    return -1
  }

  /** What a wrong word of `page` is, and the page it belongs to (-1: unknown). */
  #diagnose(page: number, found: number): { cause: ViolationCause; other: number } {
    const { shadow } = this
    if (found === 0) return { cause: 'lost', other: -1 }
    if (this.#versionOf(page, found) > 0) return { cause: 'stale', other: -1 }
    if (this.#searches++ < SEARCH_LIMIT) {
      for (let other = 0; other < shadow.pages; other++) {
        if (shadow.words[other * 2] === found || shadow.words[other * 2 + 1] === found) return { cause: 'misplaced', other }
      }
    }
    return { cause: 'misplaced', other: -1 }
  }

  #violation(
    cause: ViolationCause,
    page: number,
    seenBy: string,
    timeNs: number,
    lane: number,
    foundVersion: number,
    other: number,
    shadow = this.shadow,
  ): void {
    this.mismatches++
    this.counts[cause]++
    this.recorder.event(timeNs, EventKind.Violation, lane, page, VIOLATION_CAUSE.indexOf(cause))
    if (this.first !== null) return
    const expectedVersion = shadow.version[page]
    const from = other >= 0 ? `; it holds the content of page 0x${other.toString(16)}` : ''
    const message =
      `page 0x${page.toString(16)} is ${cause}${from}: expected version ${expectedVersion}, found version ${foundVersion}, ` +
      `seen by ${seenBy} at ${(timeNs / 1e6).toFixed(3)} ms`
    this.first = { cause, page, seenBy, timeNs, expectedVersion, foundVersion, message }
  }
}

/** The frame that the page table maps, or -1. */
function frameOf(process: Process, page: number): number {
  const pte = process.mm.table.lookup(page)
  return ptePresent(pte) ? ptePfn(pte) : -1
}
