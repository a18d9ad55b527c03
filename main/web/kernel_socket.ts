/**
 * The WebSocket by which the page asks this machine's kernel: for the page that was opened with the token, and nobody else.
 *
 * 1. The request's Host is this server's own address (serve.ts).
 * 2. Its Origin is this server: a page from elsewhere has another, and cannot choose it.
 * 3. It offers the protocol and, as a second one, the token that was drawn when the server started. A process or page of this machine
 *    that was not told the token cannot guess it; it stands behind the # of the address, which is never sent in a request.
 * 4. Who connected is the user who runs this server (peer.ts): the token can be read in the list of processes.
 * 5. Each message is one that deskMessage knows; anything else ends the connection.
 *
 * Messages are comlink's, as JSON. Pairs with core/shell/kernel_desk.ts, which answers, and renderer/kernel_line.ts, which asks.
 */
import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { HostKernel } from '../../core/shell/host_kernel.ts'
import { serveDesk } from '../kernel/desk_server.ts'
import { mayUse, peerOf } from './peer.ts'

export const SOCKET_PATH = '/kernel'
export const SOCKET_PROTOCOL = 'pageferry-kernel'

/** Thousands of conformance cases. */
const MOST_MESSAGE_BYTES = 2 ** 24
const POLICY_VIOLATION = 1008

export interface KernelSocketOptions {
  readonly kernel: HostKernel
  readonly token: string
  /** Who runs this server; undefined on a system without user ids. */
  readonly user: number | undefined
  /** Whether a Host header names this server. */
  isOwnHost(host: string | undefined): boolean
}

/** Answers upgrade requests of the server. What it answers ends the connections. */
export function listenForKernel(server: Server, options: KernelSocketOptions): () => void {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MOST_MESSAGE_BYTES,
    handleProtocols: () => SOCKET_PROTOCOL,
  })
  server.on('upgrade', async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // From here on nobody but us listens for its end: whoever hangs up in the middle would end the server.
    socket.on('error', () => socket.destroy())
    const refusal = whyNot(request, options) ?? (await whyNotWho(request, options))
    if (refusal !== null) return refuse(socket, refusal)
    sockets.handleUpgrade(request, socket, head, (open) => answer(open, options.kernel))
  })
  return () => {
    for (const open of sockets.clients) open.terminate()
    sockets.close()
  }
}

/** The status line of a refusal, or null. */
export function whyNot({ url, headers }: IncomingMessage, { token, isOwnHost }: KernelSocketOptions): string | null {
  if (url !== SOCKET_PATH) return '404 Not Found'
  // 1.
  if (!isOwnHost(headers.host)) return '421 Misdirected Request'
  // 2.
  if (headers.origin !== `http://${headers.host}`) return '403 Forbidden'
  // 3.
  const [protocol, given = '', ...rest] = (headers['sec-websocket-protocol'] ?? '').split(',').map((word) => word.trim())
  if (protocol !== SOCKET_PROTOCOL || rest.length > 0 || !isSame(given, token)) return '401 Unauthorized'
  return null
}

async function whyNotWho({ socket }: IncomingMessage, { user }: KernelSocketOptions): Promise<string | null> {
  // 4.
  const peer = await peerOf(socket.remotePort ?? 0, socket.localPort ?? 0)
  return mayUse(peer, user) ? null : '403 Forbidden'
}

function isSame(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

function answer(socket: WebSocket, kernel: HostKernel): void {
  const desk = serveDesk(kernel, (message) => socket.send(JSON.stringify(message)))
  socket.on('message', (data, isBinary) => {
    // 5.
    if (isBinary || !desk.receive(parsed(String(data)))) socket.close(POLICY_VIOLATION, 'not a message of the desk')
  })
  socket.on('close', () => desk.close())
  socket.on('error', () => socket.terminate())
}

/** Null where it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
