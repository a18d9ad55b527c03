/**
 * The protections of the migration itself: steps of core/migration, in user space, that can be left out as those of the kernel
 * can. They stand in the same list (kconfig.ts), so that a machine is told once what it lacks.
 */
import type { Protection } from './kconfig.ts'

export const MIGRATION_PROTECTIONS = [
  {
    name: 'dirty-clear-before-copy',
    meaning: 'the source clears a page in the dirty log and the bitmap before it reads the page',
    prevents: 'a store between the read and the clear is sent by nobody (R63)',
  },
  {
    name: 'final-bitmap-sync',
    meaning: 'the source reads the dirty log once more after its vCPUs have stopped',
    prevents: 'what the guest wrote after the last sync stays behind (R65)',
  },
  {
    name: 'dirty-ring-lock',
    meaning: 'whoever reaps dirty rings holds a lock from the first entry that it collects to the end of the reset',
    prevents: 'an entry that another has just collected is in no ring, and not yet in the bitmap of the last sync (R65)',
  },
  {
    name: 'dirty-ring-reset',
    meaning: 'a sync write-protects what it has taken out of the dirty rings before these pages are read',
    prevents: 'a store between the harvest and the next reset is in no ring, and in nothing that was sent (R63)',
  },
  {
    name: 'postcopy-discard',
    meaning: 'before post-copy the destination drops every page that was written after pre-copy had sent it',
    prevents: 'the guest reads the old page there, since a page that is present does not fault (R66)',
  },
  {
    name: 'multifd-sync',
    meaning: 'the stream waits, before post-copy, until the other channel was read as far as pre-copy filled it',
    prevents: 'a page of pre-copy arrives after the page of post-copy, and takes its place (R82)',
  },
  {
    name: 'multifd-hold',
    meaning: 'at the end of a pass each channel waits until all of them and the stream were read as far',
    prevents: 'a channel that is behind brings a page of the last pass after another has brought it anew (R82)',
  },
  {
    name: 'ack-received',
    meaning: 'the fault thread acknowledges a fault on a page that it finds received',
    prevents: 'a fault that was not read when its page came sleeps for ever (R51)',
  },
  {
    name: 'place-before-mark',
    meaning: 'the destination marks a page received only after it has placed it',
    prevents: 'the fault thread wakes a vCPU again and again for a page that is not there (R81)',
  },
  {
    name: 'wake-on-eexist',
    meaning: 'whoever finds a page in its place already wakes those who wait for it',
    prevents: 'if whoever placed it does not, they wait for ever (R57)',
  },
  {
    name: 'remove-under-map-lock',
    meaning: 'the look at a page in the map, its placing and its mark exclude the reading and marking of a removal',
    prevents: 'what the guest gave back comes to life again (R73)',
  },
  {
    name: 'urgent-before-end',
    meaning: 'the source says the end of its channels only when a page that goes by the urgent channel has gone',
    prevents: 'the page comes behind the end, nobody reads it, and who needs it sleeps for ever',
  },
  {
    name: 'urgent-before-disarm',
    meaning: 'the destination disarms its memory only when it has read the urgent channel to its end, too',
    prevents: 'a page that comes last by that channel finds no userfault, and who needs it reads zeros',
  },
  {
    name: 'resend-requests',
    meaning: 'after its connection broke, the destination asks again for every page that it had asked for',
    prevents: 'a request that was lost is never repeated, since the page counts as requested (R80)',
  },
  {
    name: 'stop-before-postcopy',
    meaning: 'the source waits until its vCPUs have stopped, and then sees what is left to send',
    prevents: 'a store at the source, after its page was sent for good, is lost (R71)',
  },
  {
    name: 'one-handover',
    meaning: 'once the source has sent the state of the devices, no error lets its vCPUs run again',
    prevents: 'the state had arrived, and two machines run the guest (R69)',
  },
  {
    name: 'release-after-ack',
    meaning: 'with release-ram the source keeps a page until the destination has said that it received it',
    prevents: 'a page that was lost with the connection is nowhere any longer (R70)',
  },
] as const satisfies readonly Protection[]
