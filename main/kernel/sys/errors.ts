/**
 * The two ways in which the host's kernel says no.
 *
 * KernelError: a system call failed, with its errno's name. NotPermitted: this host cannot do what was asked at all, in one sentence
 * with the remedy; a command ends with 126 then.
 */

export class KernelError extends Error {
  override readonly name = 'KernelError'
  constructor(
    readonly call: string,
    readonly errno: number,
    readonly code: string,
  ) {
    super(`${call}: ${code}`)
  }
}

export class NotPermitted extends Error {
  override readonly name = 'NotPermitted'
}
