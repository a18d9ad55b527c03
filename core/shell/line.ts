/**
 * The grammar of a typed line, small on purpose: words, 'single' and "double" quotes, backslash, # comment, and the
 * joints `;` `&&` `||` `|`.
 *
 * 1. lexLine cuts the text into words and joints, remembering columns and what is still open (for completion).
 * 2. parseLine groups them: steps joined by `;`, `&&`, `||`, each a pipeline of simple commands.
 * What other shells would do and this one does not (redirection, variables, substitution, background, subshells) is
 * refused with its column and the way out, never passed on as a word.
 */
import { CommandError } from './command.ts'
import { ExitCode } from './host.ts'

export interface SimpleCommand {
  readonly words: readonly string[]
}

export interface Step {
  /** When to run, by the exit code of the step before. */
  readonly when: 'always' | 'if-good' | 'if-bad'
  readonly pipeline: readonly SimpleCommand[]
}

export class LineError extends CommandError {
  constructor(message: string, column: number) {
    super(`column ${column + 1}: ${message}`, ExitCode.usage)
  }
}

export type Joint = ';' | '&&' | '||' | '|'

export interface Token {
  /** null for a joint. */
  readonly word: string | null
  readonly joint: Joint | null
  readonly column: number
}

export interface Lexed {
  readonly tokens: readonly Token[]
  /** The quote that was never closed, or a backslash at the very end. */
  readonly open: "'" | '"' | '\\' | null
  readonly openColumn: number
  /** The line ends inside or directly behind a word. */
  readonly endsInWord: boolean
  /** What is not understood, at the first place where it stands. */
  readonly refused: { readonly column: number; readonly message: string } | null
}

const REFUSED: Readonly<Record<string, string>> = {
  '>': "redirection is not supported; use --json with the host's own shell, or --trace FILE",
  '<': 'redirection is not supported; name the file as an argument',
  '&': 'running in the background is not supported; && runs the next command if this one was good',
  '`': "command substitution is not supported; put the sign in 'single quotes' to mean itself",
  '(': 'subshells are not supported; put the sign in quotes to mean itself',
  ')': 'subshells are not supported; put the sign in quotes to mean itself',
  $: "variables are not supported; put the sign in 'single quotes' to mean itself",
}

/** Never throws: completion reads half a line with it. */
export function lexLine(line: string): Lexed {
  const tokens: Token[] = []
  let word: string | null = null
  let column = 0
  let refused: Lexed['refused'] = null
  const refuse = (at: number, sign: string) => {
    refused ??= { column: at, message: REFUSED[sign] ?? `${sign} is not supported` }
  }
  const close = () => {
    if (word !== null) tokens.push({ word, joint: null, column })
    word = null
  }
  let at = 0
  while (at < line.length) {
    const sign = line.charAt(at)
    if (word === null) column = at
    if (sign === '\n' || sign === ';') {
      close()
      tokens.push({ word: null, joint: ';', column: at++ })
    } else if (sign === ' ' || sign === '\t' || sign === '\r') {
      close()
      at++
    } else if (sign === '#' && word === null) {
      const end = line.indexOf('\n', at)
      if (end < 0) return { tokens, open: null, openColumn: 0, endsInWord: false, refused }
      at = end
    } else if (sign === "'") {
      const end = line.indexOf("'", at + 1)
      word = (word ?? '') + line.slice(at + 1, end < 0 ? undefined : end)
      if (end < 0) return unfinished("'", at)
      at = end + 1
    } else if (sign === '"') {
      const from = at++
      word ??= ''
      while (at < line.length && line.charAt(at) !== '"') {
        // Inside double quotes a backslash is special only before what it could otherwise not say.
        if (line.charAt(at) === '\\' && '"\\$`'.includes(line.charAt(at + 1)) && at + 1 < line.length) at++
        else if (isSubstitution(line, at) && line.charAt(at + 1) !== '"') refuse(at, line.charAt(at))
        word += line.charAt(at++)
      }
      if (at >= line.length) return unfinished('"', from)
      at++
    } else if (sign === '\\') {
      if (at + 1 >= line.length) return unfinished('\\', at)
      word = (word ?? '') + line.charAt(at + 1)
      at += 2
    } else if (sign === '|' || line.startsWith('&&', at)) {
      close()
      const joint: Joint = sign === '&' ? '&&' : line.startsWith('||', at) ? '||' : '|'
      tokens.push({ word: null, joint, column: at })
      at += joint.length
    } else {
      if ('<>&()'.includes(sign) || isSubstitution(line, at)) refuse(at, sign)
      word = (word ?? '') + sign
      at++
    }
  }
  const endsInWord = word !== null
  close()
  return { tokens, open: null, openColumn: 0, endsInWord, refused }

  function unfinished(open: "'" | '"' | '\\', openColumn: number): Lexed {
    tokens.push({ word: word ?? '', joint: null, column })
    return { tokens, open, openColumn, endsInWord: true, refused }
  }
}

/** Throws LineError and nothing else. */
export function parseLine(line: string): readonly Step[] {
  const lexed = lexLine(line)
  if (lexed.refused) throw new LineError(lexed.refused.message, lexed.refused.column)
  if (lexed.open === '\\') throw new LineError('the line ends in a backslash; write \\\\ for one that stays', lexed.openColumn)
  if (lexed.open) throw new LineError(`the quote ${lexed.open} is never closed; add one at the end`, lexed.openColumn)

  const steps: Step[] = []
  let when: Step['when'] = 'always'
  let pipeline: SimpleCommand[] = []
  let words: string[] = []
  let joint: Token | null = null
  for (const token of [...lexed.tokens, { word: null, joint: ';', column: line.length } as const]) {
    if (token.word !== null) {
      words.push(token.word)
      continue
    }
    if (words.length === 0) {
      // An empty step is fine before `;`, but `a && ;` and `| b` lack a side.
      const isBlank = pipeline.length === 0 && when === 'always' && token.joint === ';'
      if (!isBlank)
        throw new LineError(`${joint?.joint ?? token.joint} needs a command on both sides`, joint?.column ?? token.column)
      continue
    }
    pipeline.push({ words })
    words = []
    joint = token
    if (token.joint === '|') continue
    steps.push({ when, pipeline })
    pipeline = []
    when = token.joint === '&&' ? 'if-good' : token.joint === '||' ? 'if-bad' : 'always'
    if (token.joint === ';') joint = null
  }
  return steps
}

/** Writes a word so that parseLine reads it back as it is. */
export function quoteWord(word: string): string {
  if (/^[\w@%+=:,./^~-]+$/.test(word)) return word
  return `'${word.replace(/'/g, "'\\''")}'`
}

/** `$` is a variable only before a name; at a word's end it is itself, as in `grep ms$`. */
function isSubstitution(line: string, at: number): boolean {
  const sign = line.charAt(at)
  return sign === '`' || (sign === '$' && /^[\w({?!@*#$'"-]/.test(line.slice(at + 1, at + 2)))
}
