/**
 * Making the connection of a migration, and breaking it: one socket for the stream and the return path, and one for the urgent channel.
 *
 * The destination listens at an abstract name that nobody can guess, and takes only who says the token. Descriptors of the newest
 * connection stand in the control cells; `broken` says that it is no good, which whoever finds out first tells all others by cutting
 * both sockets. A descriptor is never closed while the process lives: another thread might be using its number.
 */
import { acceptFrom, connectTo, cut, readSome, Transfer } from '../sys/socket.ts'
import { nowNs } from './clock.ts'
import type { Control } from './control.ts'
import { CHANNEL, channelOfHello, HELLO_BYTES, putHello } from './framing.ts'
import { RecordWriter } from './record_writer.ts'
import type { ThreadSetup } from './setup.ts'

const CHANNELS = ['stream', 'urgent'] as const

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
  const writer = new RecordWriter(() => !control.is('exit'))
  const fds: number[] = []
  try {
    for (const channel of channelsOf(setup)) {
      let fd: number | null = null
      while (fd === null) {
        if (control.is('exit') || control.is('cancelled') || nowNs() > untilNs) return false
        fd = control.is('linkDown') ? null : connectTo(setup.socketName)
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
  while (wanted.some((channel) => fds[channel] === undefined)) {
    if (control.is('exit')) return false
    const fd = control.is('linkDown') ? null : acceptFrom(setup.listener)
    if (fd === null) {
      control.wait('exit', 0, 1)
      continue
    }
    const channel = greeted(fd, setup, control, address, view)
    if (!wanted.includes(channel) || fds[channel] !== undefined) cut(fd)
    else fds[channel] = fd
  }
  take(control, fds)
  return true
}

/** What the connection is for; -1: it is not the source's. */
function greeted(fd: number, setup: ThreadSetup, control: Control, address: number, view: DataView): number {
  let got = 0
  while (got < HELLO_BYTES && !control.is('exit')) {
    const bytes = readSome(fd, address + got, HELLO_BYTES - got)
    if (bytes === Transfer.broken) return -1
    if (bytes > 0) got += bytes
  }
  return got < HELLO_BYTES ? -1 : channelOfHello(view, 0, setup.token)
}
