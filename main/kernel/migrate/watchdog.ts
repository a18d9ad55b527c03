/**
 * The watchdog: a migration in which nothing moves is given up, so that nobody waits for ever.
 *
 * Bytes sent and states entered are movement. Standing still is meant where the connection is down and somebody may recover it, and in a
 * post-copy by demand alone, as long as the source looks for requests again and again and no page is asked for.
 */
import { type Board, PageState } from './board.ts'
import { nowNs } from './clock.ts'

export class Watchdog {
  readonly #board: Board
  readonly #patienceNs: number
  #moved = -1
  #movedNs = nowNs()
  #idleLooks = 0

  constructor(board: Board, patienceNs: number) {
    this.#board = board
    this.#patienceNs = patienceNs
  }

  /** Asked again and again. */
  hasHadEnough(): boolean {
    const board = this.#board
    const moved = board.get('sentBytes') + board.get('urgentBytes') + board.statesEntered
    if (moved !== this.#moved || board.status === 'postcopy-paused' || this.#isIdle()) this.#movedNs = nowNs()
    this.#moved = moved
    return nowNs() - this.#movedNs > this.#patienceNs
  }

  /** The source has looked again since, and nobody waits for a page. */
  #isIdle(): boolean {
    const looks = this.#board.get('idleLooks')
    if (looks === this.#idleLooks) return false
    this.#idleLooks = looks
    return !this.#board.states.includes(PageState.requested)
  }
}
