/**
 * The door of a destination, on real sockets of both kinds: who says the token is let in with what the connection is for; strangers are
 * hung up on, and none keeps the others waiting.
 *
 * Needs Linux; skipped by name elsewhere.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { CHANNEL, HELLO_BYTES, putHello } from '../../main/kernel/migrate/framing.ts'
import { type Arrival, Door } from '../../main/kernel/migrate/greeting.ts'
import { Arena } from '../../main/kernel/sys/arena.ts'
import { libc } from '../../main/kernel/sys/libc.ts'
import { connectTo, type Endpoint, hangUp, listenAt, portOf, readSome, Transfer } from '../../main/kernel/sys/socket.ts'
import { named, noKernel } from './host.ts'

const TOKEN = '00112233445566778899aabbccddeeff'
const OTHER = 'ffeeddccbbaa99887766554433221100'

const open: number[] = []
afterEach(() => {
  for (const fd of open.splice(0)) hangUp(fd)
})

/** A door of that kind, and a way to knock at it. */
function doorOf(wire: string) {
  const name = `pageferry-${randomBytes(8).toString('hex')}`
  const listener = listenAt(wire === 'tcp' ? { port: 0 } : { name })
  open.push(listener)
  const endpoint: Endpoint = wire === 'tcp' ? { port: portOf(listener) } : { name }
  const memory = new Arena(4096).bytes(4096)
  const door = new Door(listener, TOKEN, memory.address, new DataView(memory.bytes.buffer, memory.bytes.byteOffset, 4096))
  const said = new Arena(4096).bytes(HELLO_BYTES)
  return {
    door,
    /** Connects, and says so many bytes of its greeting. */
    knock(channel: number, token: string, bytes = HELLO_BYTES): number {
      const fd = connectTo(endpoint)
      if (fd === null) throw new Error('nobody listens')
      open.push(fd)
      putHello(new DataView(said.bytes.buffer, said.bytes.byteOffset), 0, channel, token)
      libc().write(fd, said.address, bytes)
      return fd
    },
    say: (fd: number, from: number) => libc().write(fd, said.address + from, HELLO_BYTES - from),
    /** Asked until somebody comes in, or nobody has for a while. */
    async next(): Promise<Arrival | null> {
      for (let n = 0; n < 200; n++) {
        const arrival = door.next()
        if (arrival !== null) open.push(arrival.fd)
        if (arrival !== null) return arrival
        if (n > 100) await new Promise((resolve) => setTimeout(resolve, 1))
      }
      return null
    },
    /** Whether the door has hung up on this one. */
    isHungUp(fd: number): boolean {
      const byte = new Arena(4096).bytes(1)
      return readSome(fd, byte.address, 1) === Transfer.broken
    },
  }
}

describe.skipIf(noKernel !== null).each(['unix', 'tcp'])(named('the door, by %s'), (wire) => {
  it('lets in whoever says the token, and knows what for', async () => {
    const { knock, next } = doorOf(wire)
    knock(CHANNEL.urgent, TOKEN)
    expect((await next())?.channel).toBe(CHANNEL.urgent)
    knock(CHANNEL.stream, TOKEN)
    expect((await next())?.channel).toBe(CHANNEL.stream)
  })

  it('hangs up on whoever says another', async () => {
    const { knock, next, isHungUp } = doorOf(wire)
    const stranger = knock(CHANNEL.stream, OTHER)
    expect(await next()).toBeNull()
    expect(isHungUp(stranger)).toBe(true)
  })

  it('lets nobody wait for a stranger that says nothing, or half', async () => {
    const { knock, next, say } = doorOf(wire)
    knock(CHANNEL.stream, TOKEN, 0)
    const slow = knock(CHANNEL.stream, TOKEN, 11)
    knock(CHANNEL.urgent, TOKEN)
    expect((await next())?.channel).toBe(CHANNEL.urgent)
    knock(CHANNEL.stream, TOKEN, 0)
    say(slow, 11)
    expect((await next())?.channel).toBe(CHANNEL.stream)
  })

  it('lets the source in behind more strangers than it has room for', async () => {
    const { knock, next } = doorOf(wire)
    for (let n = 0; n < 3; n++) {
      for (let i = 0; i < 10; i++) knock(CHANNEL.stream, OTHER, 5)
      expect(await next()).toBeNull()
    }
    knock(CHANNEL.stream, TOKEN)
    expect((await next())?.channel).toBe(CHANNEL.stream)
  })

  it('is closed to those who were still outside', async () => {
    const { door, knock, next, isHungUp } = doorOf(wire)
    const stranger = knock(CHANNEL.stream, TOKEN, 3)
    expect(await next()).toBeNull()
    door.close()
    expect(isHungUp(stranger)).toBe(true)
  })
})

describe.skipIf(noKernel !== null)(named('a port'), () => {
  it('is of the loopback, and chosen by the kernel', () => {
    open.push(listenAt({ port: 0 }), listenAt({ port: 0 }))
    const [first = 0, second = 0] = open.map(portOf)
    expect(first).toBeGreaterThan(1023)
    expect(second).not.toBe(first)
    // Of 127.0.0.1 alone: 0100007F is how the kernel writes it.
    const listening = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .filter((line) => line.includes(`:${first.toString(16).toUpperCase()}`))
    expect(listening[0]).toContain('0100007F:')
  })
})
