/**
 * A real process is captured: its pages, which of them are zero or change, and nothing of what they hold unless asked; and every process
 * that cannot be captured gets its sentence.
 *
 * Needs Linux's /proc; skipped by name elsewhere.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Capture, changesOf, ZERO_CONTENT } from '../../core/guest/capture.ts'
import { readCapture } from '../../core/guest/capture_file.ts'
import { ExitCode, HostError } from '../../core/shell/host.ts'
import type { CaptureRequest } from '../../core/shell/host_kernel.ts'
import { capture } from '../../main/kernel/capture/capture.ts'
import { ByPagemap, populatedPages } from '../../main/kernel/capture/populated_pages.ts'
import { parseMaps, processAreas } from '../../main/kernel/capture/process_maps.ts'
import { inBlocks } from '../guest/capture_of.ts'
import { named, noKernel } from './host.ts'

const SUBJECT = fileURLToPath(new URL('subject.mjs', import.meta.url))
const MIB_PAGES = 256
const SUBJECT_MIB = 8
const BUSY_PAGES = 100

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pageferry-capture-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const running: ChildProcess[] = []
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})

async function start(lifeMs = 0): Promise<ChildProcess> {
  const child = spawn(process.execPath, [SUBJECT, String(SUBJECT_MIB), String(BUSY_PAGES), String(lifeMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  running.push(child)
  if (child.stdout !== null) await once(child.stdout, 'data')
  return child
}

const DEFAULTS: Omit<CaptureRequest, 'output'> = {
  pid: null,
  command: [],
  durationNs: 300e6,
  intervalNs: 20e6,
  withContents: false,
  stdoutIsTaken: true,
}

function take(request: Partial<CaptureRequest>, stop = { aborted: false }, onProgress = () => {}) {
  const output = join(folder, 'x.pfguest')
  return capture({ ...DEFAULTS, output, ...request }, { stop, onProgress })
}

/** Somebody asks to stop when the second look is over. */
function takeALittle(request: Partial<CaptureRequest>) {
  const stop = { aborted: false }
  return take(request, stop, () => {
    stop.aborted = true
  })
}

function readBack(name = 'x.pfguest'): Promise<Capture> {
  return readCapture(inBlocks(gunzipSync(readFileSync(join(folder, name))), 65_536), name)
}

/** The sentence and the exit code of its refusal. */
async function refusal(request: Partial<CaptureRequest>, stop = { aborted: false }): Promise<[string, number]> {
  const error = await take(request, stop).then(
    () => null,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(HostError)
  return error instanceof HostError ? [error.message, error.exitCode] : ['', 0]
}

describe('the areas of a process', () => {
  it('are read as the kernel writes them', () => {
    const maps = [
      '55d0c2a1e000-55d0c2a3f000 rw-p 00000000 00:00 0                          [heap]',
      '7f1200000000-7f1200021000 rw-p 00000000 00:00 0 ',
      '7f1300000000-7f1300001000 r--p 00002000 fe:01 1234                       /usr/lib/a b.so',
      '7f1400000000-7f1400001000 rw-s 00000000 00:01 99                         /dev/zero (deleted)',
      '7ffe00000000-7ffe00021000 rw-p 00000000 00:00 0                          [stack]',
      'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]',
    ]
    expect(parseMaps(`${maps.join('\n')}\n`).map(({ kind }) => kind)).toEqual([
      'heap',
      'anonymous',
      'private file',
      'other',
      'stack',
      'other',
    ])
    expect(parseMaps(maps[0] ?? '')).toEqual([{ start: 0x55d0c2a1e, pages: 0x21, perms: 'rw-p', kind: 'heap' }])
    expect(parseMaps(maps[5] ?? '')[0]?.start).toBe(0xffffffffff600)
  })
})

describe.skipIf(noKernel !== null)(named('a process that runs'), () => {
  let pid = 0
  beforeEach(async () => {
    pid = (await start()).pid ?? 0
  })

  it('is captured with its pages, its zero pages and its changes, and nothing of what they hold', async () => {
    const report = await take({ pid })
    const captured = await readBack()
    expect(report).toMatchObject({
      pid,
      command: 'node',
      ended: 'duration',
      withContents: false,
      pages: captured.contentOf.length,
    })
    expect(report.distinctPages).toBeGreaterThanOrEqual(SUBJECT_MIB * MIB_PAGES)
    expect(captured.contentOf.filter((content) => content === ZERO_CONTENT).length).toBeGreaterThanOrEqual(MIB_PAGES)
    expect(report.samples).toBe(captured.samples.length)
    expect(report.samples).toBeGreaterThan(2)
    expect(report.changedPages).toBeGreaterThanOrEqual(BUSY_PAGES)
    expect(report.changedPages).toBe(changesOf(captured).pages)
    expect(report.bytes).toBe(statSync(join(folder, 'x.pfguest')).size)
    // 2,000 pages whose contents alone would take more.
    expect(report.bytes).toBeLessThan(report.pages * 20)
    expect(captured.bytes).toBeNull()
  })

  it('is stored for its owner alone, and without a word of what it holds', async () => {
    const secretIn = (name: string) => gunzipSync(readFileSync(join(folder, name))).includes('the password is swordfish')
    await take({ pid, durationNs: 50e6, output: join(folder, 'plain.pfguest') })
    await take({ pid, durationNs: 50e6, output: join(folder, 'whole.pfguest'), withContents: true })
    expect(statSync(join(folder, 'plain.pfguest')).mode & 0o777).toBe(0o600)
    expect([secretIn('plain.pfguest'), secretIn('whole.pfguest')]).toEqual([false, true])
  })

  it('is stored with what its pages hold where that is asked for, for its owner alone', async () => {
    await take({ pid, withContents: true, durationNs: 50e6, output: join(folder, 'bytes.pfguest') })
    const { bytes, kindOf } = await readBack('bytes.pfguest')
    expect(bytes).toHaveLength(kindOf.length)
    // Each of the subject's pages has one such word, wherever its memory begins within a page.
    const isFirst = (word: number) => word % 1024 === 1
    const words = (page: Uint8Array) => new Uint32Array(page.slice().buffer)
    const found = new Set(bytes?.flatMap((page) => [...words(page).filter(isFirst)]))
    for (let page = BUSY_PAGES; page < SUBJECT_MIB * MIB_PAGES; page++) expect(found).toContain(page * 1024 + 1)
    expect(statSync(join(folder, 'bytes.pfguest')).mode & 0o777).toBe(0o600)
  })

  it('has the same populated pages by pagemap as by PAGEMAP_SCAN', () => {
    process.kill(pid, 'SIGSTOP')
    const [scan, map] = [populatedPages(pid), new ByPagemap(pid)]
    const pagesOf = (from: typeof scan) => (start: number, pages: number) =>
      [...from.runs(start, pages)].flatMap(({ first, pages: n }) => Array.from({ length: n }, (_, i) => first + i))
    const areas = processAreas(pid).filter(({ kind, pages }) => kind !== 'other' && pages < 2 ** 18)
    for (const { start, pages } of areas) expect(pagesOf(map)(start, pages)).toEqual(pagesOf(scan)(start, pages))
    expect(areas.length).toBeGreaterThan(5)
    scan.close()
    map.close()
  })

  it('is kept as far as it got when somebody asks to stop', async () => {
    const report = await takeALittle({ pid, durationNs: 600e9 })
    expect(report.ended).toBe('interrupted')
    expect((await readBack()).samples.length).toBe(report.samples)
  })

  it('leaves nothing behind where it is stopped before the first look is over', async () => {
    const output = join(folder, 'new', 'none.pfguest')
    expect(await refusal({ pid, output }, { aborted: true })).toEqual([
      'interrupted before the first look at the memory was over; nothing was written',
      ExitCode.interrupted,
    ])
    expect(existsSync(join(folder, 'new'))).toBe(false)
  })
})

describe.skipIf(noKernel !== null)(named('a process that ends'), () => {
  it('before anybody looked is told', async () => {
    // Its parent, which is another program by now, never asks how it ended.
    const parent = spawn('/bin/sh', ['-c', 'sleep 0.5 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'inherit'] })
    running.push(parent)
    const [line] = await once(parent.stdout, 'data')
    const pid = Number(line)
    await expect.poll(() => readFileSync(`/proc/${pid}/status`, 'utf8'), { timeout: 10_000 }).toMatch(/^State:\sZ/m)
    const sentence = `process ${pid} ended before its memory was looked at; name one that runs longer`
    expect(await refusal({ pid })).toEqual([sentence, 1])
  })

  it('is kept as far as it got', async () => {
    const { pid = 0 } = await start(400)
    const report = await take({ pid, durationNs: 60e9 })
    expect(report.ended).toBe('exit')
    expect((await readBack()).contentOf.length).toBe(report.pages)
  })
})

describe.skipIf(noKernel !== null)(named('a process that begins to run another program'), () => {
  it('is kept as far as it got, which is told', async () => {
    const shell = `x=$(head -c 200000 /dev/zero | tr '\\0' x); sleep 0.3; exec sleep 0.3`
    const report = await take({ command: ['/bin/sh', '-c', shell], durationNs: null })
    expect(report.ended).toBe('exec')
    expect((await readBack()).contentOf.length).toBe(report.pages)
  })
})

describe.skipIf(noKernel !== null)(named('a command'), () => {
  it('is started without a shell, captured for its life, and waited for', async () => {
    const words = [process.execPath, SUBJECT, '4', '10', '500']
    const report = await take({ command: words, durationNs: null, output: join(folder, 'deep', 'c.pfguest') })
    expect(report.ended).toBe('exit')
    expect(report.laterPages).toBeGreaterThan(0)
    expect(() => process.kill(report.pid, 0)).toThrow('ESRCH')
  })

  it('ends when its capture is stopped', async () => {
    const report = await takeALittle({ command: [process.execPath, SUBJECT, '1', '1'], durationNs: null })
    expect(report.ended).toBe('interrupted')
    expect(() => process.kill(report.pid, 0)).toThrow('ESRCH')
  })

  it('that is not there, or that may not be run, is told', async () => {
    expect(await refusal({ command: ['no-such-program'] })).toEqual([
      'there is no program no-such-program; check its name, or give its path',
      ExitCode.unknownCommand,
    ])
    expect((await refusal({ command: [SUBJECT] }))[0]).toContain('cannot be started (EACCES)')
  })
})

describe.skipIf(noKernel !== null)(named('the refusal'), () => {
  it.each([
    ['a process that is not there', { pid: 999_999_999 }, 'there is no process 999999999; ps -e lists those that run', 1],
    [
      'this program itself',
      { pid: process.pid },
      `process ${process.pid} is this very program, which changes as it looks; name another`,
      1,
    ],
  ])('of %s', async (_, request, message, code) => expect(await refusal(request)).toEqual([message, code]))

  it('of a folder that cannot be made comes before anything is looked at, and leaves nothing', async () => {
    const { pid } = await start()
    const before = readdirSync(folder)
    const [message] = await refusal({ pid, output: join(folder, 'a', 'b', 'x.pfguest') })
    expect(message).toContain('make it first')
    expect(readdirSync(folder)).toEqual(before)
  })
})
