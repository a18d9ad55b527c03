/**
 * Blanks comments and strings of a TypeScript source, so that a plain search finds only code.
 *
 * Every blanked character becomes a space and line ends stay, so positions and line numbers hold. The code inside `${}` of a
 * template stays code. A slash opens a regular expression where a value cannot stand before it. Pairs with rules.ts.
 */

export function blankComments(text: string): string {
  return blank(text, false)
}

export function blankCommentsAndStrings(text: string): string {
  return blank(text, true)
}

/** What may be skipped as a whole at one place; templates are opened by hand, because code stands inside them. */
const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y
const STRING = /'(?:\\[\s\S]|[^'\\\n])*'|"(?:\\[\s\S]|[^"\\\n])*"/y
const REGEXP = /\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y
const TEMPLATE_TEXT = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*/y
/** What stands before a slash that opens a regular expression. */
const BEFORE_REGEXP = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|yield|await))\s*$/

function blank(text: string, stringsToo: boolean): string {
  const out: string[] = []
  /** Depth of braces at which each open template goes on. */
  const templates: number[] = []
  let depth = 0
  let at = 0

  const skip = (pattern: RegExp, keep: boolean): boolean => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0] ?? ''
    if (found === '') return false
    out.push(keep ? found : found.replace(/[^\n]/g, ' '))
    at += found.length
    return true
  }
  const templateText = (): void => {
    skip(TEMPLATE_TEXT, !stringsToo)
    if (text[at] === '`') {
      out.push('`')
      at += 1
    } else if (text.startsWith('${', at)) {
      out.push('${')
      at += 2
      templates.push(depth)
      depth++
    }
  }

  while (at < text.length) {
    if (skip(COMMENT, false) || skip(STRING, !stringsToo)) continue
    // Only the last few characters matter, and blanked ones are as good as the comment that stood there.
    if (text[at] === '/' && BEFORE_REGEXP.test(out.join('').slice(-80)) && skip(REGEXP, !stringsToo)) continue
    const char = text[at] ?? ''
    out.push(char)
    at++
    if (char === '`') templateText()
    else if (char === '{') depth++
    else if (char === '}') {
      depth--
      if (templates.at(-1) === depth) {
        templates.pop()
        templateText()
      }
    }
  }
  return out.join('')
}
