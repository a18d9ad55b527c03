/**
 * One session of the embedded terminal: prompt, line, commands one after the other, their output in between.
 *
 * It writes to a Screen (xterm, or a string in tests) and runs lines through `run`. What is typed while a command is at
 * work waits and is typed afterwards, as on any terminal; only Ctrl-C is heard at once. What is written before the
 * screen is there waits for it, so the first command need not wait for xterm to load.
 */
import type { CommandOutput, Completion } from '../../core/api/protocol.ts'
import type { Line } from './line_editor.ts'
import { emptyLine, insert, press, remember, searchHistory, splitKeys } from './line_editor.ts'

export interface Screen {
  write(text: string): void
  readonly columns: number
}

export interface Commands {
  run(line: string, output: CommandOutput, columns: number): Promise<number>
  interrupt(): Promise<void>
  complete(line: string): Promise<readonly Completion[]>
}

const PROMPT = 'pageferry> '
const BOLD = '\x1b[1m'
const DIM = '\x1b[90m'
const PLAIN = '\x1b[0m'
const DEFAULT_COLUMNS = 80

export class TerminalSession {
  #screen: Screen | null = null
  #early = ''
  #line: Line = emptyLine([])
  #running = false
  /** Keys not yet handled: a command or a completion is at work. */
  #keys: string[] = []
  #working: Promise<void> | null = null
  /** Row of the cursor below the prompt's first row, for lines that wrap. */
  #cursorRow = 0
  /** The last thing printed did not end its line. */
  #midLine = false

  constructor(readonly commands: Commands) {}

  attach(screen: Screen): void {
    this.#screen = screen
    screen.write(this.#early)
    this.#early = ''
    if (!this.#running) this.#draw()
  }

  /** Runs a line as if it had been typed; used for the opening run. */
  execute(text: string): void {
    this.#keys.push(...text, '\r')
    this.#work()
  }

  /** Shows a sentence of the screen's own, above the prompt. */
  notify(sentence: string): void {
    this.#write(`\r\x1b[J${DIM}${sentence}${PLAIN}\r\n`)
    this.#cursorRow = 0
    if (!this.#running) this.#draw()
  }

  /** What the user typed, as the terminal sends it. */
  type(data: string): void {
    for (const key of splitKeys(data)) {
      if (this.#running && key === '\x03') this.#interrupt()
      else this.#keys.push(key)
    }
    this.#work()
  }

  /** Resolves when everything typed so far has been handled. */
  async idle(): Promise<void> {
    while (this.#working) await this.#working
  }

  #work(): void {
    this.#working ??= this.#handleKeys().finally(() => {
      this.#working = null
    })
  }

  async #handleKeys(): Promise<void> {
    for (let key = this.#keys.shift(); key !== undefined; key = this.#keys.shift()) await this.#press(key)
  }

  async #press(key: string): Promise<void> {
    const { line, effect } = press(this.#line, key)
    this.#line = line
    switch (effect) {
      case 'run':
        await this.#run()
        return
      case 'complete':
        await this.#complete()
        break
      case 'interrupt':
        this.#draw()
        this.#write('^C\r\n')
        this.#cursorRow = 0
        this.#line = emptyLine(line.history)
        break
      case 'clear':
        this.#write('\x1b[H\x1b[2J\x1b[3J')
        this.#cursorRow = 0
    }
    this.#draw()
  }

  #interrupt(): void {
    this.#keys = []
    this.#write('^C\r\n')
    void this.commands.interrupt()
  }

  async #run(): Promise<void> {
    const text = this.#line.text
    this.#line = { ...this.#line, cursor: text.length }
    if (this.#screen) this.#draw()
    else this.#early += `${BOLD}${PROMPT}${PLAIN}${text}`
    this.#write('\r\n')
    this.#cursorRow = 0
    this.#line = remember(this.#line)
    if (text.trim() !== '') await this.#command(text)
    this.#draw()
  }

  async #command(text: string): Promise<void> {
    this.#running = true
    const print = (printed: string): void => {
      if (printed === '') return
      this.#write(printed.replace(/\r?\n/g, '\r\n'))
      this.#midLine = !printed.endsWith('\n')
    }
    try {
      await this.commands.run(text, { out: print, err: print }, this.#screen?.columns ?? DEFAULT_COLUMNS)
    } catch (error) {
      print(`The engine did not answer: ${error instanceof Error ? error.message : String(error)}; reload the window.\n`)
    } finally {
      if (this.#midLine) this.#write('\r\n')
      this.#midLine = false
      this.#running = false
    }
  }

  async #complete(): Promise<void> {
    const before = this.#line.text.slice(0, this.#line.cursor)
    const found = await this.commands.complete(before)
    const word = /\S*$/.exec(before)?.[0] ?? ''
    const fitting = found.filter((completion) => completion.word.startsWith(word))
    const [only] = fitting
    if (!only) return
    if (fitting.length === 1) {
      this.#line = insert(this.#line, only.word.slice(word.length) + (/[=:,/]$/.test(only.word) ? '' : ' '))
      return
    }
    const shared = commonStart(fitting.map((completion) => completion.word))
    if (shared.length > word.length) {
      this.#line = insert(this.#line, shared.slice(word.length))
      return
    }
    const wide = Math.max(...fitting.map((completion) => completion.word.length))
    const columns = this.#screen?.columns ?? DEFAULT_COLUMNS
    const rows = fitting.map(({ word: name, meaning }) => {
      const row = `${name.padEnd(wide)}  ${meaning}`.slice(0, columns - 1)
      return `${row.slice(0, wide)}${DIM}${row.slice(wide)}${PLAIN}`
    })
    this.#write(`\r\n${rows.join('\r\n')}\r\n`)
    this.#cursorRow = 0
  }

  /** Draws prompt and line anew over what stands there. */
  #draw(): void {
    // Nobody sees a line being typed before there is a screen; attach draws it, #run writes what it runs.
    if (!this.#screen) return
    const { columns } = this.#screen
    const { search, text, cursor, history } = this.#line
    const up = this.#cursorRow > 0 ? `\x1b[${this.#cursorRow}A` : ''
    if (search !== null) {
      this.#write(`${up}\r\x1b[J${DIM}(search)${PLAIN} ${search}: ${search ? (searchHistory(history, search) ?? '') : ''}`)
      this.#cursorRow = 0
      return
    }
    const end = PROMPT.length + text.length
    const at = PROMPT.length + cursor
    // A line that ends exactly at the edge leaves the cursor there; the blank makes the terminal wrap.
    const edge = end % columns === 0 ? ' \r' : ''
    const endRow = Math.floor(end / columns)
    this.#cursorRow = Math.floor(at / columns)
    const back = endRow > this.#cursorRow ? `\x1b[${endRow - this.#cursorRow}A` : ''
    const right = at % columns
    this.#write(`${up}\r\x1b[J${BOLD}${PROMPT}${PLAIN}${text}${edge}${back}\r${right > 0 ? `\x1b[${right}C` : ''}`)
  }

  #write(text: string): void {
    if (this.#screen) this.#screen.write(text)
    else this.#early += text
  }
}

function commonStart(words: readonly string[]): string {
  const [first = '', ...rest] = words
  let length = first.length
  for (const word of rest) while (!word.startsWith(first.slice(0, length))) length--
  return first.slice(0, length)
}
