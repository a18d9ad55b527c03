/**
 * Which user of this machine is at the other end of a connection over loopback, as the kernel's tables of sockets have it.
 *
 * A browser is started with the address, and the token in it, among its arguments, where every user of the machine can read them. So
 * the token alone does not open the kernel's line: whoever brings it must also be the user who runs this server, or the superuser.
 *
 * The superuser's own server takes the token from anybody: it starts no browser (browser.ts), and the person before the screen, who is
 * told the address, is another user. Where the kernel has no such tables, the token has to do.
 *
 * Source: proc_net_tcp.rst of the kernel, proc_pid_net(5).
 */
import { readFile } from 'node:fs/promises'

/** A user id; or nobody, where the connection is in the tables no more; or what cannot be known, where there are no tables. */
export type Peer = number | 'gone' | 'unknown'

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6']
const ESTABLISHED = '01'
/** 127.0.0.1 as the tables write it, by itself and mapped into IPv6. */
const LOOPBACK = /^(?:0000000000000000FFFF0000)?0100007F$/

/** Whether whoever brought the token may use the line of a server that user `own` runs (undefined: a system without user ids). */
export function mayUse(peer: Peer, own: number | undefined): boolean {
  return own === undefined || own === 0 || peer === 'unknown' || peer === 0 || peer === own
}

/** Who connected from port `from` of this machine to its port `to`. */
export async function peerOf(from: number, to: number): Promise<Peer> {
  const tables = await Promise.all(TABLES.map((path) => readFile(path, 'latin1').catch(() => null)))
  const told = tables.filter((table) => table !== null)
  if (told.length === 0) return 'unknown'
  return told.map((table) => userIn(table, from, to)).find((user) => user !== null) ?? 'gone'
}

/** The owner of the open socket from one port of loopback to another, in one of the kernel's tables. What is closed belongs to nobody. */
export function userIn(table: string, from: number, to: number): number | null {
  for (const line of table.split('\n')) {
    const [, local = '', remote = '', state, , , , user = ''] = line.trim().split(/\s+/)
    if (state === ESTABLISHED && isLoopback(local, from) && isLoopback(remote, to)) return Number(user)
  }
  return null
}

function isLoopback(address: string, port: number): boolean {
  const [host = '', hex = ''] = address.split(':')
  return LOOPBACK.test(host) && Number.parseInt(hex, 16) === port
}
