/**
 * The door of the destination: who connects says first, with the token, what the connection is for; nobody else is let in.
 *
 *  1. Who knocks is taken in as a stranger. Anybody on this host can find the socket.
 *  2. A stranger that has said its HELLO_BYTES, and says them right, is a channel of the migration. Wrong ones are hung up on.
 *  3. None keeps the others waiting: nobody is read from who has not spoken, and the oldest of too many strangers has to go.
 *
 * Pairs with connection.ts, which opens the door and says the token at the source.
 */
import { acceptFrom, hangUp, readNow, Transfer } from '../sys/socket.ts'
import { channelOfHello, HELLO_BYTES } from './framing.ts'

const MOST_STRANGERS = 16

interface Stranger {
  readonly fd: number
  /** Where what it says is put, from the door's memory on. */
  readonly at: number
  got: number
}

/** A connection that is let in, and what it is for. */
export interface Arrival {
  readonly fd: number
  readonly channel: number
}

export class Door {
  readonly #listener: number
  readonly #token: string
  readonly #address: number
  readonly #view: DataView
  #strangers: Stranger[] = []

  /** `address` is where `view` begins: room for the greetings of all strangers. */
  constructor(listener: number, token: string, address: number, view: DataView) {
    this.#listener = listener
    this.#token = token
    this.#address = address
    this.#view = view
  }

  /** Somebody who has said the token, or null: nobody for now. */
  next(): Arrival | null {
    // 1.
    const fd = acceptFrom(this.#listener)
    if (fd !== null) this.#takeIn(fd)
    // 2.
    for (const stranger of this.#strangers) {
      const channel = this.#hear(stranger)
      if (channel === null) continue
      this.#strangers.splice(this.#strangers.indexOf(stranger), 1)
      if (channel >= 0) return { fd: stranger.fd, channel }
      hangUp(stranger.fd)
      return null
    }
    return null
  }

  /** 3. */
  #takeIn(fd: number): void {
    if (this.#strangers.length === MOST_STRANGERS) hangUp(this.#strangers.shift()?.fd ?? -1)
    // Strangers leave in any order, and no two may have one place.
    const taken = this.#strangers.map(({ at }) => at)
    let at = 0
    while (taken.includes(at)) at += HELLO_BYTES
    this.#strangers.push({ fd, at, got: 0 })
  }

  /** What its connection is for; null: it has not said all yet; -1: it is not the source's. */
  #hear(stranger: Stranger): number | null {
    const bytes = readNow(stranger.fd, this.#address + stranger.at + stranger.got, HELLO_BYTES - stranger.got)
    if (bytes === Transfer.broken) return -1
    if (bytes > 0) stranger.got += bytes
    return stranger.got < HELLO_BYTES ? null : channelOfHello(this.#view, stranger.at, this.#token)
  }

  /** Whoever is still outside stays there. */
  close(): void {
    for (const { fd } of this.#strangers) hangUp(fd)
    this.#strangers = []
  }
}
