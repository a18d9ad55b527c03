/**
 * One at a time: a lock between processes, for work that two starts of a fresh clone would otherwise do at once.
 *
 * The lock is a file with its holder's process id. A holder that died leaves the file behind; whoever waits sees that no
 * such process lives and takes the lock over. Two waiters may do so in the same instant and then both work: the builds
 * are put in place by renames, so even that ends well.
 */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROOT, say } from './project.mjs'

const FOLDER = join(ROOT, 'dist', '.locks')
const POLL_MS = 100
/** The file is empty for a moment between being made and being written. */
const EMPTY_GRACE_MS = 5_000

/**
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(name, work) {
  mkdirSync(FOLDER, { recursive: true })
  const file = join(FOLDER, name)
  for (let waited = 0; !take(file); waited++) {
    if (isAbandoned(file)) rmSync(file, { force: true })
    else if (waited === 10) say(`Another start is busy with the same work (${name}); waiting for it.`)
    await sleep(POLL_MS)
  }
  try {
    return await work()
  } finally {
    rmSync(file, { force: true })
  }
}

/** @param {string} file */
function take(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** @param {string} file */
function isAbandoned(file) {
  try {
    const holder = Number(readFileSync(file, 'utf8'))
    if (holder === 0) return Date.now() - statSync(file).mtimeMs > EMPTY_GRACE_MS
    process.kill(holder, 0)
    return false
  } catch (error) {
    // ESRCH: no such process. ENOENT: given back meanwhile. EPERM: it lives and is another user's.
    return codeOf(error) === 'ESRCH'
  }
}

/** @param {unknown} error */
function codeOf(error) {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
