/**
 * The Node host: gzip is seen by its bytes, errors are sentences, and nothing half-written stays.
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HostError } from '../../core/shell/host.ts'
import { nodeHost } from '../../main/cli/node_host.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pageferry-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function read(path: string): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const block of nodeHost.open(path)) parts.push(block)
  return Buffer.concat(parts).toString()
}

async function failure(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(HostError)
  return error instanceof HostError ? error.message : ''
}

describe('reading', () => {
  const text = ' L 04a33110,4\n'.repeat(100_000)

  it('a plain and a gzipped file give the same bytes, whatever they are called', async () => {
    writeFileSync(join(folder, 'plain.gz'), text)
    writeFileSync(join(folder, 'packed.txt'), gzipSync(text))
    expect(await read(join(folder, 'plain.gz'))).toBe(text)
    expect(await read(join(folder, 'packed.txt'))).toBe(text)
  })

  it('gzip in several members is read to its end', async () => {
    writeFileSync(join(folder, 'two.gz'), Buffer.concat([gzipSync('first\n'), gzipSync('second\n')]))
    expect(await read(join(folder, 'two.gz'))).toBe('first\nsecond\n')
  })

  it('files of no and of one byte are read', async () => {
    writeFileSync(join(folder, 'empty'), '')
    writeFileSync(join(folder, 'one'), 'x')
    expect([await read(join(folder, 'empty')), await read(join(folder, 'one'))]).toEqual(['', 'x'])
  })

  it('a missing file, a folder, and broken gzip are each one sentence with the path', async () => {
    writeFileSync(join(folder, 'cut.gz'), gzipSync(text).subarray(0, 500))
    const damaged = gzipSync(text)
    damaged.fill(0x55, 100, 400)
    writeFileSync(join(folder, 'damaged.gz'), damaged)
    expect(await failure(read(join(folder, 'none')))).toBe(`there is no file ${join(folder, 'none')}; check the path`)
    expect(await failure(read(folder))).toBe(`${folder} is a folder; name a file in it`)
    expect(await failure(read('/dev/null'))).toBe(
      '/dev/null is not a plain file, and a trace may be read more than once; write it to a file first',
    )
    expect(await failure(read(join(folder, 'cut.gz')))).toBe(
      `${join(folder, 'cut.gz')} ends in the middle of its gzip data; copy or compress it again`,
    )
    expect(await failure(read(join(folder, 'damaged.gz')))).toMatch(
      /^the gzip data of .*damaged\.gz is damaged \(.*\); copy or compress it again$/,
    )
  })

  it('a reader that stops early leaves no open file behind', async () => {
    const open = () => readdirSync('/proc/self/fd').length
    const before = existsSync('/proc/self/fd') ? open() : 0
    for (let round = 0; round < 20; round++)
      for await (const block of nodeHost.open(join(folder, 'packed.txt'))) if (block.length > 0) break
    await new Promise((resolve) => setTimeout(resolve, 50))
    if (before > 0) expect(open()).toBeLessThan(before + 10)
    else expect(before).toBe(0)
  })
})

describe('writing', () => {
  it('a file stands under its name only when it is whole', async () => {
    const path = join(folder, 'out', 'whole.txt')
    mkdirSync(join(folder, 'out'))
    const seen: boolean[] = []
    await nodeHost.write(
      path,
      (function* () {
        for (let at = 0; at < 5; at++) {
          seen.push(existsSync(path))
          yield 'x'.repeat(200_000)
        }
      })(),
    )
    expect(seen).toEqual([false, false, false, false, false])
    expect(readFileSync(path, 'utf8').length).toBe(1_000_000)
    expect(readdirSync(join(folder, 'out'))).toEqual(['whole.txt'])
  })

  it('what fails in the middle leaves the old file and no other', async () => {
    const path = join(folder, 'kept.txt')
    writeFileSync(path, 'old')
    const before = readdirSync(folder).length
    const half = (function* () {
      yield 'x'.repeat(300_000)
      throw new Error('no more')
    })()
    await expect(nodeHost.write(path, half)).rejects.toThrow('no more')
    expect(readFileSync(path, 'utf8')).toBe('old')
    expect(readdirSync(folder).length).toBe(before)
  })

  it('a link stays a link, and what it names is written', async () => {
    writeFileSync(join(folder, 'real.txt'), 'old')
    symlinkSync(join(folder, 'real.txt'), join(folder, 'link.txt'))
    await nodeHost.write(join(folder, 'link.txt'), ['new'])
    expect(lstatSync(join(folder, 'link.txt')).isSymbolicLink()).toBe(true)
    expect(readFileSync(join(folder, 'real.txt'), 'utf8')).toBe('new')
  })

  it('a device is written to and never replaced', async () => {
    await nodeHost.checkWritable?.('/dev/null')
    await nodeHost.write('/dev/null', ['away'])
    expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true)
    expect(await failure(nodeHost.write('/dev/full', ['x']))).toMatch(/^\/dev\/full cannot be written, because the disk is full/)
  })

  it('a path that cannot be written is known beforehand, and asking leaves nothing', async () => {
    const check = nodeHost.checkWritable
    if (check === undefined) throw new Error('the Node host checks')
    const before = readdirSync(folder)
    await check(join(folder, 'new.txt'))
    await check('bare-name.txt')
    expect(existsSync('bare-name.txt')).toBe(false)
    expect(readdirSync(folder)).toEqual(before)
    expect(await failure(check(join(folder, 'none', 'x')))).toBe(
      `${join(folder, 'none', 'x')} cannot be written, because there is no folder ${join(folder, 'none')}; make it first`,
    )
    expect(await failure(check(folder))).toBe(`${folder} is a folder; name a file in it`)
    expect(await failure(check(join(folder, 'one', 'x')))).toMatch(/is not a folder/)
    expect(await failure(check('/proc/x.json'))).toMatch(/^\/proc\/x\.json /)
  })

  it('a protected folder is refused', async ({ skip }) => {
    skip(process.getuid?.() === 0, 'root may write everywhere')
    const locked = join(folder, 'locked')
    mkdirSync(locked)
    chmodSync(locked, 0o500)
    expect(await failure(nodeHost.write(join(locked, 'x'), ['']))).toMatch(/may not be written by this user/)
  })
})

it('files are listed for completion, folders with a slash, hidden ones only when asked for', async () => {
  const list = nodeHost.listFiles
  if (list === undefined) throw new Error('the Node host lists')
  mkdirSync(join(folder, 'sub'))
  writeFileSync(join(folder, 'sub', '.hidden'), '')
  writeFileSync(join(folder, 'sub', 'seen'), '')
  expect(await list(join(folder, 'su'))).toEqual([join(folder, 'sub/')])
  expect(await list(join(folder, 'sub/'))).toEqual([join(folder, 'sub/seen')])
  expect(await list(`${folder}/sub/.`)).toEqual([join(folder, 'sub/.hidden')])
  expect(await list(join(folder, 'none/'))).toEqual([])
})
