/**
 * The memory of one machine: guest RAM, and behind it, in the same mapping, the buffers of its threads.
 *
 * One mapping has one view, so that a page goes from a buffer to its place, and within a buffer, without an object being made for it.
 *
 *     | RAM | gap | listen: staging, received | preempt: staging, received |
 *
 * Staging is page-aligned: UFFDIO_MOVE takes the pages themselves away from there. The gap keeps areas with different flags apart.
 */
import { Mapping, PAGE_BYTES } from '../sys/mapping.ts'

/** Pages placed by one call at most. */
export const STAGED_PAGES = 64
/** Bytes taken from the socket by one call at most, and room for what of a record came in part. */
export const RECEIVED_BYTES = 512 * 1024

const CHANNEL_BYTES = STAGED_PAGES * PAGE_BYTES + RECEIVED_BYTES

export interface ChannelBuffers {
  /** Offsets in the area. */
  readonly staging: number
  readonly received: number
}

export class Area {
  readonly bytes: Uint8Array
  /** RAM alone, by 32-bit words. */
  readonly ram: Int32Array

  constructor(
    readonly mapping: Mapping,
    readonly pages: number,
  ) {
    this.bytes = new Uint8Array(mapping.buffer)
    this.ram = new Int32Array(mapping.buffer, 0, (pages * PAGE_BYTES) / 4)
  }

  static make(pages: number): Area {
    return new Area(Mapping.anonymous(Area.size(pages)), pages)
  }

  /** As another thread of this process made it. */
  static at(address: number, pages: number): Area {
    return new Area(Mapping.existing(address, Area.size(pages)), pages)
  }

  static size(pages: number): number {
    return (pages + 1) * PAGE_BYTES + 2 * CHANNEL_BYTES
  }

  get address(): number {
    return this.mapping.address
  }

  get ramBytes(): number {
    return this.pages * PAGE_BYTES
  }

  /** 0: the stream; 1: the urgent channel. */
  buffers(channel: 0 | 1): ChannelBuffers {
    const staging = (this.pages + 1) * PAGE_BYTES + channel * CHANNEL_BYTES
    return { staging, received: staging + STAGED_PAGES * PAGE_BYTES }
  }
}
