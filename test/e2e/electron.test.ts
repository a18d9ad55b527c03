/**
 * The desktop host, driven by Playwright: the page is isolated, knows its host, shows the screen, and finds every way out shut.
 *
 * Skipped by name where Electron's binary is missing (`npx install-electron` fetches it) or the user is root, for whom its
 * sandbox does not start. Needs a display, and the build in out/ that `npm test` makes. Covers main/desktop.
 */
import { fileURLToPath } from 'node:url'
import { _electron, type ElectronApplication, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findElectron } from '../../main/start/electron.mjs'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const binary = findElectron()
const obstacle = whyNot()

let app: ElectronApplication
let page: Page
const complaints: string[] = []

function whyNot(): string | null {
  if (binary === null) return "Electron's binary is missing; `npx install-electron` fetches it"
  if (process.platform !== 'linux') return null
  if (process.getuid?.() === 0) return "Electron's sandbox does not start for root"
  if (!process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return 'there is no display; run it under xvfb-run'
  return null
}

beforeAll(async () => {
  if (obstacle !== null || binary === null) return
  app = await _electron.launch({ executablePath: binary, args: [ROOT] })
  app.context().on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  app.context().on('weberror', (error) => complaints.push(error.error().message))
  page = await app.firstWindow()
})

afterAll(async () => {
  await app?.close()
})

describe('the desktop host', () => {
  const claim = (name: string, test: () => Promise<void>) =>
    it(name, async (context) => {
      context.skip(obstacle !== null, obstacle ?? '')
      await test()
    })

  claim('shows source and destination', async () => {
    await page.getByRole('region', { name: 'Source', exact: true }).waitFor()
    await page.getByRole('region', { name: 'Destination', exact: true }).waitFor()
    expect(await page.title()).toContain('Pageferry')
  })

  claim('serves a cross-origin isolated page from app://', async () => {
    expect(await page.evaluate(() => [window.crossOriginIsolated, window.origin])).toEqual([true, 'app://pageferry'])
  })

  claim('tells the page its host and gives it neither Node nor Electron', async () => {
    expect(await page.evaluate(() => Reflect.get(window, 'pageferryHost'))).toEqual({
      kind: 'desktop',
      platform: process.platform,
    })
    expect(await page.evaluate(() => ['require', 'process', 'module', 'Buffer'].filter((name) => name in window))).toEqual([])
  })

  claim('opens no window and goes nowhere', async () => {
    expect(await page.evaluate(() => window.open('https://example.com/') === null)).toBe(true)
    await page.evaluate(() => window.location.assign('https://example.com/'))
    expect(await page.evaluate(() => window.location.origin)).toBe('app://pageferry')
    expect(app.windows()).toHaveLength(1)
  })

  claim('denies what a page may not ask for', async () => {
    expect(await page.evaluate(async () => (await navigator.permissions.query({ name: 'geolocation' })).state)).toBe('denied')
  })

  claim('serves no file outside the screen', async () => {
    expect(await page.evaluate(async () => (await fetch('/..%2f..%2fpackage.json')).status)).toBe(404)
  })

  claim('logs no error', async () => {
    // The two refusals above are logged by Chromium itself.
    expect(complaints.filter((text) => !/404|ERR_/.test(text))).toEqual([])
  })
})
