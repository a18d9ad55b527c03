/**
 * Long work of a command in slices: after each of them the host breathes, and Ctrl-C is heard.
 *
 * Work is a generator that yields often; what it yields is nobody's business here. Where it is stopped it is left where it stands.
 */
import type { CommandContext } from './command.ts'

const SLICE_SECONDS = 0.02

/** Null: it was stopped. */
export async function inSlices<T>(
  work: Generator<unknown, T>,
  { host, stop }: Pick<CommandContext, 'host' | 'stop'>,
): Promise<T | null> {
  let breathedAt = host.wallSeconds()
  for (;;) {
    const { done, value } = work.next()
    if (done === true) return value
    if (host.wallSeconds() - breathedAt < SLICE_SECONDS) continue
    await host.breathe()
    if (stop.aborted) {
      work.return(value as T)
      return null
    }
    breathedAt = host.wallSeconds()
  }
}
