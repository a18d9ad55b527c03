/**
 * Litmus tests of what passes between source and destination: from pre-copy to post-copy, and over a connection that breaks.
 *
 * Source: QEMU, migration/ram.c, migration.c and savevm.c.
 */

import { Ledger } from '../../checkers/ledger.ts'
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import type { Link } from '../../hw/link.ts'
import type { Destination } from '../../migration/destination.ts'
import { DemandPolicy } from '../../migration/prepaging/demand.ts'
import { MultifdReceiver } from '../../migration/ram_load.ts'
import { StreamMessage } from '../../migration/ram_stream.ts'
import { resendRequests, sendReceivedBitmap } from '../../migration/recovery.ts'
import { IoctlResolver } from '../../migration/resolver.ts'
import type { Source } from '../../migration/source.ts'
import { expectEqual, type Litmus, type Scene } from '../litmus.ts'
import { Guest, incomingRam, litmusLink, outgoingPage, theEnd } from '../migration_scenes.ts'
import { contentOf, loadWord } from '../scenes.ts'
import type { World } from '../world.ts'

/** Pre-copy sent the page as 1; the guest stores 2 before it is stopped, and goes on at the destination. */
function storeBeforeTheSwitch(world: World): Scene {
  const { page, incoming, stream, returnPath } = incomingRam(world, new IoctlResolver(world.process, 'copy'), { precopied: true })
  const guest = new Guest()
  const { source, process, page: from } = outgoingPage(world, 1, { stream, returnPath, stopVcpus: () => guest.stop() })
  world.actor('vcpu', 1, (k) => guest.run(process.writePage(k, from, contentOf(2))), process)
  world.actor('migration', 2, (k) => switchAndPush(k, source, stream), process)
  world.actor('incoming', 0, (k) => loadBoth(k, incoming, stream))
  return {
    judge: () => expectEqual('I-DATA', 'the page at the destination', 2, world.word(page)),
    outcome: () => `page=${world.word(page)} duplicates=${incoming.duplicates}`,
  }
}

function* switchAndPush(k: Thread, source: Source, stream: Link): Proc<void> {
  yield* source.switchOver(k)
  yield* source.pushAll(k)
  yield* stream.send(k, StreamMessage.End, -1, 0)
}

/** What is left of pre-copy, then post-copy. */
function* loadBoth(k: Thread, incoming: Destination, stream: Link): Proc<void> {
  yield* incoming.loadPrecopy(k)
  yield* incoming.arm(k)
  yield* incoming.load(k, stream)
}

/** Pre-copy sent the page as 1, and the guest has stored 2: what the source says of that is on its way, and the guest goes on here. */
function readAfterTheSwitch(world: World): Scene {
  const guest = new Guest(false)
  const startVcpus = () => guest.start()
  const resolver = new IoctlResolver(world.process, 'copy')
  const { page, incoming, stream, returnPath } = incomingRam(world, resolver, { precopied: true, startVcpus })
  const { source, process, page: from } = outgoingPage(world, 2, { stream, returnPath })
  const call = (body: (k: Thread) => Proc<unknown>) => world.call(body, 2, process)
  call((k) => process.writePage(k, from, contentOf(2)))
  call((k) => source.switchOver(k))
  call((k) => source.pushAll(k))
  theEnd(world, stream)
  world.actor('main', 0, (k) => incoming.main(k))
  world.actor('listen', 1, (k) => incoming.listen(k))
  const vcpu = world.actor('vcpu', 0, (k) => guest.run(loadWord(k, world.process, page)))
  return {
    judge: () => expectEqual('I-DATA', 'what the vCPU read', 2, vcpu.value),
    outcome: () => `vcpu=${vcpu.value}`,
  }
}

/** Pre-copy gave the page, as 1, to a channel that nobody has read yet; the guest has stored 2, and post-copy has sent that. */
function remnantOfPrecopy(world: World): Scene {
  const channel = litmusLink('the channel')
  const multifd = new MultifdReceiver([channel], false)
  const { page, incoming, stream, returnPath } = incomingRam(world, new IoctlResolver(world.process, 'copy'), {
    precopied: true,
    multifd,
  })
  const { source, process, page: from } = outgoingPage(world, 2, { stream, returnPath, multifd: channel })
  const call = (body: (k: Thread) => Proc<unknown>) => world.call(body, 2, process)
  call((k) => process.writePage(k, from, contentOf(2)))
  call((k) => source.switchOver(k))
  call((k) => source.pushAll(k))
  theEnd(world, stream)
  theEnd(world, channel)
  world.actor('incoming', 0, (k) => loadBoth(k, incoming, stream))
  const ram = { process: world.process, ramPage: page, map: incoming.map, stream }
  world.actor('multifd', 1, (k) => multifd.receive(k, ram, 0))
  return {
    judge: () => expectEqual('I-DATA', 'the page at the destination', 2, world.word(page)),
    outcome: () => `page=${world.word(page)} duplicates=${incoming.duplicates}`,
  }
}

/** Pages on request only; the return path breaks at any moment, and is made again. */
function requestIsLost(world: World): Scene {
  const { page, incoming, stream, returnPath } = incomingRam(world, new IoctlResolver(world.process, 'copy'))
  const { source, process } = outgoingPage(world, 2, { stream, returnPath, precopied: false, policy: new DemandPolicy() })
  const vcpu = world.actor('vcpu', 0, (k) => loadWord(k, world.process, page))
  world.daemon('fault', 0, (k) => incoming.fault(k))
  world.daemon('listen', 1, (k) => incoming.load(k, stream))
  world.daemon('return path', 2, (k) => source.returnPath(k), process)
  world.daemon('migration', 2, (k) => source.pushAll(k), process)
  world.actor('network', 3, (k) => breakAndResend(k, world, incoming, returnPath))
  return {
    judge: () => expectEqual('I-LIN', 'what the vCPU read', 1, vcpu.value),
    outcome: () => `vcpu=${vcpu.value}`,
  }
}

function* breakAndResend(k: Thread, world: World, incoming: Destination, returnPath: Link): Proc<void> {
  yield* returnPath.breakOff(k)
  yield* resendRequests(k, world.process, incoming.map, returnPath)
}

/** The connection breaks at any moment while the guest is handed over. */
function breakWhileHandingOver(world: World): Scene {
  const ledger = new Ledger(1)
  const runsAt = (machine: string) => ledger.runs(machine, true)
  const { incoming, stream, returnPath } = incomingRam(world, new IoctlResolver(world.process, 'copy'), {
    startVcpus: () => runsAt('destination'),
  })
  const { source, process } = outgoingPage(world, 1, { stream, returnPath, precopied: false, startVcpus: () => runsAt('source') })
  world.daemon('main', 0, (k) => incoming.waitForDevices(k))
  world.daemon('listen', 0, (k) => incoming.load(k, stream))
  const migration = world.actor('migration', 1, (k) => source.switchOver(k), process)
  world.actor('network', 2, (k) => breakAndTellSource(k, source, stream))
  return {
    ledger,
    outcome: () => `handed over=${migration.value} runs at=${[...ledger.running].join(' and ') || 'none yet'}`,
  }
}

function* breakAndTellSource(k: Thread, source: Source, stream: Link): Proc<void> {
  yield* stream.breakOff(k)
  yield* source.connectionLost(k)
}

/** The source gives its pages back as soon as it may; the stream breaks at any moment, and the destination says what it has. */
function pageIsLost(world: World): Scene {
  const { page, incoming, stream, returnPath } = incomingRam(world, new IoctlResolver(world.process, 'copy'))
  const { source, process } = outgoingPage(world, 1, { stream, returnPath, precopied: false, releases: 'when received' })
  world.actor('listen', 0, (k) => incoming.load(k, stream))
  world.daemon('return path', 1, (k) => source.returnPath(k), process)
  world.actor('migration', 1, (k) => pushAndResume(k, source, stream), process)
  world.actor('network', 2, (k) => breakAndTellReceived(k, incoming, stream, returnPath))
  return {
    judge: () => expectEqual('I-DATA', 'the page at the destination', 1, world.word(page)),
    outcome: () => `page=${world.word(page)} duplicates=${incoming.duplicates}`,
  }
}

function* pushAndResume(k: Thread, source: Source, stream: Link): Proc<void> {
  yield* source.pushAll(k)
  yield* source.recovery.bitmapReloaded(k)
  yield* source.pushAll(k)
  yield* stream.send(k, StreamMessage.End, -1, 0)
}

function* breakAndTellReceived(k: Thread, incoming: Destination, stream: Link, returnPath: Link): Proc<void> {
  yield* stream.breakOff(k)
  yield* sendReceivedBitmap(k, incoming.map, returnPath)
}

export const HANDOVER: readonly Litmus[] = [
  {
    name: 'old-page-after-the-switch',
    title: 'The guest goes on at the destination and reads a page as it was when pre-copy sent it',
    result: 'never',
    refs: ['R66', 'R71'],
    protections: ['postcopy-discard', 'stop-before-postcopy'],
    memoryModel: 'sc',
    start: `
      source: page 1, sent by pre-copy          destination: page 1 on its way
      vcpu: page = 2    migration: stop, sync, say what is old, LISTEN, push      incoming: load, drop, arm, place`,
    world: { cpus: 3 },
    build: storeBeforeTheSwitch,
  },
  {
    name: 'load-after-the-switch',
    title: 'The first load of the guest at the destination finds a page that pre-copy brought, and that was written since',
    result: 'never',
    refs: ['R66'],
    protections: ['postcopy-discard'],
    memoryModel: 'sc',
    start: `
      page as 1, discard, LISTEN, device state, the page as 2 and the end on the stream
      main: load, drop, arm; start the guest            listen: place, disarm            vcpu: load page`,
    world: { cpus: 3 },
    build: readAfterTheSwitch,
  },
  {
    name: 'remnant-of-precopy-after-postcopy',
    title: 'A page that pre-copy sent by another channel arrives after the page of post-copy, and takes its place',
    result: 'never',
    refs: ['R82'],
    protections: ['multifd-sync'],
    memoryModel: 'sc',
    start: `
      page as 1 and SYNC on the channel; FLUSH, discard, LISTEN and the page as 2 on the stream
      incoming: wait for SYNC, drop, arm, place page = 2                          multifd: load page = 1`,
    world: { cpus: 3 },
    build: remnantOfPrecopy,
    history: {
      story:
        'QEMU could use multifd channels and post-copy together only from May 2025 on: the channels carry pages during pre-copy, and when post-copy ' +
        'begins they fall silent. What they still hold then belongs to pre-copy, and has to be in its place before the stream goes on.',
      sources: [
        'QEMU e27418861288 "migration: enable multifd and postcopy together"',
        'https://lore.kernel.org/r/20250512125124.147064-3-ppandit@redhat.com',
      ],
    },
  },
  {
    name: 'request-lost-with-the-connection',
    title: 'A request is lost when the connection breaks, and the vCPU that needs the page sleeps for ever',
    result: 'never',
    refs: ['R80'],
    protections: ['resend-requests'],
    memoryModel: 'sc',
    start: `
      destination: page missing                 source: page 1, sent on request only
      vcpu: load page    fault: request    return path, migration: send    listen: place    network: break, ask again`,
    world: { cpus: 4 },
    build: requestIsLost,
  },
  {
    name: 'two-machines-run',
    title: 'The connection breaks, the source lets the guest go on, and so does the destination',
    result: 'never',
    refs: ['R69'],
    protections: ['one-handover'],
    memoryModel: 'sc',
    start: `
      source: the guest stands                  destination: armed, waits for the state of the devices
      migration: send the state    listen, main: load it, start    network: break, tell the source`,
    world: { cpus: 3 },
    build: breakWhileHandingOver,
  },
  {
    name: 'page-lost-with-the-connection',
    title: 'A page is lost when the connection breaks, and the source does not have it any longer',
    result: 'never',
    refs: ['R70'],
    protections: ['release-after-ack'],
    memoryModel: 'sc',
    start: `
      destination: page missing                 source: page 1, to be released after use
      migration: send, release; send the rest       listen: place       network: break, say what came`,
    world: { cpus: 3 },
    build: pageIsLost,
    history: {
      story:
        'QEMU with release-ram drops a page of the source as soon as it was sent in post-copy. When recovery from a broken connection came, which ' +
        'sends lost pages again, the two could not be had together: a resume is refused while release-ram is set. ' +
        'What is shown here would be another cure: the source waits for the word of the destination before it releases.',
      sources: ['QEMU, migration/migration.c: "Postcopy recovery cannot work when release-ram capability is set"'],
    },
  },
]
