/**
 * Calibrates this host: starts the process that measures, passes on how far it is, and ends it when told to stop or when it takes too long.
 *
 * Pairs with calibrate_process.ts.
 */
import { fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Calibration } from '../../../core/hw/calibration.ts'
import { HostError } from '../../../core/shell/host.ts'
import type { CalibrateOptions } from '../../../core/shell/host_kernel.ts'
import { NotPermitted } from '../sys/errors.ts'
import { libc } from '../sys/libc.ts'
import type { CalibrateMessage } from './calibrate_process.ts'

/** A pass takes a few seconds; so long for each of them. */
const PASS_LIMIT_MS = 120_000
const LOOK_MS = 50
/** Beside the program that is bundled; or in the bundle, beside the sources. */
const PROGRAMS = ['calibrate_process.mjs', '../../../dist/cli/calibrate_process.mjs']

/** Null: stopped before the end. Throws NotPermitted or HostError. */
export async function calibrate({ passes, onProgress, stop }: CalibrateOptions): Promise<Calibration | null> {
  // Where nothing can be measured this says so, without another process.
  libc()
  const child = fork(program(), [String(passes)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], serialization: 'json' })
  let complaint = ''
  child.stderr?.on('data', (text) => {
    complaint = `${complaint}${text}`.slice(-2000)
  })
  const limitMs = passes * PASS_LIMIT_MS
  const startedAt = performance.now()
  let look: NodeJS.Timeout | null = null
  try {
    return await new Promise((resolve, reject) => {
      child.on('message', (message: CalibrateMessage) => {
        if (message.kind === 'progress') onProgress(message.done / message.of, message.name)
        else if (message.kind === 'found') resolve(message.calibration)
        else
          reject(message.notPermitted ? new NotPermitted(message.why) : new HostError(`the calibration failed: ${message.why}`))
      })
      child.on('error', (error) => reject(new HostError(`the calibration cannot be started: ${error.message}`)))
      child.on('exit', (code, signal) => {
        // Ctrl-C goes to the whole group.
        if (stop.aborted) return resolve(null)
        const how = signal ?? `exit code ${code}`
        reject(new HostError(`the calibration ended with ${how}: ${complaint.trim() || 'it said nothing'}`))
      })
      look = setInterval(() => {
        if (stop.aborted) resolve(null)
        else if (performance.now() - startedAt > limitMs)
          reject(new HostError(`the calibration took more than ${limitMs / 1000} s; try again when the machine is less busy`))
      }, LOOK_MS)
    })
  } finally {
    if (look !== null) clearInterval(look)
    child.kill('SIGKILL')
  }
}

function program(): string {
  const paths = PROGRAMS.map((name) => fileURLToPath(new URL(name, import.meta.url)))
  const found = paths.find((path) => existsSync(path))
  if (found === undefined) throw new HostError(`${paths[0]} is missing; build the program once: npm run -s pageferry -- version`)
  return found
}
