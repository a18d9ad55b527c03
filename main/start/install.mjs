/**
 * Makes node_modules agree with package-lock.json, by `npm ci` with install scripts switched off.
 *
 * What is installed is read from npm's own record (node_modules/.package-lock.json): a quick look at the times first, and
 * where those leave a doubt the versions themselves. So a checkout that only touches the lock file installs nothing. Nothing is installed
 * through a link: npm ci would empty what it leads to, which is another checkout's.
 */
import { existsSync, lstatSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { withLock } from './lock.mjs'
import { ROOT, run, SetupError, say } from './project.mjs'

const LOCK = join(ROOT, 'package-lock.json')
const MODULES = join(ROOT, 'node_modules')
const RECORD = join(MODULES, '.package-lock.json')

/**
 * One entry of a lock file's `packages`, as far as it matters here.
 * @typedef {{ version?: string, optional?: boolean, devOptional?: boolean, peer?: boolean, link?: boolean }} Entry
 */

/** Installs if need be; throws SetupError when npm cannot. */
export async function ensureInstalled() {
  if (isInstalled()) return
  if (lstatSync(MODULES, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new SetupError(
      `${MODULES} is a link to packages that do not agree with package-lock.json; install where it leads to, or remove the link and start again.`,
    )
  }
  await withLock('install', async () => {
    if (isInstalled()) return
    say('Installing the packages (npm ci, without install scripts) ...')
    const [file, ...args] = npmCommand()
    const code = await run(file, [...args, 'ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund'])
    if (code !== 0) {
      throw new SetupError(
        `The packages could not be installed: npm ci ended with ${code} (its reason stands above); mend that and start again.`,
      )
    }
  })
}

function isInstalled() {
  // A package installed by npm carries its bundles and has no lock file of its own.
  if (!existsSync(LOCK)) return true
  if (!existsSync(RECORD)) return false
  if (statSync(RECORD).mtimeMs >= statSync(LOCK).mtimeMs) return true
  return agree(packagesOf(LOCK), packagesOf(RECORD))
}

/**
 * Whether everything wanted is there in its version. What is optional may be missing: it may be for another system.
 * @param {Record<string, Entry>} wanted
 * @param {Record<string, Entry>} installed
 */
export function agree(wanted, installed) {
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true
    const found = installed[path]
    if (found === undefined) return entry.optional === true || entry.devOptional === true
    return found.version === entry.version
  })
}

/**
 * @param {string} file
 * @returns {Record<string, Entry>}
 */
function packagesOf(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages ?? {}
}

/**
 * npm as this Node finds it, without a shell.
 * @returns {[string, ...string[]]}
 */
function npmCommand() {
  const bin = dirname(process.execPath)
  const scripts = [
    process.env.npm_execpath ?? '',
    join(bin, 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    join(bin, '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js'),
  ]
  const script = scripts.find((path) => path.endsWith('npm-cli.js') && existsSync(path))
  return script === undefined ? ['npm'] : [process.execPath, script]
}
