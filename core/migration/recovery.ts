/**
 * Post-copy goes on after its connection broke: what the destination says on the new one.
 *
 *  Every page that is requested and has not come is requested again. The fault thread will not do it: to it, a requested page is a
 *  page that somebody has asked for already; whether the request, or the page, was on its way when the connection broke, nobody
 *  knows (R80). To ask twice is harmless, the source sends what it has not sent.
 *
 *  And it says which pages it has received: the source sends the others again, for which it must have kept them (R70).
 *
 * Source: QEMU, migration/savevm.c, loadvm_postcopy_handle_resume.
 * @qemu migrate_send_rp_req_pages_pending, migrate_send_rp_recv_bitmap
 */
import { type Proc, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Link } from '../hw/link.ts'
import type { Process } from '../machine/process.ts'
import { type PageMap, PageMapState } from './page_map.ts'
import { REQUEST_BYTES } from './parameters.ts'
import { ReturnMessage } from './ram_stream.ts'

/** The destination's part, once the return path is there again. */
export function* resendRequests(k: Thread, process: Process, map: PageMap, returnPath: Link): Proc<void> {
  if (!process.machine.kernel.has('resend-requests')) return
  for (let page = 0; page < map.states.length; page++) {
    if (k.stepping) yield read(page, 'page_map')
    if (map.isRequested(page)) yield* returnPath.send(k, ReturnMessage.RequestPages, page, REQUEST_BYTES)
  }
}

/** Which pages have been received. A page that is just being placed counts as one that has not: it comes twice. */
export function* sendReceivedBitmap(k: Thread, map: PageMap, returnPath: Link): Proc<void> {
  for (let page = 0; page < map.states.length; page++) {
    if (k.stepping) yield read(page, 'page_map')
    const received = map.state(page) === PageMapState.received || map.state(page) === PageMapState.removed
    yield* returnPath.send(k, ReturnMessage.ReceivedBit, page, 1, received ? 1 : 0)
  }
  yield* returnPath.send(k, ReturnMessage.ReceivedEnd, -1, REQUEST_BYTES)
}
