/**
 * The channels of multifd of a run: both sides, and a thread for each channel on each side.
 *
 * Only pre-copy uses them; in a pure post-copy they are there and carry nothing, as in QEMU.
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { decompressNs } from '../migration/compression.ts'
import type { Destination } from '../migration/destination.ts'
import { MultifdSend } from '../migration/multifd_send.ts'
import { MultifdReceiver } from '../migration/ram_load.ts'
import type { MigrationRun } from './migration_run.ts'

export interface Multifd {
  readonly send: MultifdSend
  readonly receiver: MultifdReceiver
}

export function makeMultifd(run: MigrationRun): Multifd | null {
  const { options, compressor, channels, state, recorder, ramPage } = run
  const { capabilities, parameters } = options
  if (!capabilities.multifd) return null
  const compression = parameters['multifd-compression']
  const send = new MultifdSend({
    process: run.sourceProcess,
    ramPage,
    channels: channels.multifd,
    state,
    recorder,
    findsZeros: parameters['zero-page-detection'] === 'multifd',
    isZeroCopy: capabilities['zero-copy-send'],
    compression,
    level: parameters[compression === 'zstd' ? 'multifd-zstd-level' : 'multifd-zlib-level'],
    compressor,
    content: run.content,
  })
  const holds = run.destination.kernel.has('multifd-sync')
  const unpackNs = compression === 'none' ? 0 : decompressNs(compression, 4096)
  return { send, receiver: new MultifdReceiver(channels.multifd, holds, unpackNs) }
}

/** Starts the threads at `atNs`. */
export function startMultifd(run: MigrationRun, { send, receiver }: Multifd, incoming: Destination, atNs: number): void {
  run.channels.multifd.forEach((_, n) => {
    const sender = run.source.makeThread(`multifd send ${n}`)
    run.source.start(sender, send.send(sender, n), atNs)
    const loader = run.destination.makeThread(`multifd receive ${n}`)
    run.destination.start(loader, receive(loader, run, receiver, incoming, n), atNs)
  })
}

function* receive(k: Thread, run: MigrationRun, receiver: MultifdReceiver, incoming: Destination, n: number): Proc<void> {
  run.destinationProcess.adopt(k)
  const { ramPage, channels } = run
  const { destinationProcess: process, recorder } = run
  yield* receiver.receive(k, { process, ramPage, map: incoming.map, stream: channels.stream, recorder }, n)
}
