/**
 * What the litmus tests of migration share: a guest that is stopped, links without a time, and the RAM of a source.
 *
 * A guest stands still when its vCPU has done what the test lets it do: to stop it is to wait for that, so every store that it
 * makes falls before the stop, at any place before it.
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, type AccessOp, type Proc } from '../engine/op.ts'
import { Link } from '../hw/link.ts'
import type { Process } from '../machine/process.ts'
import { Destination } from '../migration/destination.ts'
import { MigrationState } from '../migration/migration_state.ts'
import { RamState } from '../migration/ram_save.ts'
import { StreamMessage } from '../migration/ram_stream.ts'
import type { Resolver } from '../migration/resolver.ts'
import type { World } from './world.ts'

/** The vCPU of a guest, seen by whoever stops it. */
export class Guest {
  #running = true
  readonly #stop: AccessOp = {
    kind: 'access',
    mode: AccessMode.read,
    object: 0,
    label: 'vcpu.running',
    gate: { opens: () => !this.#running, describe: () => 'the vCPU to stop', holder: () => null },
  };

  /** The vCPU's life. */
  *run(body: Proc<void>): Proc<void> {
    yield* body
    touch(0, 'vcpu.running', AccessMode.write)
    this.#running = false
  }

  /** Answers when the vCPU stands. */
  *stop(): Proc<void> {
    yield this.#stop
  }
}

/** A link that delivers at once. */
export function litmusLink(name: string): Link {
  return new Link({ name, bandwidthBitsPerSec: 1e9, rttNs: 0, sendBufferBytes: 2 ** 30, receiveBufferBytes: 2 ** 30 })
}

/** The RAM of a source whose process has `pages` guest pages from `ramPage` on. */
export function outgoingRam(process: Process, ramPage: number, pages: number, stream: Link): RamState {
  const { recorder } = process.machine
  return new RamState({ process, ramPage, pages, hostPages: 1, stream, state: new MigrationState(recorder), recorder })
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
