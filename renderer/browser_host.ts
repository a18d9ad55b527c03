/**
 * The machine the shell runs on when it runs in a browser's worker: files are those the user dropped on the window,
 * writing is offering a download, and breathing is one turn of the worker's message loop.
 *
 * A dropped file is registered under its name; reading it streams, and gzip is undone on the way. A name that was never
 * dropped is an error with the remedy in it. Pairs with engine_worker.ts.
 */

import type { Host } from '../core/shell/host.ts'
import { HostError } from '../core/shell/host.ts'
import type { HostKernel } from '../core/shell/host_kernel.ts'

export interface Download {
  readonly name: string
  readonly content: Blob
}

export class BrowserHost implements Host {
  readonly #files = new Map<string, File>()
  readonly #turns = new TurnOfTheLoop()
  /** Given by the window; without it nothing can be written. */
  onDownload: ((download: Download) => void) | null = null

  readonly platform: string
  /** The kernel of the machine that serves this page, where it was opened with the token. */
  kernel?: HostKernel

  constructor(userAgent: string) {
    this.platform = browserName(userAgent)
  }

  register(file: File): void {
    this.#files.set(file.name, file)
  }

  async *open(path: string): AsyncIterable<Uint8Array> {
    const file = this.#files.get(path)
    if (!file) throw new HostError(missing(path, [...this.#files.keys()]))
    const gzip = /\.(?:gz|pfguest)$/.test(path)
    try {
      const stream = gzip ? file.stream().pipeThrough(new DecompressionStream('gzip')) : file.stream()
      const reader = stream.getReader()
      for (let block = await reader.read(); !block.done; block = await reader.read()) yield block.value
    } catch (error) {
      if (error instanceof HostError) throw error
      throw new HostError(
        gzip
          ? `${path}: the gzip data is broken or cut short; compress the file again with gzip and drop it once more`
          : `${path}: the browser could not read the file (${reason(error)}); drop it on the window again`,
      )
    }
  }

  async write(path: string, chunks: Iterable<string>): Promise<void> {
    if (!this.onDownload)
      throw new HostError(`${path}: a browser page cannot write files here; run the same command with pageferry in a terminal`)
    const name = path.split(/[/\\]/).at(-1) || 'pageferry.txt'
    this.onDownload({ name, content: new Blob([...chunks], { type: 'application/octet-stream' }) })
  }

  breathe(): Promise<void> {
    return this.#turns.next()
  }

  wallSeconds(): number {
    return performance.now() / 1000
  }

  /** Browsers do not tell a worker how much memory it holds. */
  peakRssBytes(): number {
    return 0
  }
}

/** A macrotask through a MessageChannel: messages get in, and none of the 4 ms that setTimeout would wait. */
class TurnOfTheLoop {
  readonly #channel = new MessageChannel()
  readonly #waiting: (() => void)[] = []

  constructor() {
    this.#channel.port1.onmessage = () => this.#waiting.shift()?.()
  }

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#channel.port2.postMessage(null)
    })
  }
}

function missing(path: string, known: readonly string[]): string {
  const have = known.length > 0 ? `; files here: ${known.join(', ')}` : ''
  return `${path}: no such file in this window; drag a .lackey or .lackey.gz trace or a .pfguest file onto it, then name it${have}`
}

const reason = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** `Chromium 130` rather than the whole user-agent line. */
export function browserName(userAgent: string): string {
  const [, name, version] = /(Electron|Edg|Firefox|Chrome|Version)\/(\d+)/.exec(userAgent) ?? []
  if (!name) return 'browser'
  const known: Record<string, string> = { Edg: 'Edge', Version: 'Safari', Chrome: 'Chromium' }
  return `${known[name] ?? name} ${version}`
}
