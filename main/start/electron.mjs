/**
 * Finds Electron's binary, or fetches it, without ever importing the package: that alone would start a download.
 *
 * The fetch is Electron's own installer in a process of its own. It may take as long as it likes once the release server has
 * answered, or when the archive is in the user's cache; where there is no way to the server, it is ended after five seconds.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, run, say } from './project.mjs'

const FOLDER = join(ROOT, 'node_modules', 'electron')
const PATIENCE_MS = 5_000
const RELEASES = 'https://github.com/electron/electron/releases/download/'

/** The binary that fits the installed package, or null. */
export function findElectron() {
  const pathFile = join(FOLDER, 'path.txt')
  const folder = process.env.ELECTRON_OVERRIDE_DIST_PATH ?? join(FOLDER, 'dist')
  if (process.env.ELECTRON_OVERRIDE_DIST_PATH === undefined && installedVersion() !== wantedVersion()) return null
  const binary = join(folder, existsSync(pathFile) ? readFileSync(pathFile, 'utf8') : 'electron')
  return existsSync(binary) ? binary : null
}

/** The binary, fetched if need be, or null after at most five seconds without a way to it. */
export async function ensureElectron() {
  const found = findElectron()
  if (found !== null || !existsSync(FOLDER)) return found
  say('Fetching Electron ...')
  const stop = new AbortController()
  // Quiet, because without a network it ends in a stack trace; the caller says in a sentence that there is no Electron.
  const installed = run(process.execPath, [join(FOLDER, 'install.js')], { signal: stop.signal, quiet: true })
  const giveUp = setTimeout(() => stop.abort(), PATIENCE_MS)
  releaseServerAnswers().then((yes) => {
    if (yes) clearTimeout(giveUp)
  })
  await installed
  clearTimeout(giveUp)
  return findElectron()
}

function installedVersion() {
  const file = join(FOLDER, 'dist', 'version')
  return existsSync(file) ? readFileSync(file, 'utf8').trim().replace(/^v/, '') : null
}

function wantedVersion() {
  const file = join(FOLDER, 'package.json')
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : undefined
}

async function releaseServerAnswers() {
  const server = process.env.npm_config_electron_mirror ?? process.env.ELECTRON_MIRROR ?? RELEASES
  try {
    await fetch(server, { method: 'HEAD', redirect: 'manual', signal: AbortSignal.timeout(PATIENCE_MS) })
    return true
  } catch {
    return false
  }
}
