/**
 * Who is at the other end of a loopback connection: read from the kernel's tables, and asked before the kernel's line opens, because the
 * token stands in a browser's arguments.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HostKernel } from '../../core/shell/host_kernel.ts'
import { mayUse, peerOf, userIn } from '../../main/web/peer.ts'
import { serve } from '../../main/web/serve.ts'
import { named } from '../kernel/host.ts'
import { makeSiteFolder, type SiteFolder } from './site_folder.ts'

const noTables = process.platform === 'linux' ? null : 'there is no /proc/net/tcp'

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1594 1 0000 100 0 0 10 0
   1: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 1595 1 0000 20 4 30 10 -1
   2: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     7        0 1596 1 0000 20 4 30 10 -1
   3: 0100007F:9C41 0100007F:1F90 04 00000000:00000000 00:00000000 00000000     0        0 0 1 0000 20 4 30 10 -1
   4: 0200A8C0:9C42 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1002        0 1597 1 0000 20 4 30 10 -1
`
const TABLE6 = `   0: 0000000000000000FFFF00000100007F:9C43 0000000000000000FFFF00000100007F:1F90 01 0:0 00:0 0 1003 0 1598 1 0`

describe("the kernel's table of sockets", () => {
  it.each([
    ['the end that connected, not the one that listens', TABLE, 40000, 1000],
    ['a socket mapped into IPv6', TABLE6, 40003, 1003],
    ['nobody for a closing connection: its row says root, whoever it was', TABLE, 40001, null],
    ['nobody for an address that is not loopback', TABLE, 40002, null],
    ['nobody for a port that is not there', TABLE, 40009, null],
    ['nobody in an empty table', '', 40000, null],
  ])('names %s', (_, table, from, user) => expect(userIn(table, from, 8080)).toBe(user))

  it.skipIf(process.platform !== 'linux')(
    'names this user for a connection of this process, and nobody once it is closed',
    async () => {
      const server = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      const from = socket.localPort ?? 0
      expect(await peerOf(from, port)).toBe(process.getuid?.())
      socket.resetAndDestroy()
      await once(socket, 'close')
      expect(await peerOf(from, port)).toBe('gone')
      server.close()
    },
  )
})

describe('a token', () => {
  it.each([
    [1000, 1000, true],
    [0, 1000, true],
    [1001, 1000, false],
    ['gone', 1000, false],
    ['unknown', 1000, true],
    [1001, 0, true],
    [1001, undefined, true],
  ] as const)('from %s at the server of %s: %s', (peer, own, expected) => expect(mayUse(peer, own)).toBe(expected))
})

/** Asks for the line with a good token, as a program of another user would, and prints the status. */
const STRANGER = `
const [url, token] = process.argv.slice(1)
const { host, port } = new URL(url)
const headers = { Origin: 'http://' + host, Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': 13,
  'Sec-WebSocket-Key': Buffer.alloc(16).toString('base64'), 'Sec-WebSocket-Protocol': 'pageferry-kernel, ' + token }
const request = require('node:http').request({ host: '127.0.0.1', port, path: '/kernel', headers })
request.on('upgrade', (response, socket) => { console.log(response.statusCode); socket.destroy() })
request.on('response', (response) => { console.log(response.statusCode); response.destroy() })
request.end()
`

describe.skipIf(noTables !== null)(named("the kernel's line, asked by a program with the token", noTables), () => {
  // The superuser is let in everywhere, so as root the program runs as nobody.
  const stranger = process.getuid?.() === 0 ? 65534 : (process.getuid?.() ?? -1)
  let folder: SiteFolder
  beforeAll(() => {
    folder = makeSiteFolder()
  })
  afterAll(() => folder.remove())

  it.each([
    ['opens to the user who runs the server', stranger, '101'],
    ['stays closed to another', stranger + 1, '403'],
    ["opens to anybody where the server is root's", 0, '101'],
  ])('%s', async (_, user, status) => {
    const serving = await serve({ port: 0, root: folder.root, kernel: {} as HostKernel, user })
    const token = new URL(serving.kernelUrl ?? '').hash.slice('#kernel='.length)
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', STRANGER, serving.url, token], {
      ...(process.getuid?.() === 0 && { uid: stranger, cwd: '/' }),
    })
    expect(stdout.trim()).toBe(status)
    await serving.close()
  })
})
