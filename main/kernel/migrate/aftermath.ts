/**
 * What is left when a migration is no longer waited for: its last state, written pages that nobody has any more, and one sentence of
 * what went wrong, where the guest is, and the remedy.
 *
 * The counterpart of core/run/aftermath.ts. Whatever happened to the machines, the board still says what they had done.
 */
import { spellTime } from '../../../core/base/units.ts'
import type { MigrationStatus } from '../../../core/trace/event.ts'
import { PageState } from './board.ts'
import { writtenPages } from './compare.ts'
import type { Facts } from './coordinator.ts'

/** The source writes its states, unless it is no longer there to do so. */
export function statusOf({ board, outcome, status }: Facts): MigrationStatus {
  if (status === 'completed' || status === 'failed' || status === 'cancelled') return status
  if (outcome.how === 'ended' || outcome.how === 'watchdog') return board.isHandedOver ? 'postcopy-paused' : 'failed'
  return status
}

/** What went wrong, where the guest is, and the remedy; empty: nothing went wrong. */
export function sentenceOf(facts: Facts): string {
  const { board, outcome, run } = facts
  const received = board.isHandedOver
  const where = received
    ? 'the guest had been handed over and is gone with what was missing'
    : facts.guest === 'source'
      ? 'the guest goes on at the source'
      : 'the guest was there and is gone'
  switch (outcome.how) {
    case 'ended': {
      const { lost, missing } = lostPages(facts)
      const pages = missing > 0 ? `${lost} pages are lost, ${missing} are still on the source` : `${lost} pages are lost`
      return `the ${outcome.side}'s process is gone (${outcome.why}): ${where}${received ? `; ${pages}` : ''}`
    }
    case 'watchdog':
      return `nothing moved for ${spellTime(run.watchdogNs)}, and the watchdog ended it: ${where}`
    case 'stuck':
      return 'the connection broke after the guest was handed over, and nobody recovered it; --recover does, when the link works again'
    case 'time limit':
    case 'stopped':
      return ''
    case 'over':
      return statusOf(facts) === 'failed' ? `the connection broke before the guest was handed over: ${where}` : ''
  }
}

/** Written pages that no machine has any longer, and those that are on the source, out of the guest's reach. */
export function lostPages(facts: Facts): { lost: number; missing: number } {
  const { board, outcome } = facts
  if (statusOf(facts) === 'completed') return { lost: 0, missing: 0 }
  const isGone = (side: 'source' | 'destination') => outcome.how === 'ended' && outcome.side === side
  if (!board.isHandedOver) return { lost: isGone('source') ? writtenPages(board) : 0, missing: 0 }
  const here = writtenPages(board, (page) => board.states[page] === PageState.received)
  const there = writtenPages(board) - here
  return {
    lost: (isGone('destination') ? here : 0) + (isGone('source') ? there : 0),
    missing: isGone('source') ? 0 : there,
  }
}
