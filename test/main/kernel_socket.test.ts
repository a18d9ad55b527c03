/**
 * The line to the kernel: open to the page that was opened with the token, and to nobody else; it understands the desk's messages, and
 * nothing else of comlink; and what was asked for stops when the asker is gone.
 */
import { once } from 'node:events'
import { connect as connectTo } from 'node:net'
import * as Comlink from 'comlink'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import type { KernelMigrateOptions } from '../../core/run/kernel_report.ts'
import { DEFAULT_OPTIONS } from '../../core/run/options.ts'
import { parseArguments } from '../../core/shell/arguments.ts'
import { kernelCommandOf, kernelMigrateCommand, kernelOptions } from '../../core/shell/commands/kernel_migrate.ts'
import { HostError } from '../../core/shell/host.ts'
import type { CaptureReport, CaptureRequest, CaptureWatch, HostKernel } from '../../core/shell/host_kernel.ts'
import { DeskKernel, KernelDesk } from '../../core/shell/kernel_desk.ts'
import { parseLine } from '../../core/shell/line.ts'
import { type Serving, serve } from '../../main/web/serve.ts'
import { makeSiteFolder, type SiteFolder } from './site_folder.ts'

/** Calls that were told to stop. */
let stopped = 0

const INFO = { release: '6.18.44', permitted: true }
const moment = () => new Promise<void>((resolve) => setTimeout(resolve, 5))

/** Captures go on until they are stopped. */
const fake = {
  info: async () => INFO,
  calibrationPath: async () => {
    throw new HostError('there is no home', 126)
  },
  identity: async () => {
    throw new Error('a bug')
  },
  capture: async ({ pid }: CaptureRequest, { stop, onProgress }: CaptureWatch) => {
    for (let samples = 0; !stop.aborted; samples++) {
      onProgress({ seconds: 1, pages: 2, samples })
      await moment()
    }
    stopped++
    return { pid, ended: 'interrupted' } as CaptureReport
  },
  migrate: async (run: KernelMigrateOptions) => {
    migrated = run
    return null
  },
} as unknown as HostKernel

/** What the migration was asked with. */
let migrated: KernelMigrateOptions | null = null

const REQUEST: CaptureRequest = {
  pid: 7,
  command: [],
  durationNs: 1e9,
  intervalNs: 1e6,
  output: 'x.pfguest',
  withContents: false,
  stdoutIsTaken: false,
}

let folder: SiteFolder
let serving: Serving
let host: string
let token: string

beforeAll(async () => {
  folder = makeSiteFolder()
  serving = await serve({ port: 0, root: folder.root, kernel: fake })
  host = new URL(serving.url).host
  token = new URLSearchParams(new URL(serving.kernelUrl ?? '').hash.slice(1)).get('kernel') ?? ''
})

afterAll(async () => {
  await serving.close()
  folder.remove()
})

interface Asker {
  readonly protocols?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  readonly path?: string
}

/** The connection, or the status of its refusal. */
async function connect({
  protocols = ['pageferry-kernel', token],
  headers = {},
  path = '/kernel',
}: Asker = {}): Promise<WebSocket | number> {
  const socket = new WebSocket(`ws://${host}${path}`, [...protocols], { headers: { origin: `http://${host}`, ...headers } })
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket))
    socket.once('unexpected-response', (request, response) => {
      request.destroy()
      resolve(response.statusCode ?? 0)
    })
    socket.once('error', reject)
  })
}

async function opened(): Promise<WebSocket> {
  const socket = await connect()
  if (typeof socket === 'number') throw new Error(`refused with ${socket}`)
  return socket
}

describe('the line to the kernel', () => {
  it('opens for the page with the token, in the protocol without it', async () => {
    const socket = await opened()
    expect(socket.protocol).toBe('pageferry-kernel')
    socket.terminate()
  })

  it.each([
    ['another origin', { headers: { origin: 'http://evil.example' } }, 403],
    ['the same host by another scheme', { headers: { origin: 'https://127.0.0.1' } }, 403],
    ['a page of another port', { headers: { origin: 'http://127.0.0.1:1' } }, 403],
    ['an opaque origin', { headers: { origin: 'null' } }, 403],
    ['a name that was rebound to this address', { headers: { host: 'evil.example', origin: 'http://evil.example' } }, 421],
    ['no token', { protocols: ['pageferry-kernel'] }, 401],
    ['another token', { protocols: ['pageferry-kernel', 'A'.repeat(43)] }, 401],
    ['the token alone', { protocols: ['A'.repeat(43), 'pageferry-kernel'] }, 401],
    ['another path', { path: '/kernel/' }, 404],
    ['the token in the path', { path: '/kernel?kernel=x', protocols: ['pageferry-kernel'] }, 404],
  ])('stays closed to %s', async (_, asker, status) => expect(await connect(asker)).toBe(status))

  it.each(['', 'Sec-WebSocket-Protocol: pageferry-kernel\r\n'])(
    'outlives who hangs up in the middle of asking, %j',
    async (more) => {
      const asked = `GET /kernel HTTP/1.1\r\nHost: ${host}\r\nOrigin: http://${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${more}\r\n`
      for (let n = 0; n < 50; n++) {
        const line = connectTo({ host: '127.0.0.1', port: Number(host.split(':')[1]) })
        await once(line, 'connect')
        line.write(asked)
        line.resetAndDestroy()
      }
      const socket = await opened()
      expect(socket.readyState).toBe(socket.OPEN)
      socket.terminate()
    },
  )

  it('has a token of 256 bits, another for each server', async () => {
    const other = await serve({ port: 0, root: folder.root, kernel: fake })
    expect(Buffer.from(token, 'base64url')).toHaveLength(32)
    expect(other.kernelUrl?.endsWith(token)).toBe(false)
    await other.close()
  })

  it('is not there where the server was given no kernel', async () => {
    const plain = await serve({ port: 0, root: folder.root })
    expect(plain.kernelUrl).toBeNull()
    const socket = new WebSocket(`ws://${new URL(plain.url).host}/kernel`, ['pageferry-kernel', token])
    await expect(once(socket, 'open')).rejects.toThrow()
    await plain.close()
  })

  it('ends with the server', async () => {
    const own = await serve({ port: 0, root: folder.root, kernel: fake })
    const { host: there, hash } = new URL(own.kernelUrl ?? '')
    const socket = new WebSocket(`ws://${there}/kernel`, ['pageferry-kernel', hash.slice('#kernel='.length)], {
      origin: `http://${there}`,
    })
    await once(socket, 'open')
    const closed = once(socket, 'close')
    await own.close()
    await closed
  })

  it.each([
    ['text', 'hello'],
    ['a look at a property', JSON.stringify({ id: '1', type: 'GET', path: ['constructor'] })],
    ['a call of anything else', JSON.stringify({ id: '1', type: 'APPLY', path: ['constructor'], argumentList: [] })],
    ['a deeper path', JSON.stringify({ id: '1', type: 'APPLY', path: ['ask', 'constructor'], argumentList: [] })],
    [
      'a function as an argument',
      JSON.stringify({ id: '1', type: 'APPLY', path: ['ask'], argumentList: [{ type: 'HANDLER', name: 'proxy', value: {} }] }),
    ],
    ['bytes', Buffer.from('{}')],
  ])('ends at %s', async (_, message) => {
    const socket = await opened()
    socket.send(message)
    const [code] = await once(socket, 'close')
    expect(code).toBe(1008)
  })
})

/** The kernel at the other end of the line. */
function kernelBy(socket: WebSocket): HostKernel {
  const broken = once(socket, 'close').then(() => {
    throw new HostError('the line broke')
  })
  broken.catch(() => undefined)
  const desk = Comlink.wrap<KernelDesk>({
    postMessage: (message) => socket.send(JSON.stringify(message)),
    addEventListener: (_type, listener) =>
      socket.on('message', (data) => (listener as (event: { data: unknown }) => void)({ data: JSON.parse(String(data)) })),
    removeEventListener: () => undefined,
  })
  const line = { desk: { ask: desk.ask as KernelDesk['ask'], watch: desk.watch as KernelDesk['watch'] }, broken }
  return new DeskKernel(async () => line, moment)
}

describe('the kernel by the line', () => {
  it('answers, and what goes wrong there is the same sentence and exit code here', async () => {
    const socket = await opened()
    const kernel = kernelBy(socket)
    expect(await kernel.info()).toEqual(INFO)
    await expect(kernel.calibrationPath()).rejects.toMatchObject({ message: 'there is no home', exitCode: 126 })
    await expect(kernel.identity()).rejects.toMatchObject({ message: 'an unexpected error, a bug', exitCode: 1 })
    socket.terminate()
  })

  it('tells the news of a call under way, and stops it when asked', async () => {
    const socket = await opened()
    const stop = { aborted: false }
    const seen: number[] = []
    const report = await kernelBy(socket).capture(REQUEST, {
      stop,
      onProgress: ({ samples }) => {
        seen.push(samples)
        if (samples >= 5) stop.aborted = true
      },
    })
    expect(report).toEqual({ pid: 7, ended: 'interrupted' })
    expect(seen.slice(0, 4)).toEqual([0, 1, 2, 3])
    socket.terminate()
  })

  it('is told a migration as it was asked for, times without end too', async () => {
    const socket = await opened()
    const run: KernelMigrateOptions = {
      options: { ...DEFAULT_OPTIONS, guest: 'sweep:set=8M', mode: 'precopy', resolver: 'copy', memBytes: 16 * 2 ** 20, seed: 9 },
      isPaced: true,
      wire: 'tcp',
      watchdogNs: 5e9,
    }
    const asked = kernelOptions(
      parseArguments(kernelMigrateCommand, parseLine(kernelCommandOf(run))[0]?.pipeline[0]?.words.slice(2) ?? []),
    )
    expect(await kernelBy(socket).migrate(run, { stop: { aborted: false }, onProgress: () => undefined })).toBeNull()
    expect(migrated).toEqual(asked)
    expect(migrated).toMatchObject({
      isPaced: true,
      wire: 'tcp',
      watchdogNs: 5e9,
      options: { timeLimitNs: Number.POSITIVE_INFINITY, seed: 9 },
    })
    socket.terminate()
  })

  it('stops what was asked for when the page is gone, and whoever waits hears of it', async () => {
    const socket = await opened()
    const before = stopped
    const waiting = kernelBy(socket).capture(REQUEST, { stop: { aborted: false }, onProgress: () => socket.terminate() })
    await expect(waiting).rejects.toThrow('the line broke')
    await expect.poll(() => stopped).toBe(before + 1)
  })

  it.each([
    ['starts a command', { ...REQUEST, pid: null, command: ['sh'] }],
    ['adds a command to a process', { ...REQUEST, command: ['sh'] }],
  ])('never %s', async (_, request) => {
    const socket = await opened()
    await expect(
      kernelBy(socket).capture(request, { stop: { aborted: false }, onProgress: () => undefined }),
    ).rejects.toBeInstanceOf(HostError)
    socket.terminate()
  })
})

describe('the desk', () => {
  const desk = new KernelDesk(fake)

  it.each([
    ['no such call', 'shutdown', null, 'no such call'],
    ['a property of every object', 'constructor', null, 'no such call'],
    ['a command', 'capture', { ...REQUEST, command: ['sh'] }, 'a command is started and captured in a terminal only'],
    [
      'a file of any name',
      'capture',
      { ...REQUEST, output: '/etc/passwd' },
      'the call capture is given something wrong at output',
    ],
    ['a time without end', 'capture', { ...REQUEST, durationNs: null }, 'given something wrong at durationNs'],
    ['a word too much', 'info', { all: true }, 'the call info is given something wrong at its argument'],
    ['a migration that is none', 'migrate', { command: 'shell', keepsEvents: false }, 'that is no migration'],
    [
      'a migration from the disk',
      'migrate',
      { command: 'kernel migrate --guest /etc/passwd.gz', keepsEvents: false },
      'runs on the real kernel from a terminal only',
    ],
    ['a file that is no calibration', 'keepCalibration', '{"schema":"x"}', 'what is to be kept'],
    ['passes without end', 'calibrate', { passes: 1e9 }, 'given something wrong at passes'],
  ])('refuses %s', async (_, name, argument, says) => {
    const answer = await desk.ask(1, name, argument)
    expect(answer.ok).toBe(false)
    expect(answer.ok ? '' : answer.message).toContain(says)
  })

  it('has no news of a call that is over or never was', async () => expect(await desk.watch(99, true)).toEqual([]))
})
