/**
 * Where the project lies, and the few words that all start scripts share.
 *
 * The files of main/start are plain JavaScript with checked types, because they run before anything is installed or built.
 * Whatever they say goes to stderr: stdout belongs to the program they start.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/**
 * A file of the project as import() wants it.
 * @param {string} path  from the project's folder
 */
export function urlOf(path) {
  return new URL(`../../${path}`, import.meta.url).href
}

/** An error that is the user's to mend; its message is all that is shown. */
export class SetupError extends Error {}

/** @param {string} line */
export function say(line) {
  process.stderr.write(`${line}\n`)
}

/**
 * Runs a program from the project's folder with its output on stderr, and answers its exit code; 127 if it would not start.
 * @param {string} file
 * @param {readonly string[]} args
 * @param {{ signal?: AbortSignal, quiet?: boolean }} [options]  quiet: its output is nobody's business
 * @returns {Promise<number>}
 */
export function run(file, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: ROOT, stdio: options.quiet ? 'ignore' : ['ignore', 2, 2], signal: options.signal })
    child.once('error', () => resolve(127))
    child.once('close', (code) => resolve(code ?? 1))
  })
}

/**
 * Prints what went wrong and ends the process: one sentence for what the user can mend, everything for a bug.
 * @param {unknown} error
 * @returns {never}
 */
export function giveUp(error) {
  if (error instanceof SetupError) say(`pageferry: ${error.message}`)
  else say(`pageferry: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  process.exit(1)
}
