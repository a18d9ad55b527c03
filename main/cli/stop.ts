/**
 * How a process is told to stop: a flag that long work looks at, and a promise for what only waits.
 *
 * One for the process (main.ts), one for each command of the interactive terminal (shell_command.ts).
 */
import type { StopSignal } from '../../core/api/command_line.ts'

export class Stop implements StopSignal {
  #aborted = false
  #resolve: () => void = () => undefined
  readonly whenAborted = new Promise<void>((resolve) => {
    this.#resolve = resolve
  })

  get aborted(): boolean {
    return this.#aborted
  }

  abort(): void {
    this.#aborted = true
    this.#resolve()
  }
}
