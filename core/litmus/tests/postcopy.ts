/**
 * Litmus tests of post-copy at the destination: who places, who marks, who wakes, and what the guest gives back.
 *
 * What the source would send is on its way at the start.
 * Source: QEMU, migration/postcopy-ram.c, and its prototype of 2014.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import type { Link } from '../../hw/link.ts'
import type { Destination } from '../../migration/destination.ts'
import { IoctlResolver, RemapResolver } from '../../migration/resolver.ts'
import { MADV_DONTNEED, madvise } from '../../mm/madvise.ts'
import { uffdCopy } from '../../mm/mfill_atomic.ts'
import { UFFDIO_COPY_MODE_DONTWAKE } from '../../mm/uffd_abi.ts'
import { answers, expectEqual, type Litmus, type Scene } from '../litmus.ts'
import { incomingRam, inFlight, litmusLink, theEnd } from '../migration_scenes.ts'
import { contentOf, loadWord } from '../scenes.ts'
import { at, P, type World } from '../world.ts'

/** The protocol of 2014: a page arrives that nobody asked for, while a vCPU touches it. */
function pageArrivesWhileTouched(world: World): Scene {
  const { page, incoming, stream } = incomingRam(world, new RemapResolver(world.process))
  inFlight(world, stream, 0, 7)
  theEnd(world, stream)
  const vcpu = world.actor('vcpu', 0, (k) => loadWord(k, world.process, page))
  world.actor('listen', 1, (k) => incoming.load(k, stream))
  world.daemon('fault', 2, (k) => incoming.fault(k))
  return {
    watch: () => {
      const { userfault } = world.kernel.faults
      return userfault > 1 ? { invariant: 'I-WAIT', message: 'the vCPU was woken, and the page was not there' } : null
    },
    judge: () => expectEqual('I-LIN', 'what the vCPU read', 7, vcpu.value),
    outcome: () => answers(world),
  }
}

/** The same page comes by the stream and by the channel of urgent pages; the vCPU that waited for the latter then writes it. */
function pageComesTwice(world: World, background: number): Scene {
  const urgent = litmusLink('the urgent channel')
  const { page, incoming, stream } = incomingRam(world, new IoctlResolver(world.process, 'copy', 1, 2), { urgent })
  for (const link of [stream, urgent]) {
    inFlight(world, link, 0, link === stream ? background : 1)
    theEnd(world, link)
  }
  world.actor('listen', 0, (k) => incoming.load(k, stream))
  world.actor('preempt', 1, (k) => loadThenStore(k, world, incoming, urgent, page))
  return {
    judge: () => expectEqual('I-LIN', 'the page after the store', 2, world.word(page)),
    outcome: () => `page=${world.word(page)} duplicates=${incoming.duplicates}`,
  }
}

function* loadThenStore(k: Thread, world: World, incoming: Destination, channel: Link, page: number): Proc<void> {
  yield* incoming.load(k, channel)
  yield* world.process.writePage(k, page, contentOf(2))
}

function* giveBackAndLoad(k: Thread, world: World, page: number): Proc<number> {
  yield* madvise(k, world.mm, at(page), P, MADV_DONTNEED)
  return yield* loadWord(k, world.process, page)
}

export const POSTCOPY: readonly Litmus[] = [
  {
    name: 'page-arrives-while-its-fault-is-unread',
    title: 'A page arrives, and a vCPU whose fault on it was not read yet sleeps for ever, or is woken too early',
    result: 'never',
    refs: ['R51', 'R81'],
    protections: ['ack-received', 'place-before-mark'],
    memoryModel: 'sc',
    start: `
      page 0: missing; on its way; nobody asked for it
      vcpu: load page                listen: place, mark, wake if asked for      fault: read, ask or acknowledge`,
    world: { cpus: 3 },
    build: pageArrivesWhileTouched,
  },
  {
    name: 'page-comes-by-two-channels',
    title: 'A page comes a second time and takes the place of what the guest wrote meanwhile',
    result: 'never',
    refs: ['R58'],
    protections: ['place-exclusive'],
    memoryModel: 'sc',
    start: `
      page 0: missing; on its way by the stream and by the urgent channel
      listen: place page = 1                    preempt: place page = 1; then the vCPU: page = 2`,
    world: {},
    build: (world) => pageComesTwice(world, 1),
  },
  {
    name: 'zero-page-over-arriving-page',
    title: 'Zeros are placed over a page that came with its content',
    result: 'never',
    refs: ['R56'],
    protections: ['place-exclusive'],
    memoryModel: 'sc',
    start: `
      page 0: missing; on its way by the urgent channel, and as zeros by the stream
      listen: place zeros                       preempt: place page = 1; then the vCPU: page = 2`,
    world: {},
    build: (world) => pageComesTwice(world, 0),
  },
  {
    name: 'page-placed-by-one-who-does-not-wake',
    title: 'A page is in its place, placed by one who did not wake, and a vCPU waits for it for ever',
    result: 'never',
    refs: ['R57'],
    protections: ['wake-on-eexist'],
    memoryModel: 'sc',
    start: `
      page 0: missing; on its way
      vcpu: load page                prefetch: UFFDIO_COPY, DONTWAKE, and dies   listen: place, or wake`,
    world: { cpus: 3 },
    build(world) {
      const { page, incoming, stream } = incomingRam(world, new IoctlResolver(world.process, 'copy'))
      inFlight(world, stream, 0, 7)
      theEnd(world, stream)
      const source = world.map(1)
      world.store(source, 7, 2)
      const uffd = world.vma(page).uffd
      const vcpu = world.actor('vcpu', 0, (k) => loadWord(k, world.process, page))
      world.actor('listen', 1, (k) => incoming.load(k, stream))
      if (uffd !== null) world.actor('prefetch', 2, (k) => uffdCopy(k, uffd, at(page), at(source), P, UFFDIO_COPY_MODE_DONTWAKE))
      return {
        judge: () => expectEqual('I-LIN', 'what the vCPU read', 7, vcpu.value),
        outcome: () => `vcpu=${vcpu.value} duplicates=${incoming.duplicates}`,
      }
    },
  },
  {
    name: 'page-placed-after-it-was-given-back',
    title: 'The guest gives a page back, and reads what the page held before',
    result: 'never',
    refs: ['R73'],
    protections: ['remove-under-map-lock'],
    memoryModel: 'sc',
    start: `
      page 0: missing; on its way
      vcpu: madvise(DONTNEED), load page        listen: look, place, mark        fault: read the removal, mark; zeros`,
    world: { cpus: 3 },
    build(world) {
      const resolver = new IoctlResolver(world.process, 'copy', 1, 1, true)
      const { page, incoming, stream } = incomingRam(world, resolver)
      inFlight(world, stream, 0, 7)
      theEnd(world, stream)
      const vcpu = world.actor('vcpu', 0, (k) => giveBackAndLoad(k, world, page))
      world.actor('listen', 1, (k) => incoming.load(k, stream))
      world.daemon('fault', 2, (k) => incoming.fault(k))
      return {
        judge: () => expectEqual('I-LIN', 'what the vCPU read of the page it gave back', 0, vcpu.value),
        outcome: () => answers(world),
      }
    },
    history: {
      story:
        'e2b restores Firecracker guests with a manager of userfaults. Pages that a balloon gave back stayed in its books as served. ' +
        'The change of April 2026 reads UFFD_EVENT_REMOVE and marks the pages removed; it holds a lock, shared, from the look ' +
        'at the state of a page over UFFDIO_COPY to the mark, and takes it exclusively to drain removals, so that none slips in between. QEMU ' +
        'keeps the balloon from working during post-copy instead.',
      sources: ['https://github.com/e2b-dev/infra/pull/2520', 'QEMU, hw/virtio/virtio-balloon.c: virtio_balloon_inhibited'],
    },
  },
]
