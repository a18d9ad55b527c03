/**
 * A file that cannot be finished, whichever call finds that out: one sentence, the old file as it was, and nothing beside it.
 *
 * The calls are those of a real file in a real folder; one of them is made to fail as on a full disk.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, it, vi } from 'vitest'
import { HostError } from '../../core/shell/host.ts'
import { writeWhole } from '../../main/files/whole_file.ts'

type Step = 'open' | 'writeFile' | 'sync' | 'close' | 'rename'
const failing = vi.hoisted(() => ({ at: null as string | null, code: '' }))

vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>()
  const fail = () => Promise.reject(Object.assign(new Error(failing.code), { code: failing.code }))
  const open = async (...given: Parameters<typeof real.open>) => {
    if (failing.at === 'open') return fail()
    const file = await real.open(...given)
    return new Proxy(file, {
      get: (target, name: keyof FileHandle) => {
        if (name !== failing.at) return typeof target[name] === 'function' ? target[name].bind(target) : target[name]
        return name === 'close' ? () => target.close().then(fail) : fail
      },
    })
  }
  return { ...real, open, rename: (from: string, to: string) => (failing.at === 'rename' ? fail() : real.rename(from, to)) }
})

const folder = mkdtempSync(join(tmpdir(), 'pageferry-whole-'))
const path = join(folder, 'report.json')

beforeEach(() => writeFileSync(path, 'as it was'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function failure(at: Step, code: string): Promise<unknown> {
  Object.assign(failing, { at, code })
  try {
    return await writeWhole(path, ['half of it ', 'and the rest']).catch((error: unknown) => error)
  } finally {
    failing.at = null
  }
}

it.each<[Step, string, string]>([
  ['open', 'ENOSPC', 'because the disk is full; make room'],
  ['writeFile', 'ENOSPC', 'because the disk is full; make room'],
  ['writeFile', 'EDQUOT', 'because the disk is full; make room'],
  ['sync', 'ENOSPC', 'because the disk is full; make room'],
  ['close', 'EDQUOT', 'because the disk is full; make room'],
  ['rename', 'ENOSPC', 'because the disk is full; make room'],
  ['writeFile', 'EIO', '(EIO); name another file'],
])('%s that fails with %s leaves the old file alone', async (at, code, words) => {
  const error = await failure(at, code)
  expect(error).toBeInstanceOf(HostError)
  expect((error as HostError).message).toContain(`${path} cannot be written`)
  expect((error as HostError).message).toContain(words)
  expect([readFileSync(path, 'utf8'), readdirSync(folder)]).toEqual(['as it was', ['report.json']])
})

it('and without any of that the new one stands in its place', async () => {
  await writeWhole(path, ['half of it ', 'and the rest'])
  expect([readFileSync(path, 'utf8'), readdirSync(folder)]).toEqual(['half of it and the rest', ['report.json']])
})
