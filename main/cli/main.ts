/**
 * The command line program: `pageferry ARGS`.
 *
 * It gives core's commands and the two that need Node to one Registry, runs the words of the call in a Shell, and ends
 * with its exit code. Ctrl-C asks the command to stop (exit 130), a second one ends at once; a reader that goes away ends
 * it quietly (141). A bug is one sentence and how to report it; PAGEFERRY_DEBUG=1 shows where it happened.
 */

import { setFlagsFromString } from 'node:v8'
import { callProgram, type Terminal } from '../../core/api/command_line.ts'
import { LiveView } from '../../core/api/live_view.ts'
import type { ColourDepth } from '../../core/api/page_map.ts'
import { ExitCode } from '../../core/shell/host.ts'
import { removeTemporaryFiles } from '../files/whole_file.ts'
import { nodeHost } from './node_host.ts'
import { serveCommand } from './serve_command.ts'
import { shellCommand } from './shell_command.ts'
import { Stop } from './stop.ts'

const SIGNAL_EXIT = { SIGINT: ExitCode.interrupted, SIGTERM: 143, SIGHUP: 129 } as const
const BROKEN_PIPE_EXIT = 141
const SAME_SIGNAL_MS = 200
const ERASE_LINE = '\u001b[K'

const { stdin, stdout, stderr, env } = process

// A search makes a machine for each schedule and drops it. V8 takes some parts of them for long-lived, puts those into its old
// generation, and they keep all the rest alive: collecting it takes up to half of the time.
setFlagsFromString('--no-allocation-site-pretenuring')
// A page on its way goes through some hundred small functions: locks, counts, entries of tables. V8 would inline those of up to 27 bytes
// of code always and leave off at 920 a function; what it then calls gets and answers times and table entries in boxes of the heap.
setFlagsFromString('--max-inlined-bytecode-size-small=110')
setFlagsFromString('--max-inlined-bytecode-size-cumulative=1500')

const stop = new Stop()
let stoppedBy: keyof typeof SIGNAL_EXIT | null = null
let stoppedAt = 0
const view = new LiveView(stderr, { depth: colourDepth(stderr.isTTY), now: () => performance.now() / 1000 })

process.on('exit', () => {
  view.restore()
  removeTemporaryFiles()
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // npm passes on a Ctrl-C that the terminal has already sent to the whole group: two at once are one.
    const now = performance.now()
    if (stoppedBy !== null && now - stoppedAt > SAME_SIGNAL_MS) process.exit(SIGNAL_EXIT[signal])
    if (stoppedBy !== null) return
    stoppedBy = signal
    stoppedAt = now
    stop.abort()
  })
}
for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(BROKEN_PIPE_EXIT)
    const why = error.code === 'ENOSPC' ? ', because the disk is full; make room or' : ` (${error.code ?? error.message});`
    if (stream === stdout) stderr.write(`pageferry: standard output cannot be written${why} send it elsewhere.\n`)
    process.exit(ExitCode.failed)
  })
}
process.on('uncaughtException', (error) => {
  reportBug(error)
  process.exit(ExitCode.failed)
})

const terminal: Terminal = {
  out: (text) => void stdout.write(text),
  err: (text) => void stderr.write(text),
  ...(stderr.isTTY && { status: statusLine }),
  get columns() {
    // A terminal that was never told its size says 0.
    return stdout.columns || 100
  },
  colour: colourDepth(stdout.isTTY) !== 'none',
}
const isTerminal = stdin.isTTY === true && stdout.isTTY === true
const program = {
  host: nodeHost,
  commands: [
    serveCommand(stop.whenAborted),
    shellCommand({ input: stdin, output: stdout, isTerminal, env, whenStopped: stop.whenAborted }),
  ],
  observer: view,
}

try {
  const exitCode = await callProgram(program, process.argv.slice(2), terminal, stop)
  process.exitCode = exitCode === ExitCode.interrupted && stoppedBy !== null ? SIGNAL_EXIT[stoppedBy] : exitCode
} catch (error) {
  view.restore()
  reportBug(error)
  process.exitCode = ExitCode.failed
}

/** Drawn over itself; what is printed next begins on a clean line. */
function statusLine(line: string): void {
  stderr.write(`\r${ERASE_LINE}${line.slice(0, (stderr.columns || 80) - 1)}`)
}

function reportBug(error: unknown): void {
  const what = error instanceof Error ? `${error.name}: ${error.message.split('\n', 1)[0]}` : String(error)
  stderr.write(
    `pageferry: an unexpected error, ${what}\nIt is a bug; please report it with the command line that showed it. PAGEFERRY_DEBUG=1 shows where it happened.\n`,
  )
  if (env.PAGEFERRY_DEBUG === '1' && error instanceof Error) stderr.write(`${error.stack ?? ''}\n`)
}

function colourDepth(isTTY: boolean | undefined): ColourDepth {
  // NO_COLOR counts when it is set to anything but nothing.
  if (!isTTY || (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb') return 'none'
  return /^(truecolor|24bit)$/.test(env.COLORTERM ?? '') ? 'full' : 'basic'
}
