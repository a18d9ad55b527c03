/**
 * A start from a checkout builds what is out of date, once, and then is the program: arguments, exit code, streams, signals.
 *
 * Runs the real start scripts and the real bundler over a small program in a folder of its own, which borrows this project's
 * packages by a link, and has an npm that installs nothing. Covers main/start/{pageferry,fresh,bundle,install,lock}.mjs.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PROGRAM = `
import { WORD } from '../../core/word.ts'
const words = process.argv.slice(2)
if (words[0] === 'wait') {
  process.on('SIGINT', () => process.exit(130))
  setTimeout(() => undefined, 60_000)
  process.stdout.write('waiting\\n')
} else {
  process.stdout.write(JSON.stringify([WORD, ...words, process.env.NODE_ENV ?? 'unset']) + '\\n')
  process.exitCode = 3
}
`

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pageferry-start-'))
  for (const file of ['package.json', 'package-lock.json', 'main/start'])
    cpSync(join(ROOT, file), join(folder, file), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'npm-cli.js'), "process.stdout.write('npm was called')\n")
  mkdirSync(join(folder, 'core'))
  mkdirSync(join(folder, 'main', 'cli'))
  mkdirSync(join(folder, 'main', 'kernel', 'calibrate'), { recursive: true })
  writeFileSync(join(folder, 'core', 'word.ts'), "export const WORD: string = 'first'\n")
  writeFileSync(join(folder, 'main', 'cli', 'main.ts'), PROGRAM)
  writeFileSync(join(folder, 'main', 'cli', 'search_worker.ts'), "export { WORD } from '../../core/word.ts'\n")
  for (const file of ['calibrate/calibrate_process.ts', 'kernel_machine.ts'])
    writeFileSync(join(folder, 'main', 'kernel', file), 'export {}\n')
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Ended {
  code: number | null
  out: string
  err: string
}

function start(words: readonly string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const env = { ...process.env, NODE_ENV: undefined, npm_execpath: join(folder, 'npm-cli.js') }
  const child = spawn(process.execPath, [join(folder, 'main', 'start', 'pageferry.mjs'), ...words], { cwd: folder, env })
  const ended = new Promise<Ended>((resolve) => {
    const all = { out: '', err: '' }
    child.stdout.on('data', (text) => {
      all.out += text
    })
    child.stderr.on('data', (text) => {
      all.err += text
    })
    child.once('close', (code) => resolve({ code, ...all }))
  })
  return { child, ended }
}

function run(...words: string[]): Promise<Ended> {
  return start(words).ended
}

describe('pageferry from a checkout', () => {
  it('builds once for two starts at the same time, and both run the whole program', async () => {
    const both = await Promise.all([run('a', 'b c'), run('a', 'b c')])
    for (const { code, out } of both) expect([code, out]).toEqual([3, '["first","a","b c","unset"]\n'])
    expect(both.map(({ err }) => err.match(/^Building/gm)?.length ?? 0).sort()).toEqual([0, 1])
  })

  it('says and builds nothing when nothing changed', async () => {
    expect(await run()).toEqual({ code: 3, out: '["first","unset"]\n', err: '' })
  })

  it('builds again after a source changed', async () => {
    writeFileSync(join(folder, 'core', 'word.ts'), "export const WORD: string = 'second'\n")
    const { out, err } = await run()
    expect([out, err]).toEqual(['["second","unset"]\n', 'Building the command line program ...\n'])
  })

  it('does not run at all when the sources do not build, and leaves the last good program in place', async () => {
    const good = readFileSync(join(folder, 'dist', 'cli', 'pageferry.mjs'), 'utf8')
    writeFileSync(join(folder, 'core', 'word.ts'), 'export const = \n')
    const { code, out, err } = await run()
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain('core/word.ts:1')
    expect(err).toContain('pageferry: the command line program does not build')
    expect(err).not.toMatch(/^\s+at .*:\d+:\d+/m)
    expect(readFileSync(join(folder, 'dist', 'cli', 'pageferry.mjs'), 'utf8')).toBe(good)
    writeFileSync(join(folder, 'core', 'word.ts'), "export const WORD: string = 'third'\n")
    expect((await run()).out).toBe('["third","unset"]\n')
  })

  it('takes over the lock of a start that died', async () => {
    writeFileSync(join(folder, 'dist', '.locks', 'build-cli'), String(deadProcess()))
    writeFileSync(join(folder, 'core', 'word.ts'), "export const WORD: string = 'fourth'\n")
    expect((await run()).out).toBe('["fourth","unset"]\n')
  })

  it('installs nothing through a link, which may lead to the packages of another checkout', async () => {
    const path = join(folder, 'package-lock.json')
    const lock = readFileSync(path, 'utf8')
    const wanted = JSON.parse(lock) as { packages: Record<string, { version: string }> }
    wanted.packages['node_modules/typescript'] = { version: '0.0.1' }
    writeFileSync(path, JSON.stringify(wanted))
    const { code, out, err } = await run()
    writeFileSync(path, lock)
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain(
      'node_modules is a link to packages that do not agree with package-lock.json; install where it leads to',
    )
  })

  it('leaves signals to the program', async () => {
    const { child, ended } = start(['wait'])
    await new Promise((resolve) => child.stdout?.once('data', resolve))
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ code: 130, out: 'waiting\n' })
  })
})

/** Above the largest id that Linux and macOS give. */
function deadProcess(): number {
  return 2 ** 22 + 1
}
