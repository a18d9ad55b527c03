/**
 * Whether this host has the memory that a migration takes: said before it begins, in one sentence, since afterwards the kernel would say it.
 *
 * Pairs with coordinator.ts, which asks.
 */
import { readFileSync } from 'node:fs'
import { spellSize } from '../../../core/base/units.ts'
import { HostError } from '../../../core/shell/host.ts'

/** What two Node processes take besides. */
const MACHINES_BYTES = 384 * 2 ** 20

/** Two machines want their memory whole, and a host that has not got it would end some process or other. Throws HostError. */
export function checkMemory(guestBytes: number, filesBytes: number): void {
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]
  const wanted = 2 * guestBytes + filesBytes + MACHINES_BYTES
  if (available === undefined || Number(available) * 1024 >= wanted) return
  const has = spellSize(Math.floor(Number(available) / 1024) * 2 ** 20)
  throw new HostError(
    `two machines of ${spellSize(guestBytes)} need ${spellSize(wanted)}, and this host has ${has} available; give less --mem`,
  )
}
