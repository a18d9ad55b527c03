/**
 * The twins that the build derives (main/start/at_once.mjs) against the generators they are derived from: whole migrations,
 * bundled with the plugin, leave the same trace as the sources that run here.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MigrateOptions } from '../../core/run/options.ts'
import { procsAtOnce } from '../../main/start/at_once.mjs'
import { finish } from '../run/small.ts'

const folder = mkdtempSync(join(tmpdir(), 'pageferry-twins-'))
let finishWithTwins: typeof finish
let bundle = ''

beforeAll(async () => {
  const entry = join(folder, 'entry.ts')
  writeFileSync(entry, `export { finish } from ${JSON.stringify(resolve('test/run/small.ts'))}\n`)
  await build({
    configFile: false,
    logLevel: 'warn',
    plugins: [procsAtOnce()],
    ssr: { noExternal: true, target: 'node' },
    build: {
      ssr: true,
      target: 'node20',
      minify: false,
      outDir: join(folder, 'out'),
      emptyOutDir: true,
      rolldownOptions: { input: { entry }, output: { entryFileNames: '[name].mjs' } },
    },
  })
  const file = join(folder, 'out', 'entry.mjs')
  bundle = readFileSync(file, 'utf8')
  finishWithTwins = (await import(pathToFileURL(file).href)).finish
})

afterAll(() => rmSync(folder, { recursive: true }))

describe('procs run at once', () => {
  const cases: readonly Partial<MigrateOptions>[] = [
    { guest: 'sweep', resolver: 'remap' },
    { guest: 'uniform', resolver: 'move' },
    { guest: 'kv', resolver: 'copy', memBytes: 4 * 2 ** 20 },
    { guest: 'sweep', resolver: 'copy', memBytes: 32 * 2 ** 20, bandwidthBitsPerSec: 1e11 },
    { guest: 'sweep', resolver: 'move', memBytes: 32 * 2 ** 20, bandwidthBitsPerSec: 1e11, vcpus: 2 },
    { guest: 'sweep', mode: 'hybrid', memBytes: 32 * 2 ** 20, bandwidthBitsPerSec: 1e11 },
    { guest: 'uniform', resolver: 'remap', faults: 'classic', vcpus: 3 },
    { guest: 'uniform', resolver: 'remap', faults: 'vma-lock', vcpus: 2 },
  ]
  test.each(cases)('%o: the same trace with twins as without', (options) => {
    const plain = finish(options)
    const twins = finishWithTwins(options)
    expect(twins.recorder.hash()).toBe(plain.recorder.hash())
    expect(twins.check.verdict).toBe('consistent')
  })

  test('saving, loading and placing a page make no generator: the twins are called', () => {
    expect(bundle).toMatch(/this\.placePage\$\(k, page,/)
    expect(bundle).toMatch(/\n\t*placePage\$\(k, page, content, buffer\) \{/)
    expect(bundle).toMatch(/resolver\.placeRun\$\(k,/)
    expect(bundle).toMatch(/#savePage\$\(k, page, stream,/)
    expect(bundle).toMatch(/ loadPage\$\(k, o, m\)/)
  })

  test('a twin neither yields nor announces', () => {
    const start = bundle.search(/\nfunction remapPte\$\(/)
    expect(start).toBeGreaterThan(0)
    const twin = bundle.slice(start, bundle.indexOf('\n}', start))
    expect(twin).toContain('takePte(')
    expect(twin).not.toMatch(/yield|stepping/)
  })
})
