/**
 * The engine's thread: one Session behind comlink, on a BrowserHost.
 *
 * Three things are added to the Session's own calls. Dropped files and downloads pass through here, since only the window
 * can drop and save. And a command's output is sent in batches, one on the way at a time: a command is answered only
 * after its last line has been shown, and a flood of lines can never outrun the terminal. The kernel is asked from here, too.
 */
import * as Comlink from 'comlink'
import type { CommandOutput, EngineApi } from '../core/api/protocol.ts'
import { Session } from '../core/api/session.ts'
import type { Download } from './browser_host.ts'
import { BrowserHost } from './browser_host.ts'
import { portKernel, socketKernel } from './kernel_line.ts'
import { OutputBatcher } from './output_batcher.ts'

/** What the window sees: the engine, and the two calls that only a browser needs. */
export interface WorkerApi extends EngineApi {
  registerFile(file: File): Promise<void>
  onDownload(listener: (download: Download) => void): Promise<void>
  /** The page was opened with the token: its commands may ask the kernel of the machine that serves it. */
  connectKernel(origin: string, token: string): Promise<void>
  /** In the desktop window. */
  connectKernelPort(port: MessagePort): Promise<void>
}

class WorkerSession extends Session implements WorkerApi {
  readonly #browser: BrowserHost

  constructor(browser: BrowserHost) {
    super(browser)
    this.#browser = browser
  }

  override async command(line: string, output: CommandOutput, columns: number): Promise<number> {
    const batcher = new OutputBatcher(output)
    try {
      return await super.command(line, batcher, columns)
    } finally {
      await batcher.flushed()
    }
  }

  async registerFile(file: File): Promise<void> {
    this.#browser.register(file)
  }

  async onDownload(listener: (download: Download) => void): Promise<void> {
    this.#browser.onDownload = listener
  }

  async connectKernel(origin: string, token: string): Promise<void> {
    this.#browser.kernel = socketKernel(origin, token)
  }

  async connectKernelPort(port: MessagePort): Promise<void> {
    this.#browser.kernel = portKernel(port)
  }
}

Comlink.expose(new WorkerSession(new BrowserHost(navigator.userAgent)))
