/**
 * The decisions of the start scripts: which host opens, what counts as installed, what would open a page.
 *
 * Plain functions over plain values; nothing is installed or opened here. Covers main/start and main/web/browser.ts.
 */
import { describe, expect, it } from 'vitest'
import { chooseHosts, forcedHost } from '../../main/start/choose_host.mjs'
import { agree } from '../../main/start/install.mjs'
import { browserCommands } from '../../main/web/browser.ts'

describe('npm start', () => {
  it('takes desktop, then browser, where there is a display', () => {
    for (const env of [{ DISPLAY: ':0' }, { WAYLAND_DISPLAY: 'wayland-0' }]) {
      expect(chooseHosts({ platform: 'linux', env, superuser: false })).toEqual({ order: ['desktop', 'browser'], why: '' })
    }
    expect(chooseHosts({ platform: 'win32', env: {}, superuser: false }).order).toEqual(['desktop', 'browser'])
    expect(chooseHosts({ platform: 'darwin', env: {}, superuser: false }).order).toEqual(['desktop', 'browser'])
  })

  it('takes the terminal where there is none, and says why', () => {
    expect(chooseHosts({ platform: 'linux', env: {}, superuser: true })).toEqual({
      order: ['terminal'],
      why: 'There is no display (neither DISPLAY nor WAYLAND_DISPLAY is set).',
    })
    expect(
      chooseHosts({ platform: 'darwin', env: { SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22' }, superuser: false }).order,
    ).toEqual(['terminal'])
  })

  it('never runs Electron without its sandbox: root gets the browser', () => {
    const choice = chooseHosts({ platform: 'linux', env: { DISPLAY: ':0' }, superuser: true })
    expect(choice.order).toEqual(['browser'])
    expect(choice.why).toContain('sandbox')
  })

  it('lets one host be forced', () => {
    expect(forcedHost([])).toBeNull()
    expect(forcedHost(['--host=browser'])).toBe('browser')
    expect(forcedHost(['--host', 'terminal'])).toBe('terminal')
  })

  it.each([[['--host=phone']], [['--host']], [['--hots=browser']], [['browser']], [['--host=browser', 'more']]])(
    'refuses %j in one sentence that names the hosts',
    (args) =>
      expect(() => forcedHost(args)).toThrow(/^npm start does not know .*--host=desktop, --host=browser, --host=terminal/),
  )
})

describe('what is installed', () => {
  const wanted = {
    '': { version: '0.1.0' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/b': { version: '2.0.0', optional: true },
  }

  it('agrees with the lock file when all versions are there', () => {
    expect(agree(wanted, { 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '2.0.0' } })).toBe(true)
  })

  it('may lack what is for another system', () => expect(agree(wanted, { 'node_modules/a': { version: '1.0.0' } })).toBe(true))

  it('disagrees when a package is missing or another version', () => {
    expect(agree(wanted, {})).toBe(false)
    expect(agree(wanted, { 'node_modules/a': { version: '1.0.1' } })).toBe(false)
    expect(agree(wanted, { 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.9.0' } })).toBe(false)
  })
})

describe('opening a page', () => {
  const url = 'http://127.0.0.1:4173/'
  const on = (platform: NodeJS.Platform, files: readonly string[], superuser = false) =>
    browserCommands(url, {
      platform,
      env: { PATH: '/usr/local/bin:/usr/bin', PROGRAMFILES: 'C:\\Program Files' },
      superuser,
      exists: (path) => files.includes(path),
    })

  it('prefers a Chromium in a window of its own', () => {
    expect(on('linux', ['/usr/bin/chromium', '/usr/local/bin/google-chrome'])).toEqual([
      { name: 'chromium', file: '/usr/bin/chromium', args: [`--app=${url}`] },
      { name: 'google-chrome', file: '/usr/local/bin/google-chrome', args: [`--app=${url}`] },
      { name: 'the default browser', file: 'xdg-open', args: [url] },
    ])
    const chrome = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'
    expect(on('darwin', [chrome])[0]).toEqual({ name: 'Google Chrome', file: chrome, args: [`--app=${url}`] })
    const edge = 'C:\\Program Files\\Microsoft\\Edge\\Application\\msedge.exe'
    expect(on('win32', [edge])[0]).toEqual({ name: 'Edge', file: edge, args: [`--app=${url}`] })
  })

  it('falls back on the default browser', () => {
    expect(on('linux', [])).toEqual([{ name: 'the default browser', file: 'xdg-open', args: [url] }])
    expect(on('darwin', [])).toEqual([{ name: 'the default browser', file: 'open', args: [url] }])
  })

  it('starts nothing for root, whose arguments another user would read', () => {
    for (const platform of ['linux', 'darwin'] as const) expect(on(platform, ['/usr/bin/chromium'], true)).toEqual([])
  })
})
