/**
 * A process that ends with the one that forked it, whatever ends that: by a signal of the kernel's, and by the channel that closes.
 *
 * SIGKILL, which needs nobody's attention: a thread that sleeps on a missing page, or that measures, cannot be asked.
 * Source: man 2 PR_SET_PDEATHSIG
 */
import { libc } from './libc.ts'

const PR_SET_PDEATHSIG = 1
const SIGKILL = 9

export function endWithParent(): void {
  libc().prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
  // It may have ended before that.
  if (!process.connected) endAtOnce()
  process.on('disconnect', endAtOnce)
}

function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL')
}
