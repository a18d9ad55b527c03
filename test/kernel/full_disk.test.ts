/**
 * What the kernel's commands write, on a disk that is full: one sentence and its exit code, the file that was there as it was, nothing
 * beside it, and no process left.
 *
 * The disk is a tmpfs of 64 KiB, which only root may mount; skipped by name elsewhere. The program is the one that users get.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { ensureBuilt } from '../../main/start/fresh.mjs'
import { noKernel } from './host.ts'

const PROGRAM = fileURLToPath(new URL('../../dist/cli/pageferry.mjs', import.meta.url))
const MIGRATE = ['kernel', 'migrate', '--mem', '16M', '--duration', '20ms', '--no-predict', '--json']
const FULL = 'cannot be written, because the disk is full; make room or name another.'
/** Leaves room for a page or two. */
const OLD = 'x'.repeat(56 * 1024)

const disk = mkdtempSync(join(tmpdir(), 'pageferry-full-'))
const notHere = noKernel ?? mountTrouble()

function mountTrouble(): string | null {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'pageferry-test', disk], { stdio: 'pipe' })
    return null
  } catch {
    return 'a tmpfs cannot be mounted here; root may'
  }
}

/** Everything it starts is of its group, by which it is found again. */
async function pageferry(words: readonly string[]) {
  const child: ChildProcess = spawn(process.execPath, [PROGRAM, ...words], { detached: true })
  let [out, err] = ['', '']
  child.stdout?.on('data', (bytes) => {
    out += bytes
  })
  child.stderr?.on('data', (bytes) => {
    err += bytes
  })
  const [code] = await once(child, 'close')
  return { code, out, err, left: aliveInGroup(child.pid ?? 0) }
}

function aliveInGroup(group: number): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false
    try {
      const [state, , of] = readFileSync(`/proc/${name}/stat`, 'latin1')
        .replace(/^.*\) /s, '')
        .split(' ')
      return Number(of) === group && state !== 'Z'
    } catch {
      return false
    }
  })
}

beforeAll(() => ensureBuilt('cli'), 120_000)
beforeEach(() => writeFileSync(join(disk, 'old'), OLD))
afterAll(() => {
  if (notHere === null) execFileSync('umount', [disk])
  rmSync(disk, { recursive: true, force: true })
})

vi.setConfig({ testTimeout: 60_000 })

const name = 'on a full disk'
describe.skipIf(notHere !== null)(notHere === null ? name : `${name} (skipped: ${notHere})`, () => {
  it('kernel migrate loses its trace and not its report', async () => {
    const { code, out, err, left } = await pageferry([...MIGRATE, '--trace', join(disk, 'old')])
    expect([code, err]).toEqual([1, `pageferry kernel migrate: ${join(disk, 'old')} ${FULL}\n`])
    expect(JSON.parse(out)).toMatchObject({ migration: { status: 'completed' }, consistency: { verdict: 'consistent' } })
    expect([readFileSync(join(disk, 'old'), 'utf8'), readdirSync(disk), left]).toEqual([OLD, ['old'], []])
  })

  it('capture keeps neither half a guest file nor the folder that it made for it, and ends its command', async () => {
    const file = join(disk, 'new', 'guest.pfguest')
    const capture = ['capture', '--duration', '100ms', '--with-contents', '--output', file, '--', 'sleep', '60']
    const { code, out, err, left } = await pageferry(capture)
    expect([code, out, err]).toEqual([1, '', `pageferry capture: ${file} ${FULL}\n`])
    expect([readdirSync(disk), left]).toEqual([['old'], []])
  })
})
