/**
 * Small text files that a command reads whole: checkpoints, schedules. They are ASCII, so no decoder is needed.
 *
 * What is read is bounded, since a path may name anything. Pairs with asciiJson, which writes such files.
 */
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
      for (let at = 0; at < block.length; at += 4096) parts.push(String.fromCharCode(...block.subarray(at, at + 4096)))
    }
  } catch (error) {
    if (error instanceof HostError && error.isMissing) return null
    throw error
  }
  return parts.join('')
}

/** JSON in ASCII: other characters are escaped. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u0080-\uffff]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
