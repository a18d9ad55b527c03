/**
 * Where this host's calibration is kept, and what it must be of to be used: this release of the kernel, and this CPU.
 * The folder is the user's own for what a program wants to keep (main/cli/state_folder.ts).
 */
import { mkdir, readFile, stat } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { HostError } from '../../../core/shell/host.ts'
import { stateFolder } from '../../cli/state_folder.ts'
import { writeWhole } from '../../files/whole_file.ts'
import { hostCpu } from './host_cpu.ts'

const LARGEST_BYTES = 2 ** 20
/** As the rule for such folders is. */
const OWN_FOLDER = 0o700
const OWN_FILE = 0o600

export async function calibrationPath(): Promise<string> {
  const folder = stateFolder(process.env)
  try {
    await mkdir(folder, { recursive: true, mode: OWN_FOLDER })
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error)
    throw new HostError(
      `${folder} cannot be made (${code}); set XDG_STATE_HOME to a folder that can be written, or name a file with --output`,
    )
  }
  return join(folder, 'calibration.json')
}

/** A file that is missing or too large for one is none. */
export async function keptCalibration(): Promise<string | null> {
  const path = await calibrationPath()
  const found = await stat(path).catch(() => null)
  return found !== null && found.size <= LARGEST_BYTES ? readFile(path, 'utf8') : null
}

export async function keepCalibration(text: string): Promise<void> {
  await writeWhole(await calibrationPath(), [text], OWN_FILE)
}

export function identity() {
  return { release: release(), cpu: hostCpu() }
}
