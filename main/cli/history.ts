/**
 * The lines typed into the interactive terminal, kept from one session to the next in the user's state folder.
 *
 * A history that cannot be read or written is no reason to stop anybody from working: it is then just not kept.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { stateFolder } from './state_folder.ts'

export const HISTORY_LINES = 1000

export function historyPath(env: NodeJS.ProcessEnv): string {
  return join(stateFolder(env), 'history')
}

/** Newest first, as readline wants it. */
export function loadHistory(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .slice(-HISTORY_LINES)
      .reverse()
  } catch {
    return []
  }
}

/** `lines` newest first. A line that begins with a space is not kept. */
export function saveHistory(path: string, lines: readonly string[]): void {
  const kept = lines
    .filter((line) => line.trim() !== '' && !line.startsWith(' '))
    .slice(0, HISTORY_LINES)
    .reverse()
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(`${path}.${process.pid}`, kept.map((line) => `${line}\n`).join(''), { mode: 0o600 })
    renameSync(`${path}.${process.pid}`, path)
  } catch {
    // Not kept, then.
  }
}
