/**
 * The desk of this machine's kernel behind a line of messages, whatever carries them: comlink's calls in, its answers out.
 *
 * Only messages that deskMessage knows get to comlink, which would do more than a desk does. Pairs with core/shell/kernel_desk.ts.
 */
import * as Comlink from 'comlink'
import type { HostKernel } from '../../core/shell/host_kernel.ts'
import { deskMessage, KernelDesk } from '../../core/shell/kernel_desk.ts'

export interface DeskServer {
  /** False: it is no message of the desk, and whoever sent it should be hung up on. */
  receive(message: unknown): boolean
  /** The other end is gone: what it asked for is stopped. */
  close(): void
}

export function serveDesk(kernel: HostKernel, send: (message: unknown) => void): DeskServer {
  const desk = new KernelDesk(kernel)
  const listeners = new Set<(event: { data: unknown }) => void>()
  Comlink.expose(
    { ask: desk.ask.bind(desk), watch: desk.watch.bind(desk) },
    {
      postMessage: (message) => send(message),
      addEventListener: (_type, listener) => listeners.add(listener as (event: { data: unknown }) => void),
      removeEventListener: (_type, listener) => listeners.delete(listener as (event: { data: unknown }) => void),
    },
  )
  return {
    receive: (message) => {
      const read = deskMessage.safeParse(message)
      if (!read.success) return false
      for (const listener of listeners) listener({ data: read.data })
      return true
    },
    close: () => desk.close(),
  }
}
