/**
 * Where things are kept from one run to the next: history, the host's calibration.
 *
 * Source: XDG Base Directory Specification 0.8, $XDG_STATE_HOME
 */
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

export function stateFolder(env: NodeJS.ProcessEnv): string {
  // The XDG rule: a path that is not absolute counts as none.
  const given = env.XDG_STATE_HOME
  const state = given !== undefined && isAbsolute(given) ? given : join(homedir(), '.local', 'state')
  return join(state, 'pageferry')
}
