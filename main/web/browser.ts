/**
 * Opens a page in a browser of this machine, without a shell in between.
 *
 * A Chromium of any make comes first, as a window of its own without tabs; then the system's default browser. What would be started
 * is decided by plain functions (browserCommands), so that it can be tested; openBrowser tries one after the other and says
 * which it was.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface BrowserCommand {
  /** Shown to people: `chromium`, `the default browser`. */
  readonly name: string
  readonly file: string
  readonly args: readonly string[]
}

export interface Surroundings {
  readonly platform: NodeJS.Platform
  readonly env: Readonly<Record<string, string | undefined>>
  readonly superuser: boolean
  exists(path: string): boolean
}

const CHROMIUM_NAMES = [
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  'microsoft-edge',
  'brave-browser',
]
const MAC_APPS = ['Chromium', 'Google Chrome', 'Microsoft Edge', 'Brave Browser']
const WINDOWS_PROGRAMS = ['Google\\Chrome\\Application\\chrome.exe', 'Microsoft\\Edge\\Application\\msedge.exe']

/** How long a browser must live to count as opened; a hand-over to a running one ends well within it, with code 0. */
const SETTLE_MS = 1_500

/** What could show `url`, best first. */
export function browserCommands(url: string, here: Surroundings): BrowserCommand[] {
  // Not for the superuser: the screen belongs to another user, who would read the token among the arguments (peer.ts), and a Chromium
  // would need --no-sandbox.
  if (here.superuser) return []
  return [...chromiumCommands(url, here), ...defaultCommands(url, here.platform)]
}

/** Opens `url`; answers the browser's name, or null when none would start. */
export async function openBrowser(url: string, here: Surroundings = surroundings()): Promise<string | null> {
  for (const command of browserCommands(url, here)) {
    if (await starts(command)) return command.name
  }
  return null
}

export function surroundings(): Surroundings {
  return { platform: process.platform, env: process.env, superuser: process.getuid?.() === 0, exists: existsSync }
}

function chromiumCommands(url: string, here: Surroundings): BrowserCommand[] {
  return chromiumFiles(here).map(({ name, file }) => ({ name, file, args: [`--app=${url}`] }))
}

function chromiumFiles(here: Surroundings): { name: string; file: string }[] {
  if (here.platform === 'darwin') {
    return MAC_APPS.map((name) => ({ name, file: `/Applications/${name}.app/Contents/MacOS/${name}` })).filter((c) =>
      here.exists(c.file),
    )
  }
  if (here.platform === 'win32') {
    const roots = [here.env.PROGRAMFILES, here.env['PROGRAMFILES(X86)'], here.env.LOCALAPPDATA].filter((r) => r !== undefined)
    return WINDOWS_PROGRAMS.flatMap((program) =>
      roots.map((root) => ({ name: program.split('\\')[1] ?? program, file: `${root}\\${program}` })),
    ).filter((c) => here.exists(c.file))
  }
  const folders = (here.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return CHROMIUM_NAMES.flatMap((name) => {
    const file = folders.map((folder) => join(folder, name)).find((path) => here.exists(path))
    return file === undefined ? [] : [{ name, file }]
  })
}

function defaultCommands(url: string, platform: NodeJS.Platform): BrowserCommand[] {
  const name = 'the default browser'
  if (platform === 'darwin') return [{ name, file: 'open', args: [url] }]
  if (platform === 'win32') return [{ name, file: 'rundll32', args: ['url.dll,FileProtocolHandler', url] }]
  return [{ name, file: 'xdg-open', args: [url] }]
}

function starts(command: BrowserCommand): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(command.file, command.args, { stdio: 'ignore', detached: true })
    const timer = setTimeout(() => settle(true), SETTLE_MS)
    function settle(good: boolean): void {
      clearTimeout(timer)
      child.unref()
      resolve(good)
    }
    child.once('error', () => settle(false))
    child.once('exit', (code) => settle(code === 0))
  })
}
