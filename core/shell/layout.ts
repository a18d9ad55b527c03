/**
 * Text for a terminal of a given width: wrapped paragraphs, a column of terms beside their meanings, and words of the
 * user's own shown safely.
 */

/** Wraps at spaces; a word longer than a line stands alone on one. */
export function wrap(text: string, columns: number, indent = ''): string {
  const width = Math.max(columns - indent.length, 16)
  return text
    .split('\n')
    .map((paragraph) => {
      const lines: string[] = []
      let line = ''
      for (const word of paragraph.split(' ')) {
        if (line !== '' && line.length + 1 + word.length > width) {
          lines.push(line)
          line = word
        } else line = line === '' ? word : `${line} ${word}`
      }
      lines.push(line)
      return lines.map((one) => (one === '' ? '' : indent + one)).join('\n')
    })
    .join('\n')
}

export interface Entry {
  readonly term: string
  readonly meaning: string
}

/** Terms on the left, meanings wrapped on the right; a long term gets a line of its own. */
export function columnsOf(entries: readonly Entry[], columns: number, indent = '  ', widest = 26): string {
  const termWidth = Math.min(Math.max(0, ...entries.map(({ term }) => term.length)), widest)
  const gap = ' '.repeat(indent.length + termWidth + 2)
  // On a very narrow terminal the meaning goes below the term.
  const isNarrow = columns - gap.length < 20
  const lines = entries.map(({ term, meaning }) => {
    if (meaning === '') return indent + term
    if (isNarrow) return `${indent}${term}\n${wrap(meaning, columns, `${indent}    `)}`
    const block = wrap(meaning, columns, gap)
    const head = indent + term
    return term.length > termWidth ? `${head}\n${block}` : head + block.slice(head.length)
  })
  return lines.map((line) => `${line}\n`).join('')
}

/** Shows what somebody typed, short enough for a sentence and with nothing a terminal would obey. */
export function shown(text: string): string {
  const visible = Array.from(text, (sign) => ((sign.codePointAt(0) ?? 0) < 32 || sign === '\u007f' ? '?' : sign))
  return visible.length > 60 ? `${visible.slice(0, 60).join('')}...` : visible.join('')
}

/** One line with a full stop, unless it ends in a sign of its own. */
export function sentence(text: string): string {
  return /[.?!]$/.test(text) ? `${text}\n` : `${text}.\n`
}
