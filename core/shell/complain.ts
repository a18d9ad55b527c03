/**
 * What a command throws becomes one sentence and an exit code, wherever the command runs.
 *
 * Only what a user can mend: a CommandError or a HostError. Anything else is a bug and goes on to the host.
 */
import { CommandError, type Terminal } from './command.ts'
import { HostError } from './host.ts'
import { sentence } from './layout.ts'

/** What a host could not do, for a command that has something to say first; null: it did it. Anything else is thrown on. */
export async function troubleOf(work: Promise<void>): Promise<HostError | null> {
  try {
    await work
    return null
  } catch (error) {
    if (error instanceof HostError) return error
    throw error
  }
}

/** Says a user's error in one sentence; anything else is a bug and is thrown on. */
export function complain(error: unknown, who: string, terminal: Terminal): number {
  if (!(error instanceof CommandError || error instanceof HostError)) throw error
  terminal.err(sentence(`${who}${error.message}`))
  return error.exitCode
}
