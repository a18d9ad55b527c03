/**
 * QEMU's fifteen states of a migration in the words of this screen: which of the five phases each belongs to, what it is called
 * there, and whether it is one that nobody hopes for. The phase strip and the timeline's bands read the same table.
 */
import type { MigrationStatus } from '../core/api/protocol.ts'
import type { Shade } from './tokens.ts'
import { CHROME } from './tokens.ts'

export const PHASES = ['setup', 'pre-copy', 'switch-over', 'post-copy', 'completed'] as const

export interface StatusWord {
  /** Index into PHASES; -1: the migration has not begun. */
  readonly phase: number
  readonly word: string
  readonly isTrouble: boolean
  /** Of its band on the timeline. */
  readonly shade: Shade
}

const say = (phase: number, word: string, shade: Shade, isTrouble = false): StatusWord => ({ phase, word, isTrouble, shade })

export const STATUS_WORD: Readonly<Record<MigrationStatus, StatusWord>> = {
  none: say(-1, 'before', CHROME.bandQuiet),
  setup: say(0, 'setup', CHROME.bandSetup),
  'wait-unplug': say(0, 'waits for unplug', CHROME.bandSetup),
  active: say(1, 'pre-copy', CHROME.bandPrecopy),
  'pre-switchover': say(2, 'before the switch', CHROME.bandSetup),
  device: say(2, 'switch-over', CHROME.bandSetup),
  'postcopy-active': say(3, 'post-copy', CHROME.bandPostcopy),
  'postcopy-paused': say(3, 'paused', CHROME.bandTrouble, true),
  'postcopy-recover-setup': say(3, 'reconnects', CHROME.bandTrouble, true),
  'postcopy-recover': say(3, 'recovers', CHROME.bandTrouble, true),
  colo: say(3, 'lock step', CHROME.bandPostcopy),
  completed: say(4, 'completed', CHROME.bandDone),
  cancelling: say(4, 'cancelling', CHROME.bandTrouble, true),
  cancelled: say(4, 'cancelled', CHROME.bandTrouble, true),
  failed: say(4, 'failed', CHROME.bandTrouble, true),
}
