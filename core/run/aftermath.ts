/**
 * What is left when a run ends: where the guest is, and which machine has the newest content of each of its pages.
 *
 *  completed                          the destination has everything.
 *  a background snapshot              the source has everything, whatever became of the image.
 *  failed or cancelled before the     the source has everything: it is as if nothing had happened.
 *    hand-over
 *  paused after it                    the destination has what it received; the rest is on the source, safe and out of the guest's reach: missing.
 *    with release-ram                 what was on its way is lost.
 *  memory failed                      its page is lost, wherever the guest is.
 *  a machine crashed                  what only it had is lost, and so is the guest, where it had run there or cannot go on.
 *
 * Lost are pages that the guest had written; of a page that it never wrote there is nothing to lose. Nothing is invented: a machine answers for
 * what it says it has (final_checks.ts compares it), and no other machine is asked to stand in for it.
 */
import type { Machine } from '../machine/machine.ts'
import { PageMapState } from '../migration/page_map.ts'
import type { MigrationRun } from './migration_run.ts'

export type Whereabouts = 'source' | 'destination' | 'nowhere'

export interface Aftermath {
  /** The machine whose vCPUs are the guest, running or able to. */
  readonly guest: Whereabouts
  /** Who has the newest content of a page. */
  readonly of: (page: number) => Whereabouts
  /** Written pages that no machine has any longer. */
  readonly lost: number
  /** Written pages that the guest cannot reach, though a machine has them. */
  readonly missing: number
  /** What went wrong, what is left, and the remedy; empty: nothing went wrong. */
  readonly sentence: string
}

export function aftermath(run: MigrationRun): Aftermath {
  const { poisoned } = run.incidents
  if (run.state.status === 'completed' && run.incidents.crashed.size + poisoned.size === 0) {
    const guest = guestOf(run)
    return { guest, of: () => guest, lost: 0, missing: 0, sentence: '' }
  }
  const isAlive = (machine: Machine) => !run.incidents.crashed.has(machine)
  const [source, destination] = [isAlive(run.source), isAlive(run.destination)]
  const where = guestOf(run)
  const goesOn = where === 'destination' || run.state.status !== 'postcopy-paused'
  const guest = goesOn && (where === 'source' ? source : destination) ? where : 'nowhere'
  const of = (page: number): Whereabouts => {
    if (poisoned.has(page)) return 'nowhere'
    const has = where === 'source' || (run.state.status !== 'completed' && !isReceived(run, page)) ? 'source' : where
    if (has === 'source' && isGivenUp(run, page)) return 'nowhere'
    return (has === 'source' ? source : destination) ? has : 'nowhere'
  }
  let lost = 0
  let missing = 0
  for (let page = 0; page < run.pages; page++) {
    if (run.shadow.version[page] === 0) continue
    const has = of(page)
    if (has === 'nowhere') lost++
    else if (has !== guest) missing++
  }
  return { guest, of, lost, missing, sentence: sentenceOf(run, guest, lost, missing) }
}

/** Where the guest runs, or would if that machine had not crashed. */
export function guestOf({ state, incoming, options }: MigrationRun): 'source' | 'destination' {
  if (options.capabilities['background-snapshot']) return 'source'
  if (state.status === 'completed') return 'destination'
  return incoming === null || incoming.has === 'no guest' ? 'source' : 'destination'
}

function isReceived({ incoming }: MigrationRun, page: number): boolean {
  const state = incoming?.map.state(page)
  return state === PageMapState.received || state === PageMapState.removed
}

/** With release-ram the source drops a page as soon as post-copy has sent it. */
function isGivenUp({ incidents, outgoing }: MigrationRun, page: number): boolean {
  return !incidents.canRecover && incidents.wasIn('postcopy-active') && outgoing?.bitmap.has(page) === false
}

function sentenceOf(run: MigrationRun, guest: Whereabouts, lost: number, missing: number): string {
  const { state, incidents } = run
  const count = (n: number) => `${n.toLocaleString('en')} page${n === 1 ? '' : 's'}`
  if (incidents.crashed.has(run.source) && incidents.crashed.has(run.destination))
    return `both machines crashed: the guest and the ${count(lost)} that it had written are lost`
  if (incidents.crashed.has(run.source) && state.status !== 'completed')
    return guest === 'nowhere'
      ? `the source crashed before the hand-over: the guest and the ${count(lost)} that it had written are lost`
      : `the source crashed: ${count(lost)} that only it had are lost, and the guest stops when it touches one of them`
  if (incidents.crashed.has(run.destination) && guest === 'nowhere')
    return `the destination crashed with the guest, which is lost; so are the ${count(lost)} that had come there`
  if (state.status === 'cancelled' && guest === 'destination') return 'it was cancelled too late: the guest is at the destination'
  if (state.status === 'cancelled') return 'it was cancelled: the guest goes on at the source, and nothing is lost'
  if (state.status === 'postcopy-paused' && !incidents.canRecover)
    return `the connection broke, and release-ram rules out a recovery: ${count(lost)} were on their way and are lost; migrate without it`
  if (state.status === 'postcopy-paused')
    return incidents.isDownForGood
      ? `the link is down for good: ${count(missing)} are on the source, out of the guest's reach; nothing is lost if it ever works again`
      : `the connection broke, and nobody has recovered it: ${count(missing)} are on the source, out of the guest's reach; give --recover`
  const failed = incidents.poisoned.size
  if (failed > 0 && state.status === 'completed')
    return `the memory of ${count(failed)} failed at the source before ${failed === 1 ? 'it was' : 'they were'} sent: a vCPU that touches such a page gets a machine check, and halts`
  return state.error
}
