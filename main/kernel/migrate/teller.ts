/**
 * Tells whoever watches a migration how it goes, ten times a second: its figures, and, where events are kept, what happened since the last time.
 *
 * The first portion of events is told when the guest begins to boot, with nothing in it; the last when both machines are gone.
 * Where nobody keeps events there is no feed, and nothing but figures.
 */

import type { KernelProgress, KernelWatcher } from '../../../core/shell/host_kernel.ts'
import type { IncidentName, Lane } from '../../../core/trace/event.ts'
import type { Board } from './board.ts'
import { nowNs } from './clock.ts'
import { EventFeed } from './events.ts'
import type { Comparison } from './setup.ts'

const TELL_EVERY_NS = 100e6

export class Teller {
  readonly #watcher: KernelWatcher
  readonly #board: Board
  readonly #isGone: (side: Lane['machine']) => boolean
  #feed: EventFeed | null = null
  #toldNs = 0

  constructor(watcher: KernelWatcher, board: Board, isGone: (side: Lane['machine']) => boolean) {
    this.#watcher = watcher
    this.#board = board
    this.#isGone = isGone
  }

  begin(bootNs: number): void {
    const { shape, eventRooms: rooms } = this.#board
    if (shape.keepsEvents) this.#feed = new EventFeed({ rooms, vcpus: shape.vcpus, bootNs, clock: nowNs })
    this.tellEvents()
  }

  incident(what: IncidentName, isOver: boolean): void {
    this.#feed?.incident(what, nowNs(), isOver)
  }

  /** Of the comparison at the end. */
  verdict(atNs: number, first: Comparison['first']): void {
    this.#feed?.verdict(atNs, first)
  }

  /** If it is time again. */
  tell(phase: KernelProgress['phase']): void {
    if (nowNs() - this.#toldNs < TELL_EVERY_NS) return
    this.#toldNs = nowNs()
    this.#watcher.onProgress(progressOf(this.#board, phase))
    this.tellEvents()
  }

  /** Those since the last time, as far as they can be told in order; when both machines are gone, all the rest. */
  tellEvents(): void {
    if (this.#feed !== null) this.#watcher.onEvents?.(this.#feed.portion(this.#isGone))
  }
}

function progressOf(board: Board, phase: KernelProgress['phase']): KernelProgress {
  return {
    phase,
    status: board.status,
    pagesTotal: board.shape.pages,
    pagesSent: board.get('normal') + board.get('duplicate') + board.get('urgentNormal') + board.get('urgentDuplicate'),
    transferredBytes: board.get('sentBytes') + board.get('urgentBytes'),
    requests: board.get('requests'),
    loadsChecked: board.sum('loadsChecked'),
    mismatches: board.sum('lost') + board.sum('stale') + board.sum('misplaced'),
  }
}
