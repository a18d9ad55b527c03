/**
 * A Host whose files are in memory, and a Terminal that remembers what was written: for tests that run commands.
 * Nothing can be written below /readonly, and what is written below /full does not fit there.
 */
import type { Terminal } from '../../core/shell/command.ts'
import { type Host, HostError } from '../../core/shell/host.ts'

export class MemoryHost implements Host {
  readonly files = new Map<string, Uint8Array>()
  readonly platform = 'memory'
  #seconds = 0

  constructor(files: Record<string, string> = {}) {
    for (const [path, text] of Object.entries(files)) this.files.set(path, new TextEncoder().encode(text))
  }

  async *open(path: string): AsyncGenerator<Uint8Array> {
    const bytes = this.files.get(path)
    if (bytes === undefined) throw new HostError(`there is no file ${path}`, 1, true)
    // Small blocks, so that lines are cut in the middle.
    for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000)
  }

  async write(path: string, chunks: Iterable<string>): Promise<void> {
    await this.checkWritable(path)
    let text = ''
    for (const chunk of chunks) {
      if (path.startsWith('/full/')) throw new HostError(`${path} cannot be written, because the disk is full; make room`)
      text += chunk
    }
    this.files.set(path, new TextEncoder().encode(text))
  }

  async checkWritable(path: string): Promise<void> {
    if (path.startsWith('/readonly/')) throw new HostError(`${path} may not be written by this user; name another folder`)
  }

  async listFiles(prefix: string): Promise<readonly string[]> {
    return [...this.files.keys()].filter((path) => path.startsWith(prefix)).sort()
  }

  async breathe(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
  }

  wallSeconds(): number {
    this.#seconds += 0.001
    return this.#seconds
  }

  peakRssBytes(): number {
    return 0
  }

  text(path: string): string {
    return new TextDecoder().decode(this.files.get(path))
  }
}

export class MemoryTerminal implements Terminal {
  output = ''
  errors = ''
  readonly columns: number
  readonly colour = false

  constructor(columns = 100) {
    this.columns = columns
  }

  out(text: string): void {
    this.output += text
  }

  err(text: string): void {
    this.errors += text
  }
}
