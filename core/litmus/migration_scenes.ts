/**
 * What the litmus tests of migration share: a guest that is stopped, links without a time, the RAM of a source and of a destination.
 *
 * Where a test needs both, they are two processes of one machine, as in a migration over the loopback device: two address
 * spaces on CPUs of their own, which share nothing that a step touches but the links.
 *
 * A guest stands still when its vCPU has done what the test lets it do: to stop it is to wait for that, so every store that it
 * makes falls before the stop, at any place before it.
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, type AccessOp, NOTHING, type Proc, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { Link } from '../hw/link.ts'
import type { Process } from '../machine/process.ts'
import { Destination } from '../migration/destination.ts'
import { deviceState } from '../migration/device_state.ts'
import { MigrationState } from '../migration/migration_state.ts'
import type { PrepagingPolicy } from '../migration/prepaging/policy.ts'
import type { MultifdReceiver } from '../migration/ram_load.ts'
import { type PageChannels, type RamOptions, RamState } from '../migration/ram_save.ts'
import { StreamMessage } from '../migration/ram_stream.ts'
import type { Resolver } from '../migration/resolver.ts'
import { Source } from '../migration/source.ts'
import { pageOfAddress } from '../mm/mm.ts'
import { mmapAnonymous } from '../mm/mmap.ts'
import { contentOf } from './scenes.ts'
import { P, RW, type World } from './world.ts'

/** The vCPU of a guest, seen by whoever stops it, or starts it. */
export class Guest {
  #running: boolean
  readonly #stop = this.#gate(() => !this.#running, 'the vCPU to stop')
  readonly #begin = this.#gate(() => this.#running, 'the vCPU to be started')

  constructor(running = true) {
    this.#running = running
  }

  #gate(opens: () => boolean, what: string): AccessOp {
    return { ...read(0, 'vcpu.running'), gate: { opens, describe: () => what, holder: () => null } }
  }

  /** The vCPU's life. */
  *run<T>(body: Proc<T>): Proc<T> {
    if (!this.#running) yield this.#begin
    const value = yield* body
    this.#set(false)
    return value
  }

  start(): void {
    this.#set(true)
  }

  #set(running: boolean): void {
    touch(0, 'vcpu.running', AccessMode.write)
    this.#running = running
  }

  /** Answers when the vCPU stands. */
  *stop(): Proc<void> {
    yield this.#stop
  }
}

/** A link that delivers at once, and is small: each schedule makes it anew. */
export function litmusLink(name: string): Link {
  return new Link({ name, bandwidthBitsPerSec: 1e9, rttNs: 0, sendBufferBytes: 2 ** 30, receiveBufferBytes: 2 ** 30, rows: 8 })
}

/** The RAM of a source whose process has `pages` guest pages from `ramPage` on. */
export function outgoingRam(
  process: Process,
  ramPage: number,
  pages: number,
  stream: Link,
  more: Pick<RamOptions, 'tracker' | 'multifd' | 'looksFirst'> = {},
): RamState {
  const { recorder } = process.machine
  return new RamState({ process, ramPage, pages, hostPages: 1, stream, state: new MigrationState(recorder), recorder, ...more })
}

/** A source of one page, in a process of its own, which runs on CPU `n` when something is set up. */
export interface Outgoing {
  readonly process: Process
  readonly page: number
  readonly source: Source
}

export interface OutgoingOptions {
  readonly stream: Link
  readonly returnPath: Link
  /** A pre-copy has sent the page. [true] */
  readonly precopied?: boolean
  /** The migration is active already; else it begins with `migrate`. [true] */
  readonly active?: boolean
  readonly urgent?: Link
  readonly policy?: PrepagingPolicy
  readonly releases?: 'when received'
  readonly multifd?: Link
  readonly stopVcpus?: () => Proc<void>
  readonly startVcpus?: () => void
}

/** The source of a migration: after a pre-copy that has sent the page as 1, or before a post-copy without one. */
export function outgoingPage(world: World, n: number, options: OutgoingOptions): Outgoing {
  const process = world.newProcess()
  // On its own CPU from the start: so no flush of the one address space interrupts the other's CPUs.
  const page = pageOfAddress(world.call((k) => mmapAnonymous(k, process.mm, P, RW, 1), n, process))
  const { recorder } = process.machine
  const state = new MigrationState(recorder)
  const { precopied = true, active = true, multifd, ...rest } = options
  const source = new Source({
    stopVcpus: () => NOTHING,
    ...rest,
    ...(multifd === undefined ? {} : { multifd: new OneChannel(multifd, process, page) }),
    process,
    ramPage: page,
    pages: 1,
    hostPages: 1,
    deviceState: deviceState(8, 1),
    precopied,
    state,
    recorder,
  })
  const call = (body: (k: Thread) => Proc<void>) => world.call(body, n, process)
  if (active) call((k) => setActive(k, state))
  call((k) => process.writePage(k, page, contentOf(1)))
  if (precopied) {
    call((k) => source.ram.setup(k))
    call((k) => source.ram.iterate(k, 1))
  } else source.bitmap.fill()
  return { process, page, source }
}

/** Another channel than the stream, to which the migration thread itself gives the pages. */
class OneChannel implements PageChannels {
  readonly #link: Link
  readonly #process: Process
  readonly #ramPage: number

  constructor(link: Link, process: Process, ramPage: number) {
    this.#link = link
    this.#process = process
    this.#ramPage = ramPage
  }

  get bytesSent(): number {
    return this.#link.bytesSent
  }

  *queue(k: Thread, page: number): Proc<void> {
    const content = contentOf(0)
    yield* this.#process.readPage(k, this.#ramPage + page, content)
    yield* this.#link.send(k, StreamMessage.Page, page, 0, content.word0, content.word1, content.version)
  }

  flush(): Proc<void> {
    return NOTHING
  }

  sync(k: Thread): Proc<void> {
    return this.#link.send(k, StreamMessage.MultifdSync, -1, 0)
  }

  end(): void {
    // The scene says when.
  }
}

function setActive(k: Thread, state: MigrationState): Proc<void> {
  state.set(k, 'setup')
  state.set(k, 'active')
  return NOTHING
}

/** A destination that is armed, with one page of guest RAM that has not come. */
export interface Incoming {
  readonly page: number
  readonly incoming: Destination
  readonly stream: Link
  readonly returnPath: Link
}

export interface IncomingOptions {
  readonly pages?: number
  readonly urgent?: Link
  readonly precopied?: boolean
  readonly multifd?: MultifdReceiver
  readonly startVcpus?: () => void
}

/** RAM of `world`'s process and the destination of a migration into it; `arm` is set-up, too, unless `precopied`. */
export function incomingRam(world: World, resolver: Resolver, options: IncomingOptions = {}): Incoming {
  const { pages = 1 } = options
  const page = world.map(pages)
  const stream = litmusLink('the stream')
  const returnPath = litmusLink('the return path')
  const { recorder } = world.machine
  const startVcpus = options.startVcpus ?? (() => {})
  const incoming = new Destination({
    ...options,
    process: world.process,
    ramPage: page,
    pages,
    stream,
    returnPath,
    resolver,
    recorder,
    deviceState: deviceState(8, 1),
    startVcpus,
  })
  if (options.precopied !== true) world.call((k) => incoming.arm(k))
  return { page, incoming, stream, returnPath }
}

/** Set-up: a page on its way, or zeros if the value is 0. */
export function inFlight(world: World, link: Link, page: number, value: number): void {
  const type = value === 0 ? StreamMessage.Zero : StreamMessage.Page
  world.call((k) => link.send(k, type, page, 0, value, value, value))
}

/** Set-up: nothing follows on this link. */
export function theEnd(world: World, link: Link): void {
  world.call((k) => link.send(k, StreamMessage.End, -1, 0))
}
