/**
 * Finds a Chromium for the tests, or installs one.
 *
 * In order: the one named by PAGEFERRY_CHROMIUM, one on the system, Playwright's own. Where there is none, the system's
 * package manager installs it (Debian's, for root), else Playwright does. Tests read the path from PAGEFERRY_CHROMIUM, which
 * test.mjs sets, or ask findChromium themselves.
 */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { ROOT, run, say } from './project.mjs'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** @returns {Promise<string | null>} */
export async function findChromium() {
  const named = process.env.PAGEFERRY_CHROMIUM
  if (named) return existsSync(named) ? named : null
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin'].filter((folder) => folder !== '')
  const onSystem = NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path))
  if (onSystem !== undefined) return onSystem
  const { chromium } = await import('playwright-core')
  const own = chromium.executablePath()
  return existsSync(own) ? own : null
}

/** The path, installed if need be, or null where nothing helped. */
export async function ensureChromium() {
  const found = await findChromium()
  if (found !== null) return found
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    say('Installing Chromium from the system packages ...')
    await run('apt-get', ['update'])
    await run('apt-get', ['install', '--yes', '--no-install-recommends', 'chromium'])
  }
  const installed = await findChromium()
  if (installed !== null) return installed
  say("Installing Playwright's Chromium ...")
  await run(process.execPath, [join(ROOT, 'node_modules', 'playwright-core', 'cli.js'), 'install', 'chromium'])
  return findChromium()
}
