/**
 * Processor time of the thread that asks, user and system, in ns.
 *
 * Source: man 2 clock_gettime
 */
import { Arena } from './arena.ts'
import { checked, libc } from './libc.ts'
import { Timespec } from './uapi.ts'

const CLOCK_THREAD_CPUTIME_ID = 3
const time = { place: null as ReturnType<Arena['place']> | null }

export function threadNs(): number {
  time.place ??= new Arena(4096).place(Timespec)
  checked(libc().clockGettime(CLOCK_THREAD_CPUTIME_ID, time.place.address), 'clock_gettime')
  return time.place.get('seconds') * 1e9 + time.place.get('nanoseconds')
}
