/**
 * Litmus tests of multifd: a page that is sent twice, by two channels, and channels that are read at their own pace.
 *
 * Source: QEMU, migration/multifd.c and multifd-nocomp.c.
 */
import { type Proc, QUANTUM } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import type { Link } from '../../hw/link.ts'
import { MigrationState } from '../../migration/migration_state.ts'
import { MultifdSend } from '../../migration/multifd_send.ts'
import { PageMap } from '../../migration/page_map.ts'
import { precopy } from '../../migration/precopy.ts'
import { MultifdReceiver, ramLoadPrecopy } from '../../migration/ram_load.ts'
import type { RamState } from '../../migration/ram_save.ts'
import { StreamMessage } from '../../migration/ram_stream.ts'
import { expectEqual, type Litmus, type Scene } from '../litmus.ts'
import { Guest, litmusLink, outgoingRam } from '../migration_scenes.ts'
import { contentOf } from '../scenes.ts'
import { RW, type World } from '../world.ts'

/** A source of one page, which is dirty and holds 1, in a process of its own on CPU `n`; what it sends its pages by. */
function outgoing(world: World, n: number, channels: readonly Link[], stream: Link) {
  const process = world.newProcess()
  const page = world.map(1, RW, process)
  world.store(page, 1, n, process)
  const { recorder } = world.machine
  const send = new MultifdSend({ process, ramPage: page, channels, state: new MigrationState(recorder), recorder, ...PLAIN })
  const ram = outgoingRam(process, page, 1, stream, { multifd: send })
  world.call((k) => ram.setup(k), n, process)
  return { process, page, send, ram }
}

/** Two passes over one page, which the guest writes between them, are on their way: the destination's threads. */
function twoPasses(world: World): Scene {
  const page = world.map(1)
  world.store(page, 0)
  const stream = litmusLink('the stream')
  const channels = [litmusLink('channel 0'), litmusLink('channel 1')]
  const from = outgoing(world, 2, channels, stream)
  const store = (k: Thread) => from.process.writePage(k, from.page, contentOf(2))
  const senders = channels.map((_, n) => (k: Thread) => from.send.send(k, n))
  world.callAll([...senders, (k) => sendTwice(k, from.ram, stream, store)], 2, from.process)
  const receiver = new MultifdReceiver(channels)
  const incoming = { process: world.process, ramPage: page, map: new PageMap(1), stream, multifd: receiver }
  world.actor('main', 0, (k) => ramLoadPrecopy(k, incoming))
  channels.forEach((_, n) => {
    world.daemon(`receive ${n}`, n, (k) => receiver.receive(k, incoming, n))
  })
  return {
    judge: () => expectEqual('I-DATA', 'the page at the destination', 2, world.word(page)),
    outcome: () => `page=${world.word(page)}`,
  }
}

/** One channel, and a vCPU that stores at any moment before it is stopped: the source's threads. */
function storeWhileQueued(world: World): Scene {
  const channel = litmusLink('channel 0')
  const { process, page, send, ram } = outgoing(world, 0, [channel], litmusLink('the stream'))
  world.store(page, 1, 1, process)
  const guest = new Guest()
  world.actor('vcpu', 1, (k) => guest.run(process.writePage(k, page, contentOf(2))), process)
  world.actor('send', 0, (k) => send.send(k, 0), process)
  world.actor('migration', 0, (k) => sendAll(k, ram, guest), process)
  return {
    judge: () => expectEqual('I-DATA', 'the page as it was sent last', 2, sentPages(channel).at(-1)),
    outcome: () => `sent=${sentPages(channel)}`,
  }
}

/** Nothing but the page's content goes by a channel. */
const PLAIN = {
  findsZeros: false,
  isZeroCopy: false,
  compression: 'none',
  level: 0,
  compressor: null,
  content: 'random',
} as const

/** A pass, whose page is read and sent; the store of a vCPU, which stands then; the last pass. */
function* sendTwice(k: Thread, ram: RamState, stream: Link, store: (k: Thread) => Proc<void>): Proc<void> {
  yield* ram.iterate(k, 1)
  yield* ram.sendQueued(k)
  yield QUANTUM
  yield* store(k)
  yield* ram.complete(k)
  yield* ram.leaveChannel(k)
  yield* stream.send(k, StreamMessage.Devices, -1, 0)
}

/** A pass beside the vCPU; the vCPU stops; the last pass. */
function* sendAll(k: Thread, ram: RamState, guest: Guest): Proc<void> {
  const pace = () => ram.sendQueued(k)
  yield* precopy(k, { ram, threshold: () => 0, batch: () => 1, iterations: 1, pace, stopVcpus: () => guest.stop() })
  yield* ram.leaveChannel(k)
}

function sentPages(channel: Link): number[] {
  return channel.inFlight().flatMap(({ type, word0 }) => (type === StreamMessage.Page ? [word0] : []))
}

export const MULTIFD: readonly Litmus[] = [
  {
    name: 'page-by-two-channels-in-two-passes',
    title: 'A page arrives by a channel that is behind, and takes the place of its newer version, which came by another',
    result: 'never',
    refs: ['R82'],
    protections: ['multifd-hold'],
    memoryModel: 'sc',
    start: `
      page as 1 and SYNC on channel 0, as 2 and SYNC behind the SYNC of channel 1; FLUSH, FLUSH, devices on the stream
      main: wait at each FLUSH for the SYNCs                      receive 0, receive 1: load; wait at each SYNC`,
    world: { cpus: 3 },
    build: twoPasses,
  },
  {
    name: 'store-while-a-page-is-queued',
    title: 'A channel reads a page long after its dirty bit went, and a store meanwhile is not at the destination',
    result: 'never',
    refs: ['R63', 'R64', 'R65'],
    protections: ['final-bitmap-sync', 'dirty-log-flush'],
    memoryModel: 'sc',
    start: `
      page 1: marked in the log, dirty in the bitmap, writable in the vCPU's TLB
      vcpu: page = 2        migration: clear, queue; stop; sync; queue the rest; SYNC          send: read, send`,
    world: {},
    build: storeWhileQueued,
  },
]
