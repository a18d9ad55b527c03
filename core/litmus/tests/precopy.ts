/**
 * Litmus tests of pre-copy: a store against the dirty log, the bitmap and the copy of one page.
 *
 * The destination is what the stream holds at the end: of each page, what was sent last.
 * Source: QEMU, migration/ram.c; virt/kvm/kvm_main.c.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import type { Link } from '../../hw/link.ts'
import { DirtyRings } from '../../migration/dirty_rings.ts'
import { PagemapTracker } from '../../migration/pagemap_tracker.ts'
import { precopy } from '../../migration/precopy.ts'
import type { RamState } from '../../migration/ram_save.ts'
import { RESERVED_ENTRIES } from '../../mm/dirty_ring.ts'
import { expectEqual, type Litmus, type Scene } from '../litmus.ts'
import { Guest, litmusLink, outgoingRam } from '../migration_scenes.ts'
import { contentOf } from '../scenes.ts'
import type { World } from '../world.ts'

/** One guest page, its RAM, and a vCPU that stores 2 to it before it is stopped. The log (or PAGEMAP_SCAN) is on, and 1 was stored since. */
function storeWhileSending(world: World, iterations: number, prepare: (ram: RamState) => void, scans = false): Scene {
  const page = world.map(1)
  const stream = litmusLink('the stream')
  const tracker = scans ? new PagemapTracker(world.process, page, 1) : null
  const ram = outgoingRam(world.process, page, 1, stream, tracker === null ? {} : { tracker })
  world.call((k) => ram.setup(k))
  world.store(page, 1, 1)
  world.call((k) => ram.sync(k))
  prepare(ram)
  const guest = storingGuest(world, page)
  world.actor('migration', 0, (k) => precopyOfAPage(k, ram, iterations, guest))
  return lastSentIsTheNewest(world, page, stream)
}

/** A page that nobody has touched: the migration thread looks whether it holds anything, and sends zeros if not; a vCPU stores the first word meanwhile. */
function storeToAnEmptyPage(world: World): Scene {
  const page = world.map(1)
  const stream = litmusLink('the stream')
  const ram = outgoingRam(world.process, page, 1, stream, { looksFirst: true })
  world.call((k) => ram.setup(k))
  const guest = storingGuest(world, page)
  world.actor('migration', 0, (k) => precopyOfAPage(k, ram, 2, guest))
  return lastSentIsTheNewest(world, page, stream)
}

/**
 * The same with a ring for the vCPU, in which the page is since 1 was stored; somebody reaps meanwhile, as the reaper does each second
 * and a vCPU whose ring is full.
 */
function storeWhileReaping(world: World, iterations: number): Scene {
  const page = world.map(1)
  const stream = litmusLink('the stream')
  const rings = new DirtyRings(world.process, page, 1, [world.cpu(1).id], 2 * RESERVED_ENTRIES)
  const ram = outgoingRam(world.process, page, 1, stream, { tracker: rings })
  world.call((k) => ram.setup(k))
  world.call((k) => ram.iterate(k, 1))
  world.store(page, 1, 1)
  const guest = storingGuest(world, page)
  world.actor('reaper', 0, (k) => rings.reap(k))
  world.actor('migration', 0, (k) => precopyOfAPage(k, ram, iterations, guest))
  return lastSentIsTheNewest(world, page, stream)
}

/** A vCPU that stores 2 to the page before it is stopped. */
function storingGuest(world: World, page: number): Guest {
  const guest = new Guest()
  world.actor('vcpu', 1, (k) => guest.run(world.process.writePage(k, page, contentOf(2))))
  return guest
}

function precopyOfAPage(k: Thread, ram: RamState, iterations: number, guest: Guest): Proc<void> {
  return precopy(k, { ram, threshold: () => 0, batch: () => 1, iterations, stopVcpus: () => guest.stop() })
}

function lastSentIsTheNewest(world: World, page: number, stream: Link): Scene {
  return {
    judge: () => expectEqual('I-DATA', 'the page as it was sent last', world.word(page), stream.inFlight().at(-1)?.word0),
    outcome: () => `sent=${stream.inFlight().map((m) => m.word0)}`,
  }
}

export const PRECOPY: readonly Litmus[] = [
  {
    name: 'store-while-a-page-is-sent',
    title: 'Pre-copy ends, and a store that the guest made while its page was sent is not at the destination',
    result: 'never',
    refs: ['R63', 'R64'],
    protections: ['dirty-clear-before-copy', 'dirty-log-flush'],
    memoryModel: 'sc',
    start: `
      page 1: marked in the log, dirty in the bitmap, writable in the vCPU's TLB
      vcpu: page = 2                            migration: clear, read, send; sync; stop; sync; send the rest`,
    world: {},
    build: (world) => storeWhileSending(world, 2, () => {}),
  },
  {
    name: 'store-before-the-stop',
    title: 'The guest stops, and a store that it made since the last sync is not at the destination',
    result: 'never',
    refs: ['R65'],
    protections: ['final-bitmap-sync'],
    memoryModel: 'sc',
    start: `
      page 1: sent, clean, write-protected
      vcpu: page = 2                            migration: sync; stop; sync; send the rest`,
    world: {},
    build: (world) => storeWhileSending(world, 1, (ram) => world.call((k) => ram.iterate(k, 1))),
  },
  {
    name: 'store-while-rings-are-reaped',
    title: 'Pre-copy ends, and a store that the guest made while its dirty ring was reaped is not at the destination',
    result: 'never',
    refs: ['R63', 'R65'],
    protections: ['dirty-ring-lock', 'dirty-ring-reset'],
    memoryModel: 'sc',
    start: `
      page 1: in the ring of the vCPU, writable in its TLB
      vcpu: page = 2        reaper: collect, reset        migration: sync, read, send; sync; stop; sync; send the rest`,
    world: {},
    build: (world) => storeWhileReaping(world, 1),
  },
  {
    name: 'store-while-pagemap-is-scanned',
    title: 'Pre-copy ends, and a store that the guest made while PAGEMAP_SCAN protected its page is not at the destination',
    result: 'never',
    refs: ['R63'],
    protections: ['uffd-wp-flush'],
    memoryModel: 'sc',
    start: `
      page 1: written since it was protected with WP_ASYNC, dirty in the bitmap, writable in the vCPU's TLB
      vcpu: page = 2                            migration: read, send; scan; stop; scan; send the rest`,
    world: {},
    build: (world) => storeWhileSending(world, 2, () => {}, true),
  },
  {
    name: 'store-to-a-page-that-held-nothing',
    title:
      'Pre-copy ends, and a store that the guest made while its page was looked at and found to hold nothing is not at the destination',
    result: 'never',
    refs: ['R63', 'R64'],
    protections: ['dirty-clear-before-copy'],
    memoryModel: 'sc',
    start: `
      a page that nobody has touched, marked in the log, dirty in the bitmap
      vcpu: page = 2                            migration: clear, look, send; sync; stop; sync; send the rest`,
    world: {},
    build: storeToAnEmptyPage,
  },
]
