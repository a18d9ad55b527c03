/**
 * A machine as the coordinator sees it: a child process, the orders that it is given, and what it says.
 *
 * However it ends, it is known: `ended` has the sentence. `kill` is SIGKILL, which also ends a thread that sleeps on a page.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { News, Order, Side } from './setup.ts'

export type NewsOf<N extends News['news']> = Extract<News, { news: N }>

export class MachineProcess {
  /** How it ended; null: it lives. */
  ended: string | null = null
  /** A thread of it failed; one sentence. */
  failed: string | null = null
  readonly #child: ChildProcess
  readonly #news: News[] = []
  #errors = ''
  #wake: () => void = () => undefined

  constructor(
    readonly side: Side,
    /** Shared memory, for its descriptors 4 and up. */
    fds: readonly number[],
    program = fileURLToPath(new URL('kernel_machine.mjs', import.meta.url)),
  ) {
    // What the machine prints is nobody's data; what Node prints when it dies is kept for the account.
    this.#child = fork(program, { stdio: ['ignore', 'ignore', 'pipe', 'ipc', ...fds], execArgv: [] })
    this.#child.stderr?.on('data', (bytes: Uint8Array) => {
      this.#errors = (this.#errors + String(bytes)).slice(-2000)
    })
    this.#child.on('message', (news) => this.#hear(news as News))
    this.#child.on('error', (error) => this.#end(`it could not be started (${error.message})`))
    this.#child.on('exit', (code, signal) =>
      this.#end(signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`),
    )
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  /** What Node printed when it died; for whoever has to find out. */
  get errors(): string {
    return this.#errors
  }

  #hear(news: News): void {
    if (news.news === 'failed') this.failed ??= news.why
    this.#news.push(news)
    this.#wake()
  }

  #end(how: string): void {
    this.ended ??= how
    this.#wake()
  }

  tell(order: Order): void {
    if (this.ended === null && this.#child.connected) this.#child.send(order, () => undefined)
  }

  /** Takes the first news of that kind, or null: there is none yet. */
  news<N extends News['news']>(kind: N): NewsOf<N> | null {
    const at = this.#news.findIndex(({ news }) => news === kind)
    return at < 0 ? null : (this.#news.splice(at, 1)[0] as NewsOf<N>)
  }

  /** Resolves when it says something, or ends; in any case after `ms`. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.ended !== null) return
    this.#child.kill('SIGKILL')
    while (this.ended === null) await this.wait(100)
  }
}
