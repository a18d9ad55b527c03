/**
 * What the suites of `bench` have in common: a job is driven in slices, with the host breathing and Ctrl-C obeyed at once.
 *
 * A job is a generator that yields what it is at, often; its value is the result. It knows no clock: the host's decides only
 * how often the host breathes and the line of progress is drawn.
 */
import type { CommandContext } from '../command.ts'

export interface Suite {
  /** `published`, as in `bench published`. */
  readonly word: string
  readonly meaning: string
  run(context: CommandContext): Promise<number>
}

export type Job<T> = Generator<string, T, void>

const BREATH_SECONDS = 0.01

/** Runs a job to its end; null: interrupted. */
export async function drive<T>({ host, stop, terminal }: CommandContext, job: Job<T>, before = ''): Promise<T | null> {
  let breathedAt = host.wallSeconds()
  for (;;) {
    const { done, value } = job.next()
    if (done === true) return value
    if (host.wallSeconds() - breathedAt < BREATH_SECONDS) continue
    terminal.status?.(before + value)
    await host.breathe()
    breathedAt = host.wallSeconds()
    if (stop.aborted) return null
  }
}
