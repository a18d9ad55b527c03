/**
 * Which processor a puppet runs on: the n-th thread on the n-th that this program may use, and round again.
 *
 * Source: man 2 sched_setaffinity; proc_pid_status(5), Cpus_allowed_list
 */
import { readFileSync } from 'node:fs'
import type { Puppet } from './puppets.ts'
import type { Order } from './slot.ts'

const NR_SCHED_SETAFFINITY = 203
const MASK_BYTES = 128

let allowed: readonly number[] | null = null

/** The order by which a puppet binds itself. */
export function orderProcessor({ slot }: Puppet, index: number): Order {
  allowed ??= processors(readFileSync('/proc/self/status', 'latin1'))
  const processor = allowed[index % allowed.length] ?? 0
  const mask = new Uint8Array(slot.room.buffer, slot.room.byteOffset, MASK_BYTES).fill(0)
  mask[processor >> 3] = 1 << (processor & 7)
  return { what: 'call', number: NR_SCHED_SETAFFINITY, arguments: [0, MASK_BYTES, slot.roomAddress] }
}

/** `Cpus_allowed_list: 0-1,4` as numbers. */
export function processors(status: string): readonly number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(status)?.[1] ?? '0'
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}
