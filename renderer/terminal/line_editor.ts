/**
 * The line editor as a pure reducer: (line, key) -> line, and at most one effect for the terminal to carry out.
 *
 * Keys as readline has them: Ctrl-A E B F, Alt-B F, Ctrl-W U K Y, Alt-D, Ctrl-T, Up and Down by the prefix typed so far,
 * Ctrl-R to search backwards (Ctrl-G lets go), Tab, Ctrl-C, Ctrl-L. Pairs with terminal_session.ts, which draws the line
 * and runs the effects; keys.ts of this folder's neighbour knows nothing of it.
 */

export interface Line {
  readonly text: string
  readonly cursor: number
  /** Oldest first. */
  readonly history: readonly string[]
  /** Index into history while Up and Down walk through it; history.length on the own line. */
  readonly at: number
  /** What was typed before Up and Down began; they keep to entries that start with it. */
  readonly own: string
  readonly killed: string
  /** The search text while Ctrl-R is on, else null. */
  readonly search: string | null
}

export type Effect = 'run' | 'complete' | 'interrupt' | 'clear' | null

export const emptyLine = (history: readonly string[]): Line => ({
  text: '',
  cursor: 0,
  history,
  at: history.length,
  own: '',
  killed: '',
  search: null,
})

/** Splits what the terminal sent into keys; a paste of several lines becomes one line and is never run by itself. */
export function splitKeys(data: string): readonly string[] {
  if (data.length > 1 && !data.startsWith('\x1b') && /[\r\n]/.test(data)) return [...data.trim().replace(/\s*[\r\n]+\s*/g, ' ')]
  return data.match(/\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|\x1b[\s\S]|[\s\S]/gu) ?? []
}

const CONTROL: Readonly<Record<string, (line: Line) => Line>> = {
  '\x01': (line) => moveTo(line, 0),
  '\x1b[H': (line) => moveTo(line, 0),
  '\x1bOH': (line) => moveTo(line, 0),
  '\x05': (line) => moveTo(line, line.text.length),
  '\x1b[F': (line) => moveTo(line, line.text.length),
  '\x1bOF': (line) => moveTo(line, line.text.length),
  '\x02': (line) => moveTo(line, line.cursor - 1),
  '\x1b[D': (line) => moveTo(line, line.cursor - 1),
  '\x06': (line) => moveTo(line, line.cursor + 1),
  '\x1b[C': (line) => moveTo(line, line.cursor + 1),
  '\x1bb': (line) => moveTo(line, wordStart(line)),
  '\x1b[1;5D': (line) => moveTo(line, wordStart(line)),
  '\x1bf': (line) => moveTo(line, wordEnd(line)),
  '\x1b[1;5C': (line) => moveTo(line, wordEnd(line)),
  '\x7f': (line) => cut(line, line.cursor - 1, line.cursor, false),
  '\b': (line) => cut(line, line.cursor - 1, line.cursor, false),
  '\x1b[3~': (line) => cut(line, line.cursor, line.cursor + 1, false),
  '\x04': (line) => cut(line, line.cursor, line.cursor + 1, false),
  '\x17': (line) => cut(line, blankBefore(line), line.cursor, true),
  '\x1b\x7f': (line) => cut(line, wordStart(line), line.cursor, true),
  '\x1bd': (line) => cut(line, line.cursor, wordEnd(line), true),
  '\x15': (line) => cut(line, 0, line.cursor, true),
  '\x0b': (line) => cut(line, line.cursor, line.text.length, true),
  '\x19': (line) => insert(line, line.killed),
  '\x14': transpose,
  '\x1b[A': (line) => recall(line, -1),
  '\x1bOA': (line) => recall(line, -1),
  '\x10': (line) => recall(line, -1),
  '\x1b[B': (line) => recall(line, 1),
  '\x1bOB': (line) => recall(line, 1),
  '\x0e': (line) => recall(line, 1),
  '\x12': (line) => ({ ...line, search: '' }),
}

export function press(line: Line, key: string): { readonly line: Line; readonly effect: Effect } {
  if (line.search !== null) return pressInSearch(line, line.search, key)
  switch (key) {
    case '\r':
      return { line, effect: 'run' }
    case '\t':
      return { line, effect: 'complete' }
    case '\x03':
      return { line, effect: 'interrupt' }
    case '\x0c':
      return { line, effect: 'clear' }
  }
  const control = CONTROL[key]
  if (control) return { line: control(line), effect: null }
  return { line: isPrinted(key) ? insert(line, key) : line, effect: null }
}

/** The line after it was run: remembered unless it is empty, starts with a blank or repeats the last one. */
export function remember(line: Line): Line {
  const { text, history } = line
  const worth = text.trim() !== '' && !text.startsWith(' ') && history.at(-1) !== text
  return { ...emptyLine(worth ? [...history, text] : history), killed: line.killed }
}

export function insert(line: Line, text: string): Line {
  return own({
    ...line,
    text: line.text.slice(0, line.cursor) + text + line.text.slice(line.cursor),
    cursor: line.cursor + text.length,
  })
}

/** The newest history entry that holds `wanted`, or null. */
export function searchHistory(history: readonly string[], wanted: string): string | null {
  return history.findLast((entry) => entry.includes(wanted)) ?? null
}

function pressInSearch(line: Line, search: string, key: string): { line: Line; effect: Effect } {
  if (isPrinted(key)) return { line: { ...line, search: search + key }, effect: null }
  if (key === '\x7f' || key === '\b') return { line: { ...line, search: search.slice(0, -1) }, effect: null }
  if (key === '\x12') return { line, effect: null }
  if (key === '\x07' || key === '\x03' || key === '\x1b') return { line: { ...line, search: null }, effect: null }
  const text = (search && searchHistory(line.history, search)) || line.text
  const found = own({ ...line, search: null, text, cursor: text.length })
  // Enter runs what was found; any other key edits it.
  return key === '\r' ? { line: found, effect: 'run' } : press(found, key)
}

const isPrinted = (key: string) => !/^[\x00-\x1f\x7f]/.test(key)

/** An edited line is the user's own again. */
const own = (line: Line): Line => ({ ...line, at: line.history.length, own: line.text })

const moveTo = (line: Line, cursor: number): Line => ({ ...line, cursor: Math.min(line.text.length, Math.max(0, cursor)) })

function cut(line: Line, from: number, to: number, keep: boolean): Line {
  const start = Math.max(0, from)
  const gone = line.text.slice(start, to)
  if (gone === '') return line
  return own({
    ...line,
    text: line.text.slice(0, start) + line.text.slice(start + gone.length),
    cursor: start,
    killed: keep ? gone : line.killed,
  })
}

function transpose(line: Line): Line {
  const at = Math.min(line.cursor, line.text.length - 1)
  if (at < 1) return line
  const [before = '', after = ''] = [line.text[at - 1], line.text[at]]
  return own({ ...line, text: line.text.slice(0, at - 1) + after + before + line.text.slice(at + 1), cursor: at + 1 })
}

function recall(line: Line, direction: 1 | -1): Line {
  for (let at = line.at + direction; at >= 0 && at <= line.history.length; at += direction) {
    const text = at === line.history.length ? line.own : line.history[at]
    if (text === undefined || !text.startsWith(line.own)) continue
    return { ...line, at, text, cursor: text.length }
  }
  return line
}

const wordStart = ({ text, cursor }: Line): number => /\w*\W*$/.exec(text.slice(0, cursor))?.index ?? 0
const wordEnd = ({ text, cursor }: Line): number => cursor + (/^\W*\w*/.exec(text.slice(cursor))?.[0].length ?? 0)
const blankBefore = ({ text, cursor }: Line): number => /\S*\s*$/.exec(text.slice(0, cursor))?.index ?? 0
