/**
 * Making the connection of a migration, and breaking it: one socket for the stream and the return path, and one for the urgent channel.
 *
 * The destination listens where `--wire` says, and lets in only who says the token (greeting.ts). Descriptors of the newest connection stand
 * in the control cells; `broken` says that it is no good, which whoever finds out first tells all others by cutting both sockets. A
 * descriptor is never closed while the process lives: another thread might be using its number.
 */
import { connectTo, cut, type Endpoint, hangUp } from '../sys/socket.ts'
import { nowNs } from './clock.ts'
import type { Control } from './control.ts'
import { CHANNEL, HELLO_BYTES, putHello } from './framing.ts'
import { Door } from './greeting.ts'
import { RecordWriter } from './record_writer.ts'
import type { MachineSetup, ThreadSetup } from './setup.ts'

const CHANNELS = ['stream', 'urgent'] as const

/** `port`: 0 where the destination has not chosen one yet. */
export function endpointOf({ wire, socketName }: MachineSetup, port: number): Endpoint {
  return wire === 'tcp' ? { port } : { name: socketName }
}

export function cutConnection(control: Control): void {
  for (const channel of CHANNELS) if (control.get(channel) > 0) cut(control.get(channel))
}

function take(control: Control, fds: readonly number[]): void {
  control.set('stream', fds[CHANNEL.stream] ?? 0)
  control.set('urgent', fds[CHANNEL.urgent] ?? 0)
  control.set('broken', 0)
  control.add('connection', 1)
}

function channelsOf({ options }: ThreadSetup): readonly number[] {
  return options.capabilities['postcopy-preempt'] ? [CHANNEL.stream, CHANNEL.urgent] : [CHANNEL.stream]
}

/** By the source. False: nobody takes it in time, or it is not wanted any more. */
export function connect(setup: ThreadSetup, control: Control, withinNs: number): boolean {
  const untilNs = nowNs() + withinNs
  const endpoint = endpointOf(setup, control.get('port'))
  const writer = new RecordWriter(() => !control.is('exit'))
  const fds: number[] = []
  try {
    for (const channel of channelsOf(setup)) {
      let fd: number | null = null
      while (fd === null) {
        if (control.is('exit') || control.is('cancelled') || nowNs() > untilNs) return false
        fd = control.is('linkDown') ? null : connectTo(endpoint)
        if (fd === null) control.wait('exit', 0, 1)
      }
      writer.raw(HELLO_BYTES, (view, at) => putHello(view, at, channel, setup.token))
      if (!writer.flush(fd)) return false
      fds[channel] = fd
    }
  } finally {
    writer.free()
  }
  take(control, fds)
  return true
}

/** By the destination, whose greetings go to `address`. False: it was told to end. */
export function accept(setup: ThreadSetup, control: Control, address: number, view: DataView): boolean {
  const wanted = channelsOf(setup)
  const fds: number[] = []
  const door = new Door(setup.listener, setup.token, address, view)
  try {
    while (wanted.some((channel) => fds[channel] === undefined)) {
      if (control.is('exit')) return false
      const arrival = control.is('linkDown') ? null : door.next()
      if (arrival === null) control.wait('exit', 0, 1)
      // A source that tries again means its newest connection.
      else if (wanted.includes(arrival.channel)) {
        const older = fds[arrival.channel]
        if (older !== undefined) hangUp(older)
        fds[arrival.channel] = arrival.fd
      } else hangUp(arrival.fd)
    }
  } finally {
    door.close()
  }
  take(control, fds)
  return true
}
