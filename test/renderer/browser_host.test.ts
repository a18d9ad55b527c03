/** The browser's host, with Node's File, Blob and DecompressionStream in the browser's place. */
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { HostError } from '../../core/shell/host.ts'
import { BrowserHost, browserName } from '../../renderer/browser_host.ts'

async function readAll(host: BrowserHost, path: string): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const block of host.open(path)) text += decoder.decode(block, { stream: true })
  return text
}

describe('browser host', () => {
  test('a dropped file is read under its name, a gzipped one decompressed', async () => {
    const host = new BrowserHost('')
    host.register(new File(['I  04000000,3\n'], 'plain.lackey'))
    host.register(new File([gzipSync('I  04000000,3\n')], 'packed.lackey.gz'))
    expect(await readAll(host, 'plain.lackey')).toBe('I  04000000,3\n')
    expect(await readAll(host, 'packed.lackey.gz')).toBe('I  04000000,3\n')
  })

  test('a name that was never dropped is refused with the remedy and the names that are there', async () => {
    const host = new BrowserHost('')
    host.register(new File([''], 'sort.lackey'))
    const error = await readAll(host, 'soort.lackey').catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(HostError)
    expect(String(error)).toMatch(/soort\.lackey: no such file.*drag.*sort\.lackey/)
  })

  test('broken gzip is one sentence that names the file', async () => {
    const host = new BrowserHost('')
    const whole = gzipSync('x'.repeat(100_000))
    host.register(new File([whole.subarray(0, whole.length >> 1)], 'cut.lackey.gz'))
    const error = await readAll(host, 'cut.lackey.gz').catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(HostError)
    expect(String(error)).toMatch(/cut\.lackey\.gz: the gzip data is broken or cut short/)
  })

  test("writing offers a download under the file's own name, or is refused in one sentence", async () => {
    const host = new BrowserHost('')
    await expect(host.write('out/trace.json', ['{', '}'])).rejects.toThrow(/cannot write files here/)
    const offered: { name: string; content: Blob }[] = []
    host.onDownload = (download) => void offered.push(download)
    await host.write('out/trace.json', ['{', '}'])
    expect(offered[0]?.name).toBe('trace.json')
    expect(await offered[0]?.content.text()).toBe('{}')
  })

  test('breathing lets waiting messages in', async () => {
    const host = new BrowserHost('')
    let heard = false
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      heard = true
    }
    port2.postMessage(null)
    for (let breath = 0; breath < 10_000 && !heard; breath++) await host.breathe()
    port1.close()
    expect(heard).toBe(true)
  })

  test("the platform is the browser's name, not its life story", () => {
    expect(
      browserName('Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36'),
    ).toBe('Chromium 156')
    expect(browserName('Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0')).toBe('Firefox 140')
    expect(browserName('curl/8')).toBe('browser')
  })
})
