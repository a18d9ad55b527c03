/**
 * `pageferry serve`: the screen in a browser on this machine, until the process is told to end.
 *
 * The files are those that the build put beside this program's own (dist/renderer); main/web/serve.ts serves them.
 */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from '../../core/api/command_line.ts'
import { ExitCode, HostError } from '../../core/shell/host.ts'
import { serve } from '../web/serve.ts'

/** `whenStopped`: SIGINT or SIGTERM came. */
export function serveCommand(whenStopped: Promise<void>): Command {
  return {
    name: 'serve',
    group: 'Hosts',
    place: 'program',
    summary: 'the screen in a browser, on a loopback port',
    description:
      'Listens on 127.0.0.1 only and ends on Ctrl-C or SIGTERM. The engine runs in the page; nothing leaves this machine. ' +
      'Behind the # of the address stands a token: only a page that was opened with it may ask for the real kernel (kernel info, capture).',
    positionals: [],
    options: [
      {
        name: 'port',
        kind: 'count',
        max: 65535,
        common: true,
        defaultText: '0',
        example: '8080',
        meaning: 'the port; 0 takes any free one',
      },
      { name: 'json', kind: 'flag', common: true, meaning: 'print { "url", "kernelUrl" } on one line once it listens' },
    ],
    examples: [
      { line: 'serve', meaning: 'any free port; the address is printed' },
      { line: 'serve --port 8080 --json', meaning: 'for scripts' },
    ],
    async run({ arguments: given, terminal, host }): Promise<number> {
      const root = join(dirname(fileURLToPath(import.meta.url)), '..', 'renderer')
      if (!existsSync(join(root, 'index.html'))) {
        throw new HostError(
          `the screen is not built, there is no ${join(root, 'index.html')}; npm start builds it`,
          ExitCode.failed,
        )
      }
      const serving = await serve({ port: given.number('port', 0), root, ...(host.kernel && { kernel: host.kernel }) })
      terminal.out(
        given.has('json')
          ? `${JSON.stringify({ url: serving.url, kernelUrl: serving.kernelUrl })}\n`
          : `Pageferry is at ${serving.kernelUrl ?? serving.url} (this machine only); Ctrl-C ends it.\n`,
      )
      await whenStopped
      await serving.close()
      return ExitCode.good
    },
  }
}
