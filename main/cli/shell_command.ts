/**
 * `pageferry shell`: the interactive terminal, the same commands as in the screen's own.
 *
 * Lines come from readline and run one after another. On a terminal there are a prompt, completion and a kept history;
 * Ctrl-C stops the command that runs and not the shell, Ctrl-D leaves. Lines from a pipe run as a script, and the exit
 * code is that of the last one.
 */
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { type Command, type CommandContext, OpenTerminal } from '../../core/api/command_line.ts'
import { ExitCode } from '../../core/shell/host.ts'
import { HISTORY_LINES, historyPath, loadHistory, saveHistory } from './history.ts'
import { Stop } from './stop.ts'

export interface ShellStreams {
  readonly input: Readable
  readonly output: Writable
  readonly isTerminal: boolean
  readonly env: NodeJS.ProcessEnv
  /** The process was told to end. */
  readonly whenStopped: Promise<void>
}

export function shellCommand(streams: ShellStreams): Command {
  return {
    name: 'shell',
    group: 'Hosts',
    place: 'program',
    summary: 'the interactive terminal',
    description:
      'Tab completes, Ctrl-C stops the command that runs, Ctrl-D or exit leaves. Reads a script from standard input, too. ' +
      "Lines are kept in the user's state folder; one that begins with a space is not.",
    positionals: [],
    options: [],
    examples: [
      { line: 'shell', meaning: 'a prompt' },
      { line: 'shell < commands.txt', meaning: 'run the lines of a file' },
    ],
    run: (context) => interact(context, streams),
  }
}

async function interact(context: CommandContext, streams: ShellStreams): Promise<number> {
  const { input, output, isTerminal } = streams
  let isLeaving = false
  const leave = exitCommand(() => {
    isLeaving = true
  })
  const terminal = new OpenTerminal(context, [leave])
  const path = historyPath(streams.env)
  const lines = createInterface({
    input,
    output,
    terminal: isTerminal,
    prompt: 'pageferry> ',
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
    history: isTerminal ? loadHistory(path) : [],
    completer: (line: string, done: (error: null, result: [string[], string]) => void) => {
      complete(
        terminal,
        line,
        () => lines.prompt(true),
        (text) => context.terminal.out(text),
      ).then(
        (result) => done(null, result),
        () => done(null, [[], line]),
      )
    },
  })
  if (isTerminal) {
    lines.on('history', (history: string[]) => saveHistory(path, history))
    context.terminal.out('Pageferry. help lists the commands, Tab completes, Ctrl-D leaves.\n')
    lines.prompt()
  }
  let running: Stop | null = null
  lines.on('SIGINT', () => {
    if (running) running.abort()
    else {
      // Ctrl-C at the prompt drops the line.
      lines.write(null, { ctrl: true, name: 'e' })
      lines.write(null, { ctrl: true, name: 'u' })
      context.terminal.out('^C\n')
      lines.prompt()
    }
  })
  let wasTold = false
  void streams.whenStopped.then(() => {
    wasTold = true
    running?.abort()
    lines.close()
  })

  let exitCode: number = ExitCode.good
  for await (const line of linesOf(lines, () => isTerminal && running?.abort())) {
    running = new Stop()
    exitCode = await terminal.run(line, running)
    running = null
    if (isLeaving || wasTold) break
    if (isTerminal) lines.prompt()
  }
  lines.close()
  await terminal.close()
  if (isTerminal && !isLeaving) context.terminal.out('\n')
  if (wasTold) return ExitCode.interrupted
  return isTerminal ? ExitCode.good : exitCode
}

/** Lines in order. readline's own iterator would lose those that come while a command runs. */
async function* linesOf(lines: Interface, onClose: () => void): AsyncGenerator<string> {
  const waiting: string[] = []
  let isClosed = false
  let wake: () => void = () => undefined
  lines.on('line', (line) => {
    waiting.push(line)
    wake()
  })
  lines.on('close', () => {
    isClosed = true
    onClose()
    wake()
  })
  for (;;) {
    const line = waiting.shift()
    if (line !== undefined) yield line
    else if (isClosed) return
    else
      await new Promise<void>((resolve) => {
        wake = resolve
      })
  }
}

/** One word is put in place; several that share no longer start are shown with their meanings, and the prompt again. */
async function complete(
  terminal: OpenTerminal,
  line: string,
  promptAgain: () => void,
  out: (text: string) => void,
): Promise<[string[], string]> {
  const { start, offers, listing } = await terminal.complete(line)
  const typed = line.slice(start)
  const words = offers.map(({ word }) => word)
  const [first = ''] = words
  if (words.length === 0) return [[], typed]
  if (words.length === 1) return [[/[=:/,]$/.test(first) ? first : `${first} `], typed]
  let shared = first
  for (const word of words) while (!word.startsWith(shared)) shared = shared.slice(0, -1)
  if (shared.length > typed.length) return [[shared], typed]
  out(`\n${listing}`)
  promptAgain()
  return [[], typed]
}

function exitCommand(leave: () => void): Command {
  return {
    name: 'exit',
    group: 'Terminal',
    place: 'terminal',
    summary: 'leaves the terminal',
    description: '',
    positionals: [],
    options: [],
    examples: [{ line: 'exit', meaning: 'the same as Ctrl-D' }],
    async run(): Promise<number> {
      leave()
      return ExitCode.good
    },
  }
}
