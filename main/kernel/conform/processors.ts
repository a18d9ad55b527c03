/**
 * Which processor a puppet runs on: the n-th thread on the n-th that this program may use, and round again.
 *
 * Source: man 2 sched_setaffinity; proc_pid_status(5), Cpus_allowed_list
 */
import { readFileSync } from 'node:fs'
import { Arena } from '../sys/arena.ts'
import { libc } from '../sys/libc.ts'

const MASK_BYTES = 128

let allowed: readonly number[] | null = null

/** A thread that has gone already is bound to nothing. */
export function bindToProcessor(tid: number, index: number): void {
  allowed ??= processors(readFileSync('/proc/self/status', 'latin1'))
  const processor = allowed[index % allowed.length] ?? 0
  const arena = new Arena(MASK_BYTES)
  const mask = arena.bytes(MASK_BYTES)
  mask.bytes[processor >> 3] = 1 << (processor & 7)
  libc().schedSetaffinity(tid, MASK_BYTES, mask.address)
  arena.free()
}

/** `Cpus_allowed_list: 0-1,4` as numbers. */
export function processors(status: string): readonly number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(status)?.[1] ?? '0'
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}
