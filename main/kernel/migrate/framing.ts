/**
 * How the messages of a migration (core/migration/ram_stream.ts) lie on a real socket: as many bytes as the model counts for each.
 *
 * stream, little endian:
 *     u64  page * 4096 + type (StreamMessage), as QEMU puts its flags into the low bits of an offset; then
 *     Page: 4096 bytes.   Zero: one byte.   Discard: u64 pages, u64 0.   Packaged, Devices: `page` bytes of state.   Others: nothing.
 *
 * return path: u16 type (ReturnMessage), u16 bytes that follow; then
 *     RequestPages: u64 offset, u32 bytes.   Shut, ResumeAck: u32 0, or 1 after an error.   ReceivedBits: u64 first page, bits.
 *
 * A connection begins with who it is for: HELLO_BYTES of magic, channel and token. The state of the vCPUs is what it is here, a few
 * numbers each: there are no devices, and nothing stands in for their quarter of a megabyte.
 */
import {
  HEADER_BYTES,
  PAGE_RECORD_BYTES,
  REQUEST_BYTES,
  SHUT_BYTES,
  ZERO_RECORD_BYTES,
} from '../../../core/migration/parameters.ts'
import { StreamMessage } from '../../../core/migration/ram_stream.ts'

export { HEADER_BYTES, PAGE_RECORD_BYTES, REQUEST_BYTES, SHUT_BYTES, ZERO_RECORD_BYTES }
export const DISCARD_BODY_BYTES = 16
export const RETURN_HEADER_BYTES = 4
/** Pages that one ReceivedBits tells of. */
export const PAGES_A_MESSAGE = 32 * 1024
export const HELLO_BYTES = 24
const MAGIC = 0x50474659

export const CHANNEL = { stream: 0, urgent: 1 } as const

/** What vCPU n needs to go on: where it stands in its workload. */
export const VCPU_STATE_BYTES = 16

export function putHeader(view: DataView, at: number, type: number, page: number): void {
  putU64(view, at, page * 4096 + type)
}

export function typeAt(view: DataView, at: number): number {
  return view.getUint32(at, true) & 0xfff
}

export function pageAt(view: DataView, at: number): number {
  return Math.floor(u64At(view, at) / 4096)
}

/** Bytes behind the header of such a message. */
export function bodyBytes(type: number, page: number): number {
  switch (type) {
    case StreamMessage.Page:
      return PAGE_RECORD_BYTES - HEADER_BYTES
    case StreamMessage.Zero:
      return ZERO_RECORD_BYTES - HEADER_BYTES
    case StreamMessage.Discard:
      return DISCARD_BODY_BYTES
    case StreamMessage.Packaged:
    case StreamMessage.Devices:
      return page
    default:
      return 0
  }
}

export function putU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}

export function u64At(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
}

export function putReturn(view: DataView, at: number, type: number, bytes: number): void {
  view.setUint16(at, type, true)
  view.setUint16(at + 2, bytes, true)
}

export function putHello(view: DataView, at: number, channel: number, token: string): void {
  view.setUint32(at, MAGIC, true)
  view.setUint32(at + 4, channel, true)
  for (let i = 0; i < 16; i++) view.setUint8(at + 8 + i, Number.parseInt(token.slice(2 * i, 2 * i + 2), 16))
}

/** The channel of a connection that begins as it should; -1: it is not ours. */
export function channelOfHello(view: DataView, at: number, token: string): number {
  let wrong = view.getUint32(at, true) ^ MAGIC
  // All of it is looked at: how long that takes tells nothing.
  for (let i = 0; i < 16; i++) wrong |= view.getUint8(at + 8 + i) ^ Number.parseInt(token.slice(2 * i, 2 * i + 2), 16)
  return wrong === 0 ? view.getUint32(at + 4, true) : -1
}
