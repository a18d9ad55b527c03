/**
 * Gathers what a command prints while the previous batch is on its way to the terminal, and keeps the order of the two
 * streams. The receiver's answer is the back-pressure: at most one batch is under way.
 */
import type { CommandOutput } from '../core/api/protocol.ts'

type Stream = 'out' | 'err'

export class OutputBatcher implements CommandOutput {
  readonly #waiting: { stream: Stream; text: string }[] = []
  readonly #receiver: CommandOutput
  #sending: Promise<void> | null = null

  /** Behind comlink the receiver's calls return promises, whatever their type says here. */
  constructor(receiver: CommandOutput) {
    this.#receiver = receiver
  }

  out(text: string): void {
    this.#add('out', text)
  }

  err(text: string): void {
    this.#add('err', text)
  }

  /** Resolves when everything printed so far has been taken. */
  async flushed(): Promise<void> {
    while (this.#sending) await this.#sending
  }

  #add(stream: Stream, text: string): void {
    const last = this.#waiting.at(-1)
    if (last?.stream === stream) last.text += text
    else this.#waiting.push({ stream, text })
    this.#sending ??= this.#send()
  }

  async #send(): Promise<void> {
    // Let the command print some more before the first batch leaves.
    await Promise.resolve()
    for (let batch = this.#waiting.shift(); batch; batch = this.#waiting.shift()) {
      await (batch.stream === 'out' ? this.#receiver.out(batch.text) : this.#receiver.err(batch.text))
    }
    this.#sending = null
  }
}
