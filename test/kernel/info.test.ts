/**
 * `kernel info`, and what a command of the real kernel says to a user who may not use userfaultfd: one sentence, the remedy, and exit 126.
 *
 * Needs Linux with userfaultfd permitted, by the capability alone, which is then taken away; skipped by name elsewhere.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kernelInfo } from '../../main/kernel/info.ts'
import { ensureBuilt } from '../../main/start/fresh.mjs'
import { named, noKernel } from './host.ts'

const WITHOUT_PTRACE = fileURLToPath(new URL('without_ptrace.mjs', import.meta.url))
const SYSCTL = '/proc/sys/vm/unprivileged_userfaultfd'
const everybodyMay = existsSync(SYSCTL) && readFileSync(SYSCTL, 'utf8').trim() === '1'
const ANSWER =
  /^pageferry (kernel info|kernel migrate|kernel calibrate|conform): userfaultfd is not permitted here \(EPERM\); (run as root, or allow it with: sysctl|root has no capability SYS_PTRACE here).*\.\n$/

let folder = ''
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pageferry-info-'))
  await ensureBuilt('cli')
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true }))

function unprivileged(...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [WITHOUT_PTRACE, 'dist/cli/pageferry.mjs', ...words], {
    encoding: 'utf8',
    env: { ...process.env, XDG_STATE_HOME: folder },
  })
  return { status, stdout, stderr }
}

describe.skipIf(noKernel !== null || everybodyMay)(named('a user without the capability'), () => {
  it('is told what the kernel can do all the same, and how to be permitted', () => {
    const { status, stdout, stderr } = unprivileged('kernel', 'info', '--json')
    expect(status).toBe(126)
    expect(stderr).toMatch(ANSWER)
    expect(JSON.parse(stdout)).toEqual({ ...kernelInfo(), permitted: false, why: expect.stringContaining('EPERM') })
  })

  it.each([
    ['kernel', 'migrate', '--mem', '16M'],
    ['kernel', 'calibrate'],
    ['conform', '--on', 'kernel', 'api'],
    ['conform', '--random', '2'],
  ])('gets one sentence and 126 from %s %s', (...words) => {
    const { status, stdout, stderr } = unprivileged(...words)
    expect([status, stdout]).toEqual([126, ''])
    expect(stderr).toMatch(ANSWER)
  })
})
