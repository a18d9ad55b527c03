/**
 * What a machine is told before anything starts, and what its threads are handed: plain data that crosses processes and threads.
 *
 * Pairs with machine.ts, which starts the threads, and coordinator.ts, which starts the machines.
 */
import type { Wire } from '../../../core/run/kernel_report.ts'
import type { MigrateOptions } from '../../../core/run/options.ts'
import type { Shape } from './board.ts'
import type { SharedControl } from './control.ts'
import type { GuestLayout } from './guest_memfd.ts'

export type Side = 'source' | 'destination'
export const SIDES: readonly Side[] = ['source', 'destination']

/** The guest's phases, in the board by their index. */
export const PHASES = ['boot', 'before', 'during', 'after'] as const

export interface MachineSetup {
  readonly side: Side
  readonly options: MigrateOptions
  /** A screen wants to show it. */
  readonly keepsEvents: boolean
  /** Bytes a second; 0: as fast as the socket goes. */
  readonly bandwidthBytesPerSec: number
  readonly wire: Wire
  /** Where the destination listens, if that has a name, and what a connection has to say first. */
  readonly socketName: string
  readonly token: string
  /** How what the guest's files hold lies in shared memory; null: it has none. */
  readonly guest: GuestLayout | null
  /** For the check of the checks: this page is not what it should be when it is placed. @see coordinator.ts */
  readonly plantedFault: number
}

export type ThreadRole = 'vcpu' | 'migration' | 'return path' | 'listen' | 'fault' | 'preempt'

export interface ThreadSetup extends MachineSetup {
  readonly role: ThreadRole
  /** Of the vCPU. */
  readonly index: number
  readonly shape: Shape
  readonly control: SharedControl
  readonly boardAddress: number
  /** Of what the guest's files hold, if it has any. */
  readonly guestAddress: number
  /** Guest RAM, and behind it the buffers of this side's threads (area.ts). */
  readonly areaAddress: number
  /** -1: there is none. */
  readonly uffd: number
  /** The socket that listens; -1. */
  readonly listener: number
}

/** From the coordinator to a machine. */
export type Order =
  | { readonly order: 'start'; readonly setup: MachineSetup }
  /** Of the source: the guest boots and runs. */
  | { readonly order: 'boot' }
  | { readonly order: 'run' }
  /** `port`: where the destination listens, if that is a port. */
  | { readonly order: 'migrate'; readonly port: number }
  | { readonly order: 'cancel' }
  | { readonly order: 'link'; readonly isDown: boolean }
  | { readonly order: 'recover' }
  /** What is missing will not come. */
  | { readonly order: 'abandon' }
  /** The vCPUs stop; then every page is compared, as far as it is here. */
  | { readonly order: 'finish'; readonly onlyReceived: boolean }

/** From a machine to the coordinator. */
export type News =
  /** Its threads are there. `port`: where it listens, if it does, and if that is a port; else 0. */
  | { readonly news: 'ready'; readonly port: number }
  /** This host cannot do it; one sentence. */
  | { readonly news: 'refused'; readonly why: string }
  | { readonly news: 'booted' }
  | { readonly news: 'finished'; readonly comparison: Comparison; readonly usage: Usage }
  /** A thread failed; one sentence. */
  | { readonly news: 'failed'; readonly why: string }

export interface Comparison {
  readonly pagesCompared: number
  readonly lost: number
  readonly stale: number
  readonly misplaced: number
  readonly duplicated: number
  readonly first: { readonly page: number; readonly cause: string; readonly expected: number; readonly found: number } | null
}

/** Of one process. */
export interface Usage {
  readonly minorFaults: number
  readonly majorFaults: number
  readonly userSeconds: number
  readonly systemSeconds: number
  readonly peakRssBytes: number
}
