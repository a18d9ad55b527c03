/**
 * The page's line to its host's kernel: comlink over a WebSocket, opened when a command first asks, and again after it broke; in the
 * desktop window over a port.
 *
 * The token came with the address, behind its #, and is kept for this tab alone. Pairs with main/web/kernel_socket.ts and
 * main/desktop/kernel_relay.ts.
 */
import * as Comlink from 'comlink'
import { HostError } from '../core/shell/host.ts'
import type { HostKernel } from '../core/shell/host_kernel.ts'
import { DeskKernel, type DeskLine, type KernelDeskApi } from '../core/shell/kernel_desk.ts'

const SOCKET_PATH = '/kernel'
const SOCKET_PROTOCOL = 'pageferry-kernel'
const TOKEN_KEY = 'pageferry-token'
/** How often a call under way is asked for news. */
const NEWS_MS = 100

/** The token of this tab; it is taken out of the address, where others could read it. Null: the page was opened without. */
export function takeToken(address: Location, history: History, storage: Storage): string | null {
  const given = new URLSearchParams(address.hash.slice(1)).get('kernel')
  if (given === null) return storage.getItem(TOKEN_KEY)
  storage.setItem(TOKEN_KEY, given)
  history.replaceState(null, '', address.pathname + address.search)
  return given
}

/** `origin`: of the page, `http://127.0.0.1:8080`. */
export function socketKernel(origin: string, token: string): HostKernel {
  const url = `${origin.replace(/^http/, 'ws')}${SOCKET_PATH}`
  let line: Promise<DeskLine> | null = null
  const open = () => {
    line ??= openLine(new WebSocket(url, [SOCKET_PROTOCOL, token]), () => {
      line = null
    })
    return line
  }
  return new DeskKernel(open, () => new Promise((resolve) => setTimeout(resolve, NEWS_MS)))
}

/** `port`: to the desktop's own process. */
export function portKernel(port: MessagePort): HostKernel {
  const broken = new Promise<never>((_resolve, fail) => {
    port.addEventListener('close', () =>
      fail(new HostError('the process that asks the kernel of this machine ended; reload the window')),
    )
  })
  broken.catch(() => undefined)
  const desk = deskOf(port)
  return new DeskKernel(
    async () => ({ desk, broken }),
    () => new Promise((resolve) => setTimeout(resolve, NEWS_MS)),
  )
}

/** Asks the desktop window for a port; answers at once, and hands it over when it comes. */
export function wantPort(take: (port: MessagePort) => void): void {
  window.addEventListener('message', ({ source, data, ports: [port] }) => {
    if (source === window && data === 'pageferry-kernel' && port !== undefined) take(port)
  })
  window.postMessage('pageferry-kernel-wanted', window.origin)
}

/** Not a proxy itself: a promise would ask it for `then`. */
function deskOf(end: Comlink.Endpoint): KernelDeskApi {
  const remote = Comlink.wrap<KernelDeskApi>(end)
  return {
    ask: async (id, call, argument) => (await remote.ask(id, call, argument)) as Awaited<ReturnType<KernelDeskApi['ask']>>,
    watch: async (id, wantsStop) => (await remote.watch(id, wantsStop)) as Awaited<ReturnType<KernelDeskApi['watch']>>,
  }
}

function openLine(socket: WebSocket, onClose: () => void): Promise<DeskLine> {
  return new Promise((resolve, reject) => {
    let isOpen = false
    const broken = new Promise<never>((_resolve, fail) => {
      socket.addEventListener('close', () => {
        onClose()
        const what = isOpen
          ? 'the line to the kernel of this machine broke; what was under way there was stopped'
          : 'the kernel of this machine cannot be reached from this page; start it anew with pageferry serve, and open the address it prints'
        const error = new HostError(what)
        reject(error)
        fail(error)
      })
    })
    // Who asks hears of it; where nobody asks, nobody need.
    broken.catch(() => undefined)
    socket.addEventListener('open', () => {
      isOpen = true
      resolve({ desk: deskOf(endpoint(socket)), broken })
    })
  })
}

/** Messages as JSON; a message event has its data parsed. */
function endpoint(socket: WebSocket): Comlink.Endpoint {
  const wrapped = new Map<unknown, (event: MessageEvent) => void>()
  return {
    postMessage: (message) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
    },
    addEventListener: (_type, listener) => {
      const heard = (event: MessageEvent) => {
        const parsed = { data: JSON.parse(String(event.data)) } as MessageEvent
        if (typeof listener === 'function') listener(parsed)
        else listener.handleEvent(parsed)
      }
      wrapped.set(listener, heard)
      socket.addEventListener('message', heard)
    },
    removeEventListener: (_type, listener) => {
      const heard = wrapped.get(listener)
      if (heard !== undefined) socket.removeEventListener('message', heard)
    },
  }
}
