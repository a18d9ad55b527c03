/**
 * The desktop's decisions: what app:// serves, what a page may ask for, which keys the menu takes.
 *
 * Plain functions without Electron; electron.test.ts in test/e2e sees them at work. Covers main/desktop.
 */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { APP_ORIGIN, APP_START_URL, answerAppUrl } from '../../main/desktop/app_url.ts'
import { type MenuEntry, menuTemplate } from '../../main/desktop/menu.ts'
import { isPermitted } from '../../main/desktop/permissions.ts'
import { type Site, scanSite } from '../../main/web/site.ts'
import { makeSiteFolder, type SiteFolder } from './site_folder.ts'

let folder: SiteFolder
let site: Site

beforeAll(async () => {
  folder = makeSiteFolder()
  site = await scanSite(folder.root)
})

afterAll(() => folder.remove())

function statusOf(method: string, url: string): number {
  const answer = answerAppUrl(site, method, url)
  return answer.kind === 'file' ? 200 : answer.status
}

describe('app://', () => {
  it('serves the page it starts with, and its files', () => {
    expect(answerAppUrl(site, 'GET', APP_START_URL)).toEqual({
      kind: 'file',
      file: join(folder.root, 'index.html'),
      sitePath: '/index.html',
      withBody: true,
    })
    expect(answerAppUrl(site, 'HEAD', `${APP_ORIGIN}/assets/index-3f2a.js?v=1#x`)).toMatchObject({
      kind: 'file',
      withBody: false,
    })
    expect(statusOf('GET', `${APP_ORIGIN}/`)).toBe(200)
  })

  it.each([
    '/../secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e/secret.txt',
    '/..%5csecret.txt',
    '/up/secret.txt',
    '/link.txt',
    '/assets',
  ])('answers 404 to %s', (path) => expect(statusOf('GET', APP_ORIGIN + path)).toBe(404))

  it.each(['app://elsewhere/index.html', 'app://pageferry:1/index.html', 'https://pageferry/index.html', 'file:///etc/passwd'])(
    'answers 403 to %s, another origin',
    (url) => expect(statusOf('GET', url)).toBe(403),
  )

  it('answers only what reads', () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
      expect([method, statusOf(method, APP_START_URL)]).toEqual([method, 405])
  })

  it('answers 400 to what is no address', () => {
    expect([statusOf('GET', 'index.html'), statusOf('GET', `${APP_ORIGIN}/%ff`)]).toEqual([400, 400])
  })
})

describe('permissions', () => {
  it('let the own page write text to the clipboard', () => {
    expect([
      isPermitted('clipboard-sanitized-write', 'app://pageferry'),
      isPermitted('clipboard-sanitized-write', 'app://pageferry/'),
    ]).toEqual([true, true])
  })

  it('deny that to any other origin', () => {
    for (const origin of ['', 'null', 'app://elsewhere', 'https://pageferry', 'app://pageferry.elsewhere']) {
      expect([origin, isPermitted('clipboard-sanitized-write', origin)]).toEqual([origin, false])
    }
  })

  it('deny everything else', () => {
    for (const permission of [
      'clipboard-read',
      'media',
      'geolocation',
      'notifications',
      'openExternal',
      'usb',
      'fileSystem',
      'unknown',
    ]) {
      expect([permission, isPermitted(permission, APP_ORIGIN)]).toEqual([permission, false])
    }
  })
})

describe('the menu', () => {
  /** Keys that Chromium or Electron give a role when an item names none. */
  const OWN_KEY: Readonly<Record<string, string>> = {
    copy: 'C',
    cut: 'X',
    minimize: 'M',
    paste: 'V',
    redo: 'Y',
    selectAll: 'A',
    undo: 'Z',
  }

  function items(entries: readonly MenuEntry[]): MenuEntry[] {
    return entries.flatMap((entry) => [entry, ...items(entry.submenu ?? [])])
  }

  it.each(['linux', 'win32'] as const)('takes no Ctrl key from the terminal on %s', (platform) => {
    const taken = items(menuTemplate(platform))
      .filter((entry) => entry.registerAccelerator !== false)
      .flatMap((entry) => entry.accelerator ?? OWN_KEY[entry.role ?? ''] ?? [])
    expect(taken.sort()).toEqual(['CommandOrControl+Q', 'CommandOrControl+Shift+0'])
  })

  it.each(['linux', 'win32', 'darwin'] as const)('can quit, copy and zoom on %s', (platform) => {
    const roles = items(menuTemplate(platform)).map((entry) => entry.role)
    expect(roles).toEqual(expect.arrayContaining(['quit', 'copy', 'zoomIn', 'zoomOut', 'resetZoom']))
  })

  it('leaves Command to the menu on macOS, where the terminal has Ctrl', () => {
    expect(items(menuTemplate('darwin')).some((entry) => entry.registerAccelerator === false)).toBe(false)
  })
})
