/**
 * From pre-copy to post-copy: what was sent and written again must not be seen at the destination.
 *
 *  source, the vCPUs stopped:  1. a last sync; a huge host page of which a part is dirty is dirty as a whole from here on, since it goes
 *  and comes as one.   2. every page that is dirty now is old at the destination, or was never sent: say so.
 *  destination, before the guest runs there:  3. the received mark goes.   4. the page goes, so that a touch is a fault.
 *
 * Without it the guest reads the old page, which is there: nothing faults (R66).
 * @qemu ram_postcopy_send_discard_bitmap, postcopy_chunk_hostpages, postcopy_send_discard_bm_ram, ram_discard_range, ramblock_recv_bitmap_clear
 */
import { type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Link } from '../hw/link.ts'
import type { Process } from '../machine/process.ts'
import { addressOf, MADV_DONTNEED, sys } from '../machine/syscall.ts'
import { check } from './host_page.ts'
import type { PageMap } from './page_map.ts'
import { DISCARD_BYTES, discardNs } from './parameters.ts'
import type { RamState } from './ram_save.ts'
import { StreamMessage } from './ram_stream.ts'

/** 1. and 2.: one message a run of dirty pages. */
export function* postcopySendDiscardBitmap(k: Thread, ram: RamState, stream: Link): Proc<void> {
  // 1.
  yield* ram.sync(k)
  ram.chunkHostPages()
  if (!ram.kernel.has('postcopy-discard')) return
  // 2.
  const { bits } = ram.dirty
  for (let first = bits.nextSet(0); first >= 0; ) {
    let end = first + 1
    while (end < bits.length && bits.has(end)) end++
    yield* stream.send(k, StreamMessage.Discard, first, DISCARD_BYTES, end - first)
    first = bits.nextSet(end)
  }
}

/** 3. and 4. of `count` guest pages from `first` on. */
export function* ramDiscardRange(
  k: Thread,
  process: Process,
  ramPage: number,
  map: PageMap,
  first: number,
  count: number,
): Proc<void> {
  // 3.
  for (let page = first; page < first + count; page++) {
    if (k.stepping) yield write(page, 'page_map')
    map.discard(page)
  }
  // 4.
  k.cpu.nowNs += discardNs(k.cpu.preset)
  const dropped = yield* sys.madvise(k, process, addressOf(ramPage + first), count * 4096, MADV_DONTNEED)
  check(dropped, 0, 'madvise(MADV_DONTNEED)')
}
