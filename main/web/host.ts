/**
 * The browser host as one call: serves the built screen on a loopback port, opens it, and stays until it is told to end.
 *
 * `npm start` bundles this file and runs it. It pairs with `pageferry serve`, which serves the same files and opens nothing.
 */
import { hostKernel } from '../kernel/host_kernel.ts'
import { openBrowser } from './browser.ts'
import { serve } from './serve.ts'

/** Resolves on SIGINT, SIGTERM or SIGHUP. `say` takes one line for people. */
export async function hostInBrowser(root: string, say: (line: string) => void): Promise<void> {
  const serving = await serve({ port: 0, root, kernel: hostKernel })
  const ended = firstSignal()
  const url = serving.kernelUrl ?? serving.url
  say(`Pageferry is at ${url} (this machine only); Ctrl-C ends it.`)
  const browser = await openBrowser(url)
  say(browser === null ? 'No browser was started: open that address in one yourself.' : `Opened in ${browser}.`)
  await ended
  await serving.close()
}

function firstSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve())
  })
}
