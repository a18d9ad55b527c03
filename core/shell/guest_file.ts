/**
 * `--guest FILE.pfguest`: a captured process, read before anything runs, as a CPU's file is.
 *
 * Pairs with core/guest/capture_file.ts, which reads it, and with migrate_options.ts: without --mem a captured process gets as much
 * memory as it needs.
 */
import type { Capture } from '../guest/capture.ts'
import { GuestFileError, readCapture } from '../guest/capture_file.ts'
import { parseGuest } from '../guest/catalog.ts'
import { CommandError } from './command.ts'
import type { Host } from './host.ts'

/** What the guest's file holds; null where the guest is none of a file, or no guest at all. */
export async function ownGuest(guest: string, host: Host): Promise<Capture | null> {
  const parsed = parseGuest(guest)
  if (!parsed.ok || parsed.guest.captured === null) return null
  const path = parsed.guest.captured
  try {
    return await readCapture(host.open(path), path)
  } catch (error) {
    throw error instanceof GuestFileError ? new CommandError(error.message) : error
  }
}
