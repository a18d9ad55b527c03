/** The line editor's keys, on a line drawn with `|` for the cursor. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Line } from '../../../renderer/terminal/line_editor.ts'
import { emptyLine, press, remember, splitKeys } from '../../../renderer/terminal/line_editor.ts'

const type = (line: Line, data: string): Line => splitKeys(data).reduce((now, key) => press(now, key).line, line)
const drawn = ({ text, cursor }: Line) => `${text.slice(0, cursor)}|${text.slice(cursor)}`
const line = (data: string, history: string[] = []) => drawn(type(emptyLine(history), data))

describe('line editor', () => {
  test('moves by character, by word and to the ends', () => {
    expect(line('migrate --mem 4M\x01')).toBe('|migrate --mem 4M')
    expect(line('migrate\x01\x05!')).toBe('migrate!|')
    expect(line('ab\x1b[D\x02x')).toBe('x|ab')
    expect(line('migrate --mem\x1bb')).toBe('migrate --|mem')
    expect(line('migrate --mem\x01\x1bf')).toBe('migrate| --mem')
    expect(line('migrate --mem\x1b[1;5D\x1b[1;5D')).toBe('|migrate --mem')
  })

  test('erases and gives back', () => {
    expect(line('ab\x7f')).toBe('a|')
    expect(line('ab\x01\x04')).toBe('|b')
    expect(line('run a.pf\x17')).toBe('run |')
    expect(line('one two\x15\x19\x19')).toBe('one twoone two|')
    expect(line('one two\x01\x0b\x19')).toBe('one two|')
    expect(line('ab\x14')).toBe('ba|')
  })

  test('Up and Down keep to entries that begin with what was typed', () => {
    const history = ['migrate --seed 1', 'help', 'migrate --seed 2']
    expect(line('mi\x1b[A', history)).toBe('migrate --seed 2|')
    expect(line('mi\x1b[A\x1b[A', history)).toBe('migrate --seed 1|')
    expect(line('mi\x1b[A\x1b[A\x1b[A', history)).toBe('migrate --seed 1|')
    expect(line('mi\x1b[A\x1b[B', history)).toBe('mi|')
    expect(line('\x1b[A\x1b[A', history)).toBe('help|')
  })

  test('Ctrl-R finds the newest entry that holds the text; Ctrl-G lets go', () => {
    const history = ['migrate --seed 1', 'help']
    expect(line('\x12seed\x05', history)).toBe('migrate --seed 1|')
    expect(line('x\x12seed\x07', history)).toBe('x|')
    const found = press(type(emptyLine(history), '\x12seed'), '\r')
    expect(found.effect).toBe('run')
    expect(found.line.text).toBe('migrate --seed 1')
  })

  test('a run line is remembered once, and not at all when it begins with a blank', () => {
    const run = (from: Line, text: string) => remember(type(from, text))
    let now = emptyLine([])
    for (const text of ['help', 'help', ' secret', '', 'info migrate']) now = run(now, text)
    expect(now.history).toEqual(['help', 'info migrate'])
    expect(drawn(now)).toBe('|')
  })

  test('a paste of several lines becomes one line and is not run', () => {
    const keys = splitKeys('help\r\nmigrate --seed 2\r\n')
    expect(keys).not.toContain('\r')
    expect(line('help\r\nmigrate --seed 2\r\n')).toBe('help migrate --seed 2|')
  })

  test('keys ask the terminal for what only it can do', () => {
    const effect = (key: string) => press(emptyLine([]), key).effect
    expect([effect('\r'), effect('\t'), effect('\x03'), effect('\x0c'), effect('a')]).toEqual([
      'run',
      'complete',
      'interrupt',
      'clear',
      null,
    ])
  })

  test('no key sequence moves the cursor out of the line or puts a control character into it', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(fc.string(), fc.constantFrom('\x1b[A', '\x1b[B', '\x1b[D', '\x12', '\x19', '\x17', '\x14', '\x7f', '\x1bd')),
        ),
        (data) => {
          const reached = data.reduce((now, part) => type(now, part), emptyLine(['migrate', 'help']))
          expect(reached.cursor).toBeGreaterThanOrEqual(0)
          expect(reached.cursor).toBeLessThanOrEqual(reached.text.length)
          expect(reached.text).not.toMatch(/[\x00-\x1f\x7f]/)
        },
      ),
    )
  })
})
