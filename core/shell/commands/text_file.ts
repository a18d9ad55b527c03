/**
 * Small text files that a command reads whole: checkpoints, schedules. They are ASCII, so no decoder is needed.
 *
 * What is read is bounded, since a path may name anything. Pairs with asciiJson (base/ascii.ts), which writes such files.
 */
import { asciiText } from '../../base/ascii.ts'
import { CommandError } from '../command.ts'
import { type Host, HostError } from '../host.ts'

/** Null where there is no such file. */
export async function readText(path: string, host: Host, mostBytes: number): Promise<string | null> {
  const parts: string[] = []
  let length = 0
  try {
    for await (const block of host.open(path)) {
      length += block.length
      if (length > mostBytes) throw new CommandError(`${path} is larger than ${mostBytes} bytes; name another file`)
      parts.push(asciiText(block))
    }
  } catch (error) {
    if (error instanceof HostError && error.isMissing) return null
    throw error
  }
  return parts.join('')
}
