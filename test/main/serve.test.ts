/**
 * The web host serves the built screen to this machine only, with its headers, and nothing else of the disk.
 *
 * Requests are made with node:http and bare sockets, because fetch mends a wrong Host or `..` before it sends. Covers main/web.
 */
import { request } from 'node:http'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HostError } from '../../core/shell/host.ts'
import { CONTENT_SECURITY_POLICY } from '../../main/web/headers.ts'
import { isOwnHost, type Serving, serve } from '../../main/web/serve.ts'
import { makeSiteFolder, type SiteFolder } from './site_folder.ts'

interface Answer {
  status: number
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: string
}

let folder: SiteFolder
let serving: Serving

beforeAll(async () => {
  folder = makeSiteFolder()
  serving = await serve({ port: 0, root: folder.root })
})

afterAll(async () => {
  await serving.close()
  folder.remove()
})

function ask(path: string, options: { method?: string; host?: string } = {}): Promise<Answer> {
  const { port } = new URL(serving.url)
  return new Promise((resolve, reject) => {
    const asked = request(
      { port, host: '127.0.0.1', path, method: options.method ?? 'GET', headers: { host: options.host ?? `127.0.0.1:${port}` } },
      (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (text: string) => {
          body += text
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
      },
    )
    asked.once('error', reject)
    asked.end()
  })
}

function reaches(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
    socket.once('timeout', () => {
      socket.destroy()
      resolve(false)
    })
  })
}

describe('the web host', () => {
  it('serves the page, its scripts and names with spaces, each with its type', async () => {
    const page = await ask('/')
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(page.body).toContain('<title>Pageferry</title>')
    const script = await ask('/assets/index-3f2a.js?v=1')
    expect([script.status, script.headers['content-type'], script.body]).toEqual([
      200,
      'text/javascript; charset=utf-8',
      'export const one = 1\n',
    ])
    expect((await ask('/two%20words.txt')).body).toBe('two words')
  })

  it('isolates the page and lets nothing run that is not its own, on refusals too', async () => {
    for (const path of ['/', '/assets/index-3f2a.js', '/missing']) {
      expect((await ask(path)).headers).toMatchObject({
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-embedder-policy': 'require-corp',
        'cross-origin-resource-policy': 'same-origin',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'content-security-policy': CONTENT_SECURITY_POLICY,
      })
    }
    expect(CONTENT_SECURITY_POLICY).toBe(
      "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; worker-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
  })

  it('lets a browser keep what is named after its content, and nothing else', async () => {
    expect((await ask('/assets/index-3f2a.js')).headers['cache-control']).toBe('public, max-age=31536000, immutable')
    expect((await ask('/')).headers['cache-control']).toBe('no-cache')
  })

  it.each([
    '/../secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e/secret.txt',
    '/%2e%2e%2fsecret.txt',
    '/assets/../../secret.txt',
    '/..\\secret.txt',
    '/..%5csecret.txt',
    '//secret.txt',
    '/up/secret.txt',
    '/link.txt',
    '/index.html%00.js',
    '/assets',
    '/assets/',
  ])('answers 404 to %s', async (path) => {
    const answer = await ask(path)
    expect(answer.status).toBe(404)
    expect(answer.body).not.toContain('secret')
  })

  it('answers 400 to a path that is no path', async () => {
    expect((await ask('/%ff')).status).toBe(400)
    expect((await ask('http://elsewhere.example/')).status).toBe(400)
  })

  it.each(['elsewhere.example', 'elsewhere.example:80', '127.0.0.1', '127.0.0.1:1', 'localhost', '127.0.0.1.elsewhere.example'])(
    'answers 421 to the Host %s, as a rebound name would send it',
    async (host) => expect((await ask('/', { host })).status).toBe(421),
  )

  it('answers to localhost as well', async () => {
    expect((await ask('/', { host: `localhost:${new URL(serving.url).port}` })).status).toBe(200)
  })

  it('knows that a browser leaves port 80 out of Host', () => {
    expect([isOwnHost('127.0.0.1', 80), isOwnHost('localhost', 80), isOwnHost(undefined, 80)]).toEqual([true, true, false])
  })

  it('answers HEAD without a body, and no method that could change something', async () => {
    const head = await ask('/', { method: 'HEAD' })
    expect([head.status, head.body, Number(head.headers['content-length']) > 0]).toEqual([200, '', true])
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const answer = await ask('/', { method })
      expect([method, answer.status, answer.headers.allow]).toEqual([method, 405, 'GET, HEAD'])
    }
  })

  it('listens on the loopback address only', async () => {
    const port = Number(new URL(serving.url).port)
    expect(new URL(serving.url).hostname).toBe('127.0.0.1')
    expect(await reaches('127.0.0.1', port)).toBe(true)
    const others = Object.values(networkInterfaces()).flatMap((all) =>
      (all ?? []).filter((one) => !one.internal && one.family === 'IPv4'),
    )
    // ::1 is a neighbour that every machine has, so the claim is tested even without a network.
    for (const address of ['::1', '127.0.0.2', ...others.map((one) => one.address)]) {
      expect([address, await reaches(address, port)]).toEqual([address, false])
    }
  })

  it('ends at once with connections still open', async () => {
    const other = await serve({ port: 0, root: folder.root })
    const port = Number(new URL(other.url).port)
    const socket = connect({ host: '127.0.0.1', port })
    await new Promise((resolve) => socket.once('connect', resolve))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.on('error', () => undefined)
    await other.close()
    await closed
    expect(await reaches('127.0.0.1', port)).toBe(false)
  })

  it('says in one sentence that a port is in use', async () => {
    const port = Number(new URL(serving.url).port)
    await expect(serve({ port, root: folder.root })).rejects.toThrow(
      new HostError(`Port ${port} of 127.0.0.1 is in use; choose another with --port, or --port 0 for any free one.`),
    )
  })

  it('says in one sentence that the screen is not built', async () => {
    const root = join(folder.root, 'nowhere')
    await expect(serve({ port: 0, root })).rejects.toThrow(`There is no built screen in ${root}: index.html is missing`)
  })
})
