/**
 * The web host: serves the built screen to a browser on this machine, and to nobody else.
 *
 * 1. It listens on 127.0.0.1 only.
 * 2. It answers only requests whose Host header names that address: a page from elsewhere whose name was rebound to
 *    127.0.0.1 still carries its own name there.
 * 3. It answers GET and HEAD, from the closed list of site.ts, with the headers of headers.ts.
 *
 * 4. Where it is given the kernel of this machine, the page that has the token, of the user who runs it, may ask it (kernel_socket.ts).
 *
 * The engine runs in the page's worker, so nothing else passes here. Pairs with main/cli, which owns the command.
 */
import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { HostError } from '../../core/shell/host.ts'
import type { HostKernel } from '../../core/shell/host_kernel.ts'
import { fileHeaders, SECURITY_HEADERS } from './headers.ts'
import { listenForKernel } from './kernel_socket.ts'
import { lookUp, type Site, scanSite } from './site.ts'

const ADDRESS = '127.0.0.1'
const TOKEN_BYTES = 32

export interface ServeOptions {
  /** 0: any free port. */
  readonly port: number
  /** The folder with the built screen's index.html. */
  readonly root: string
  /** What the page may ask of this machine's kernel; absent: nothing. */
  readonly kernel?: HostKernel
  /** The user id for whom the kernel answers; absent: whoever runs this process. */
  readonly user?: number
}

export interface Serving {
  readonly url: string
  /** The same with the token, for the page that may ask the kernel; null where there is none to ask. */
  readonly kernelUrl: string | null
  /** Ends at once, open connections included. */
  close(): Promise<void>
}

/** Starts to serve. Throws HostError when the screen is not built or the port cannot be had. */
export async function serve(options: ServeOptions): Promise<Serving> {
  const site = await scanSite(options.root)
  const server = createServer((request, response) => {
    answer(site, portOf(server), options.kernel !== undefined, request, response).catch(() => response.destroy())
  })
  await listen(server, options.port)
  const url = `http://${ADDRESS}:${portOf(server)}/`
  if (options.kernel === undefined) return { url, kernelUrl: null, close: () => close(server) }
  // 4.
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  const hangUp = listenForKernel(server, {
    kernel: options.kernel,
    token,
    user: options.user ?? process.getuid?.(),
    isOwnHost: (host) => isOwnHost(host, portOf(server)),
  })
  const end = () => {
    hangUp()
    return close(server)
  }
  return { url, kernelUrl: `${url}#kernel=${token}`, close: end }
}

/** Whether a Host header names this server. */
export function isOwnHost(host: string | undefined, port: number): boolean {
  // A browser leaves the port out where it is the scheme's own.
  const names = port === 80 ? [ADDRESS, 'localhost'] : []
  return host !== undefined && [...names, `${ADDRESS}:${port}`, `localhost:${port}`].includes(host.toLowerCase())
}

async function answer(
  site: Site,
  port: number,
  hasKernel: boolean,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!isOwnHost(request.headers.host, port)) return refuse(response, 421, 'This server answers to its loopback address only.')
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD')
    return refuse(response, 405, 'Only GET and HEAD are answered here.')
  }
  const target = request.url ?? ''
  if (!target.startsWith('/')) return refuse(response, 400, 'The request must name a path.')

  const found = lookUp(site, target.split(/[?#]/, 1)[0] ?? '')
  if (!found.found) return refuse(response, found.status, found.reason)
  const size = await sizeOf(found.file)
  if (size === null) return refuse(response, 404, 'The file is gone; start the server again after a build.')

  response.writeHead(200, {
    ...fileHeaders(found.sitePath, hasKernel ? `ws://${request.headers.host}` : null),
    'Content-Length': size,
  })
  if (request.method === 'HEAD') response.end()
  else await pipeline(createReadStream(found.file), response)
}

function refuse(response: ServerResponse, status: number, reason: string): void {
  response.writeHead(status, { ...SECURITY_HEADERS, 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' })
  response.end(`${reason}\n`)
}

async function sizeOf(file: string): Promise<number | null> {
  try {
    return (await stat(file)).size
  } catch {
    return null
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, port)))
    server.listen(port, ADDRESS, resolve)
  })
}

function listenError(error: NodeJS.ErrnoException, port: number): HostError {
  const remedy = 'choose another with --port, or --port 0 for any free one.'
  if (error.code === 'EADDRINUSE') return new HostError(`Port ${port} of ${ADDRESS} is in use; ${remedy}`)
  if (error.code === 'EACCES') return new HostError(`Port ${port} of ${ADDRESS} is not permitted to this user; ${remedy}`, 126)
  return new HostError(`Port ${port} of ${ADDRESS} cannot be opened (${error.code ?? error.message}); ${remedy}`)
}

function portOf(server: Server): number {
  const address = server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    // A browser keeps its connections open; without this the close would wait for them.
    server.closeAllConnections()
  })
}
