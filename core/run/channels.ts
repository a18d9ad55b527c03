/**
 * The connections of a run: the stream, the return path, and what capabilities add beside them.
 *
 * All that the source sends goes by one wire: where there is more than one connection, they share it. The other direction is free.
 */
import { Link } from '../hw/link.ts'
import type { MemoryContent } from '../hw/page_bytes.ts'
import type { CpuPreset } from '../hw/preset.ts'
import { burstBytes, payloadBytesPerNs, Wire } from '../hw/wire.ts'
import { receiveBufferBytes, sendBufferBytes } from '../migration/parameters.ts'
import { Xbzrle } from '../migration/xbzrle_save.ts'
import type { MigrateOptions } from './options.ts'

export class Channels {
  readonly stream: Link
  readonly returnPath: Link
  /** For requested pages. @qemu postcopy-preempt */
  readonly urgent: Link | null
  /** For the pages of pre-copy. @qemu multifd */
  readonly multifd: readonly Link[]
  /** Pages as differences, on the stream. @qemu xbzrle */
  readonly xbzrle: Xbzrle | null
  /** All that the source sends by. */
  readonly outgoing: readonly Link[]

  constructor(options: MigrateOptions, content: MemoryContent, preset: CpuPreset) {
    const { bandwidthBitsPerSec, rttNs, capabilities, parameters } = options
    this.xbzrle = capabilities.xbzrle ? new Xbzrle(parameters['xbzrle-cache-size'], content) : null
    const isShared = capabilities['postcopy-preempt'] || capabilities.multifd
    const bytesPerNs = payloadBytesPerNs(bandwidthBitsPerSec)
    const wire = isShared ? new Wire(bytesPerNs, burstBytes(bytesPerNs)) : null
    const link = (name: string, onWire: Wire | null) =>
      new Link({
        name,
        bandwidthBitsPerSec,
        rttNs,
        sendBufferBytes: sendBufferBytes(preset),
        receiveBufferBytes: receiveBufferBytes(preset),
        ...(onWire === null ? {} : { wire: onWire }),
      })
    this.stream = link('the stream', wire)
    this.returnPath = link('the return path', null)
    this.urgent = capabilities['postcopy-preempt'] ? link('the urgent channel', wire) : null
    const channels = capabilities.multifd ? parameters['multifd-channels'] : 0
    this.multifd = Array.from({ length: channels }, (_, n) => link(`multifd channel ${n}`, wire))
    this.outgoing = [this.stream, ...(this.urgent === null ? [] : [this.urgent]), ...this.multifd]
  }

  get multifdBytesSent(): number {
    return this.multifd.reduce((n, channel) => n + channel.bytesSent, 0)
  }

  get bytesSent(): number {
    return this.outgoing.reduce((n, channel) => n + channel.bytesSent, 0)
  }

  /** Bytes that still wait in socket buffers. */
  bytesQueued(nowNs: number): number {
    return this.outgoing.reduce((n, channel) => n + channel.bytesQueued(nowNs), 0)
  }
}
