/**
 * From pre-copy to post-copy and after a break, one call at a time in the clock gear: what is discarded, what the other channel
 * holds up, what is asked for again, what is given back, and who runs.
 */
import { describe, expect, it } from 'vitest'
import { roundRobin } from '../../core/explore/schedulers.ts'
import type { Link } from '../../core/hw/link.ts'
import type { Message } from '../../core/hw/message_ring.ts'
import { incomingRam, inFlight, litmusLink, outgoingPage, outgoingRam, theEnd } from '../../core/litmus/migration_scenes.ts'
import { contentOf } from '../../core/litmus/scenes.ts'
import { at, P, World } from '../../core/litmus/world.ts'
import { postcopySendDiscardBitmap, ramDiscardRange } from '../../core/migration/discard.ts'
import { PlaceError } from '../../core/migration/host_page.ts'
import { PageMap, PageMapState } from '../../core/migration/page_map.ts'
import { DemandPolicy } from '../../core/migration/prepaging/demand.ts'
import { MultifdReceiver } from '../../core/migration/ram_load.ts'
import { ReturnMessage, StreamMessage } from '../../core/migration/ram_stream.ts'
import { resendRequests } from '../../core/migration/recovery.ts'
import { IoctlResolver } from '../../core/migration/resolver.ts'
import { MADV_DONTNEED, madvise } from '../../core/mm/madvise.ts'

const newWorld = (cpus = 3) => new World(roundRobin(), new Set(), { cpus })
const types = (link: Link): number[] => link.inFlight().map((m: Message) => m.type)

/** Runs the actors to their end, one step of each in turn. */
function run(world: World): void {
  expect(world.execution.run(2000)).toBe('done')
}

describe('discard', () => {
  it('names runs of pages that are dirty, after a last sync', () => {
    const world = newWorld()
    const page = world.map(6)
    const stream = litmusLink('stream')
    const ram = outgoingRam(world.process, page, 6, stream)
    world.call((k) => ram.setup(k))
    world.call((k) => ram.iterate(k, 6))
    for (const dirty of [1, 2, 4]) world.store(page + dirty, 5)
    const before = stream.depth
    world.call((k) => postcopySendDiscardBitmap(k, ram, stream))
    const said = stream.inFlight().slice(before)
    expect(said.map((m) => [m.type, m.page, m.word0])).toEqual([
      [StreamMessage.Discard, 1, 2],
      [StreamMessage.Discard, 4, 1],
    ])
    expect(ram.pending).toBe(3)
  })

  it('takes the mark and the page, and no other', () => {
    const world = newWorld()
    const page = world.map(3)
    const map = new PageMap(3)
    for (let i = 0; i < 3; i++) {
      world.store(page + i, 7)
      map.receive(i)
    }
    world.call((k) => ramDiscardRange(k, world.process, page, map, 1, 1))
    expect([0, 1, 2].map((i) => world.word(page + i))).toEqual([7, -1, 7])
    expect([...map.states]).toEqual([PageMapState.received, PageMapState.missing, PageMapState.received])
    expect(map.received).toBe(2)
  })
})

describe('switching over', () => {
  it('after a pre-copy by another channel: SYNC there; FLUSH, discard, LISTEN and the state on the stream; then the page', () => {
    const world = newWorld()
    const [stream, returnPath, multifd] = ['stream', 'return path', 'channel'].map(litmusLink)
    if (stream === undefined || returnPath === undefined || multifd === undefined) throw new Error('three links')
    const { source, process, page } = outgoingPage(world, 2, { stream, returnPath, multifd })
    world.call((k) => process.writePage(k, page, contentOf(2)), 2, process)
    expect(world.call((k) => source.switchOver(k), 2, process)).toBe(true)
    world.call((k) => source.pushAll(k), 2, process)
    expect(types(multifd)).toEqual([StreamMessage.Page, StreamMessage.MultifdSync])
    const { MultifdFlush, Discard, Listen, Packaged, Page } = StreamMessage
    expect(types(stream)).toEqual([MultifdFlush, Discard, Listen, Packaged, Page])
    expect(stream.inFlight().at(-1)?.word0).toBe(2)
  })

  it('over a connection that broke before the hand-over lets the guest go on, and sends no state', () => {
    const world = newWorld()
    const stream = litmusLink('stream')
    let runs = 0
    const startVcpus = () => runs++
    const { source, process } = outgoingPage(world, 2, { stream, returnPath: litmusLink('rp'), precopied: false, startVcpus })
    world.call((k) => source.connectionLost(k), 2, process)
    expect(world.call((k) => source.switchOver(k), 2, process)).toBe(false)
    expect([runs, types(stream)]).toEqual([1, []])
  })

  it('sends a page that nobody asked for only if it may', () => {
    const world = newWorld()
    const stream = litmusLink('stream')
    const returnPath = litmusLink('return path')
    const { source, process } = outgoingPage(world, 2, { stream, returnPath, precopied: false, policy: new DemandPolicy() })
    const migration = world.actor('migration', 2, (k) => source.pushAll(k), process)
    world.daemon('return path', 2, (k) => source.returnPath(k), process)
    expect(world.execution.run(200)).toBe('deadlock')
    expect([migration.done, types(stream)]).toEqual([false, []])
    const asks = world.actor('asks', 1, (k) => returnPath.send(k, ReturnMessage.RequestPages, 0, 0))
    run(world)
    expect([asks.done, migration.done, types(stream)]).toEqual([true, true, [StreamMessage.Page]])
  })
})

describe('the other channel', () => {
  it('is read as far as its SYNC before the stream goes on behind FLUSH', () => {
    const world = newWorld()
    const channel = litmusLink('channel')
    const multifd = new MultifdReceiver([channel], false)
    const resolver = new IoctlResolver(world.process, 'copy')
    const { page, incoming, stream } = incomingRam(world, resolver, { precopied: true, multifd })
    world.call((k) => stream.send(k, StreamMessage.MultifdFlush, -1, 0))
    world.call((k) => stream.send(k, StreamMessage.Listen, -1, 0))
    const main = world.actor('main', 0, (k) => incoming.loadPrecopy(k))
    expect(world.execution.run(200)).toBe('deadlock')
    inFlight(world, channel, 0, 9)
    world.call((k) => channel.send(k, StreamMessage.MultifdSync, -1, 0))
    theEnd(world, channel)
    world.actor('multifd', 1, (k) => multifd.receive(k, { process: world.process, ramPage: page, map: incoming.map, stream }, 0))
    run(world)
    expect([main.done, world.word(page), incoming.map.state(0)]).toEqual([true, 9, PageMapState.received])
  })

  it('brings pages and nothing else', () => {
    const world = newWorld()
    const channel = litmusLink('channel')
    const stream = litmusLink('stream')
    const o = { process: world.process, ramPage: world.map(1), map: new PageMap(1), stream }
    world.call((k) => channel.send(k, StreamMessage.Listen, -1, 0))
    world.actor('multifd', 1, (k) => new MultifdReceiver([channel], false).receive(k, o, 0))
    expect(() => world.execution.run(50)).toThrow(PlaceError)
  })
})

describe('a connection that broke', () => {
  it('has lost what was on its way, and takes new messages', () => {
    const world = newWorld()
    const link = litmusLink('link')
    inFlight(world, link, 0, 1)
    inFlight(world, link, 1, 2)
    world.call((k) => link.breakOff(k))
    expect(link.depth).toBe(0)
    inFlight(world, link, 2, 3)
    const reader = world.actor('reader', 0, (k) => link.receive(k))
    run(world)
    expect([reader.done, link.message.page]).toEqual([true, 2])
  })

  it('is asked again for what was requested, not for what is missing or here', () => {
    const world = newWorld()
    const returnPath = litmusLink('return path')
    const map = new PageMap(4)
    map.request(1)
    map.request(2)
    map.receive(2)
    map.request(3)
    world.call((k) => resendRequests(k, world.process, map, returnPath))
    expect(returnPath.inFlight().map((m) => m.page)).toEqual([1, 3])
  })
})

describe('a page that the guest gave back', () => {
  it('is zeros, though its content comes later', () => {
    const world = newWorld()
    const { page, incoming, stream } = incomingRam(world, new IoctlResolver(world.process, 'copy', 1, 1, true))
    const vcpu = world.actor('vcpu', 0, function* (k) {
      yield* madvise(k, world.mm, at(page), P, MADV_DONTNEED)
    })
    world.daemon('fault', 2, (k) => incoming.fault(k))
    run(world)
    expect([vcpu.done, incoming.map.state(0)]).toEqual([true, PageMapState.removed])
    inFlight(world, stream, 0, 7)
    theEnd(world, stream)
    world.actor('listen', 1, (k) => incoming.load(k, stream))
    const out = contentOf(5)
    world.actor('reader', 0, (k) => world.process.readPage(k, page, out))
    run(world)
    expect([out.word0, incoming.duplicates]).toEqual([0, 1])
  })
})
