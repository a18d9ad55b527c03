/**
 * Builds what is missing or out of date, and nothing else.
 *
 * Each target has the sources it is made of and one stamp beside its output: a hash over path, size and time of every
 * source. A start compares stamp and sources (a few milliseconds for a few hundred files) and builds only when they differ.
 * The output is built in a folder of its own and put in place by renames, entry files last and the stamp after them, so
 * another start sees the old program or the new one and never half of each. Pairs with bundle.mjs, which does the building.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { withLock } from './lock.mjs'
import { ROOT, run, SetupError, say } from './project.mjs'

/**
 * @typedef {object} Target
 * @property {string} title     what is being built, for people
 * @property {string} output    folder of the output
 * @property {readonly string[]} entries  files that others open by name; put in place last
 * @property {readonly string[]} sources  files and folders it is made of
 */

const BUILD_RULES = [
  'main/start/bundle.mjs',
  'main/start/at_once.mjs',
  'main/start/screen_config.mjs',
  'package.json',
  'package-lock.json',
]

/** @type {{ readonly cli: Target, readonly webHost: Target, readonly screen: Target, readonly desktop: Target }} */
export const TARGETS = {
  cli: {
    title: 'the command line program',
    output: 'dist/cli',
    entries: ['search_worker.mjs', 'pageferry.mjs'],
    sources: ['core', 'main/cli', 'main/files', 'main/kernel', 'main/web', ...BUILD_RULES],
  },
  webHost: {
    title: 'the browser host',
    output: 'dist/web',
    entries: ['host.mjs'],
    sources: ['core', 'main/files', 'main/kernel', 'main/web', ...BUILD_RULES],
  },
  screen: {
    title: 'the screen',
    output: 'dist/renderer',
    entries: ['index.html'],
    sources: ['core', 'renderer', ...BUILD_RULES],
  },
  desktop: {
    title: 'the desktop host',
    output: 'out',
    entries: ['main/main.js', 'preload/preload.cjs', 'renderer/index.html'],
    sources: ['core', 'renderer', 'main/desktop', 'main/files', 'main/kernel', 'main/web', 'electron.config.ts', ...BUILD_RULES],
  },
}

/** @typedef {keyof typeof TARGETS} TargetName */

/**
 * Brings a target up to date. Throws SetupError when the sources do not build.
 * @param {TargetName} name
 */
export async function ensureBuilt(name) {
  const target = TARGETS[name]
  if (isFresh(target)) return
  await withLock(`build-${name}`, async () => {
    if (isFresh(target)) return
    say(`Building ${target.title} ...`)
    // Taken before the build: a source that changes meanwhile makes the result out of date, as it should.
    const stamp = fingerprint(target)
    const workplace = join(ROOT, 'dist', '.building', name)
    rmSync(workplace, { recursive: true, force: true })
    const code = await run(process.execPath, [join(ROOT, 'main', 'start', 'bundle.mjs'), name, workplace])
    if (code !== 0)
      throw new SetupError(`${target.title} does not build (the bundler's reason stands above); mend the source and start again.`)
    publish(workplace, target, stamp)
  })
}

/** @param {Target} target */
function isFresh(target) {
  // An installed package has the bundles and not their sources.
  if (!existsSync(join(ROOT, 'core'))) return true
  if (!target.entries.every((entry) => existsSync(join(ROOT, target.output, entry)))) return false
  const stampFile = stampOf(target)
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === fingerprint(target)
}

/** @param {Target} target */
function stampOf(target) {
  return join(ROOT, target.output, '.stamp')
}

/** @param {Target} target */
function fingerprint(target) {
  const hash = createHash('sha256')
  for (const source of target.sources) {
    const path = join(ROOT, source)
    for (const file of filesUnder(path)) {
      const { mtimeMs, size } = statSync(file)
      hash.update(`${file} ${size} ${mtimeMs}\n`)
    }
  }
  return hash.digest('hex')
}

/**
 * @param {string} path
 * @returns {string[]}
 */
function filesUnder(path) {
  if (!existsSync(path)) return []
  if (!statSync(path).isDirectory()) return [path]
  const names = readdirSync(path).filter((name) => !name.startsWith('.'))
  return names.sort().flatMap((name) => filesUnder(join(path, name)))
}

/**
 * Moves what was built into place and removes what the build before left.
 * @param {string} workplace
 * @param {Target} target
 * @param {string} stamp
 */
function publish(workplace, target, stamp) {
  const output = join(ROOT, target.output)
  const built = filesUnder(workplace).map((file) => file.slice(workplace.length + 1).replaceAll('\\', '/'))
  const missing = target.entries.filter((entry) => !built.includes(entry))
  if (missing.length > 0) throw new Error(`The build of ${target.title} made no ${missing.join(', ')}.`)

  const entriesLast = [...built.filter((file) => !target.entries.includes(file)), ...target.entries]
  for (const file of entriesLast) {
    mkdirSync(dirname(join(output, file)), { recursive: true })
    renameSync(join(workplace, file), join(output, file))
  }
  const old = filesUnder(output).filter((file) => !built.includes(file.slice(output.length + 1).replaceAll('\\', '/')))
  for (const file of old) rmSync(file, { force: true })

  writeFileSync(join(workplace, 'stamp'), stamp)
  renameSync(join(workplace, 'stamp'), stampOf(target))
  rmSync(workplace, { recursive: true, force: true })
}
