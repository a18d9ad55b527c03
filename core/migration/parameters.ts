/**
 * Constants of a migration that are not options yet, each with its origin.
 *
 * Sizes are bytes in the stream; costs are ns of the CPU that does the work. "Ours" marks what no source states.
 */
import type { CpuPreset } from '../hw/preset.ts'

/** What a page and the other records take in the stream. @qemu RAM_SAVE_FLAG_*: an 8-byte header before each. */
export const HEADER_BYTES = 8
export const ZERO_RECORD_BYTES = HEADER_BYTES + 1
export const PAGE_RECORD_BYTES = HEADER_BYTES + 4096
/** A MIG_RP_MSG_REQ_PAGES message: type and length, start and length. */
export const REQUEST_BYTES = 4 + 12
export const SHUT_BYTES = 4 + 4
export const END_BYTES = HEADER_BYTES
/** MULTIFD_FLAG_SYNC, RAM_SAVE_FLAG_MULTIFD_FLUSH and CMD_POSTCOPY_LISTEN: a header and nothing else. */
export const SYNC_BYTES = HEADER_BYTES
/** A CMD_POSTCOPY_RAM_DISCARD with one range: command, version, name of the block, start and length. */
export const DISCARD_BYTES = HEADER_BYTES + 16

/** Opening the connection, negotiating capabilities. Ours. */
const SETUP_NS = 1_000_000
/** Source work a page: bitmap search, zero test, copy into the socket. Ours: 4 KiB at about 10 GB/s. */
const SAVE_PAGE_NS = 300
/** Destination work a page besides placing it: parse and copy out of the socket. Ours. */
const LOAD_PAGE_NS = 300

/**
 * multifd: SAVE_PAGE_NS shared out between the migration thread, which finds and queues the page, and the thread of the channel, which
 * tests it for zeros (4 KiB of zeros at 40 GB/s; it ends at the first other byte) and copies it into the socket. Ours.
 */
export const QUEUE_PAGE_NS = 30
export const ZERO_TEST_NS = 100
export const SEND_PAGE_NS = 270
/** zero-copy-send: to pin and unpin a page, and its notification, instead of the copy. Ours: get_user_pages_fast of one page. */
export const PIN_PAGE_NS = 120
/** MultiFDPacket_t with room for 128 page numbers. */
export const MULTIFD_PACKET_HEADER_BYTES = 320 + 128 * 8

/** XBZRLE, ours: a page copied into the cache at 10 GB/s; encoding: two copies and a comparison of it at 4 GB/s; decoding: one copy and the runs. */
export const XBZRLE_INSERT_NS = 400
export const XBZRLE_ENCODE_NS = 1800
export const XBZRLE_DECODE_NS = 500

/** Buffers of the stream. About 2 MiB explain QEMU's 16 ms mean fault at 1 Gb/s without an urgent channel. */
const SEND_BUFFER_BYTES = 2 * 1024 * 1024
const RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024

/**
 * Pages that a thread which has fallen behind places by one call. Ours: QEMU places one host page a call. So few that a page
 * whose turn is last waits no longer than some quanta of the clock gear (docs/decisions/0029-batches.md).
 */
const PLACE_BATCH_PAGES = 32

/** How long the guest runs before the migration starts. Ours. */
const BEFORE_NS = 20_000_000
/** On the real kernel: long enough for its code to be compiled. */
export const REAL_BEFORE_NS = 100_000_000

/** Where it stands in its work when the migration starts decides what it writes ahead of the sender: on a measured host, as long as there. */
export function guestRunsBeforeNs({ program }: CpuPreset): number {
  return program === undefined ? BEFORE_NS : REAL_BEFORE_NS
}

/** This and the next: where the CPU's preset has them measured (core/hw/preset.ts), those. */
export function setupNs({ program }: CpuPreset): number {
  return program === undefined ? SETUP_NS : program.setupNs.value
}

/** `isRead`: it was not known to be zeros without. */
export function savePageNs({ program }: CpuPreset, isRead: boolean): number {
  if (program === undefined) return SAVE_PAGE_NS
  return isRead ? program.savePageNs.value : 0
}

export function saveRunNs({ program }: CpuPreset): number {
  return program === undefined ? 0 : program.saveRunNs.value
}

/** `copies`: the page is placed by UFFDIO_COPY. */
export function loadPageNs({ program }: CpuPreset, copies: boolean, isZero: boolean): number {
  if (program === undefined) return LOAD_PAGE_NS
  if (isZero) return program.loadZeroNs.value
  return copies ? program.loadCopiedPageNs.value : program.loadMovedPageNs.value
}

export function loadRunNs({ program }: CpuPreset): number {
  return program === undefined ? 0 : program.loadRunNs.value
}

export function loadPrecopyPageNs({ program }: CpuPreset, isZero: boolean): number {
  if (program === undefined) return LOAD_PAGE_NS
  return isZero ? program.loadPrecopyZeroNs.value : program.loadPrecopyPageNs.value
}

/** In the model's constants it is part of the call. */
export function discardNs({ program }: CpuPreset): number {
  return program === undefined ? 0 : program.discardNs.value
}

export function sendBufferBytes({ program }: CpuPreset): number {
  return program === undefined ? SEND_BUFFER_BYTES : program.sendBufferBytes.value
}

export function receiveBufferBytes({ program }: CpuPreset): number {
  return program === undefined ? RECEIVE_BUFFER_BYTES : program.receiveBufferBytes.value
}

export function placeBatchPages({ program }: CpuPreset): number {
  return program === undefined ? PLACE_BATCH_PAGES : program.placeBatchPages.value
}
