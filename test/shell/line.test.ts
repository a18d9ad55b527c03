/**
 * The grammar of a line: quotes, joints, comments, and a clear no to what it does not know.
 */
import { describe, expect, it } from 'vitest'
import { LineError, parseLine, quoteWord } from '../../core/shell/line.ts'

function words(line: string): readonly string[] {
  return parseLine(line)[0]?.pipeline[0]?.words ?? []
}

describe('words', () => {
  it.each([
    ['a  b\tc', ['a', 'b', 'c']],
    ['\'a b\' "c d"', ['a b', 'c d']],
    ['a\'b\'"c"d', ['abcd']],
    ['a\\ b \\\\ \\"', ['a b', '\\', '"']],
    ['\'\\n\' "\\n \\" \\\\"', ['\\n', '\\n " \\']],
    ['\'\' ""', ['', '']],
    ['a#b # a comment', ['a#b']],
    ["grep ms$ 'a|b;c'", ['grep', 'ms$', 'a|b;c']],
    ['--guest kv:set=64M,rate=1M/s', ['--guest', 'kv:set=64M,rate=1M/s']],
  ])('%s', (line, expected) => {
    expect(words(line)).toEqual(expected)
  })

  it('a quoted word is read back as it was', () => {
    for (const word of ['a b', "it's", '"', '', '$x', 'plain', '#', 'a\nb', '\\'])
      expect(words(`x ${quoteWord(word)}`)).toEqual(['x', word])
  })
})

describe('joints', () => {
  it('steps carry when they run', () => {
    const steps = parseLine('a && b || c ; d | e f\ng')
    expect(steps.map(({ when, pipeline }) => [when, pipeline.map((one) => one.words.join(' '))])).toEqual([
      ['always', ['a']],
      ['if-good', ['b']],
      ['if-bad', ['c']],
      ['always', ['d', 'e f']],
      ['always', ['g']],
    ])
  })

  it('blank lines, comments and lone semicolons do nothing', () => {
    for (const line of ['', '   ', '# only', ';', ';;', '\n\n']) expect(parseLine(line)).toEqual([])
  })
})

describe('what is refused', () => {
  it.each([
    ['a > b', 'column 3: redirection is not supported'],
    ['a 2>&1', 'column 4: redirection is not supported'],
    ['a < b', 'column 3: redirection is not supported'],
    ['a & b', 'column 3: running in the background is not supported'],
    ['echo $HOME', 'column 6: variables are not supported'],
    ['echo "$HOME"', 'column 7: variables are not supported'],
    ['echo $(a)', 'column 6: variables are not supported'],
    ['echo `a`', 'column 6: command substitution is not supported'],
    ['(a)', 'column 1: subshells are not supported'],
    ["echo 'a", "column 6: the quote ' is never closed"],
    ['echo "a', 'column 6: the quote " is never closed'],
    ['echo \\', 'column 6: the line ends in a backslash'],
    ['a |', 'column 3: | needs a command on both sides'],
    ['| a', 'column 1: | needs a command on both sides'],
    ['a && ; b', 'column 3: && needs a command on both sides'],
    ['a || || b', 'column 3: || needs a command on both sides'],
  ])('%s', (line, message) => {
    expect(() => parseLine(line)).toThrow(LineError)
    expect(() => parseLine(line)).toThrow(message)
  })
})
