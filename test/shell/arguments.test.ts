/**
 * Arguments: what is right is read, and what is wrong is one sentence with the option and an example.
 */
import { describe, expect, it } from 'vitest'
import { ArgumentError, parseArguments } from '../../core/shell/arguments.ts'
import { ferry } from './sample_commands.ts'

function complaint(...words: string[]): string {
  try {
    parseArguments(ferry, words)
  } catch (error) {
    if (error instanceof ArgumentError) return error.message
    throw error
  }
  throw new Error(`${words.join(' ')} was accepted`)
}

describe('what is right', () => {
  it('a value follows its option or stands behind =', () => {
    for (const words of [['--mem', '1M'], ['--mem=1M']]) expect(parseArguments(ferry, words).number('mem', 0)).toBe(2 ** 20)
  })

  it('short options take values beside or behind them', () => {
    for (const words of [['-s', '7'], ['-s7'], ['-s=7'], ['--seed', '7']])
      expect(parseArguments(ferry, words).number('seed', 0)).toBe(7)
    expect(parseArguments(ferry, ['-n']).has('dry')).toBe(true)
  })

  it('a repeatable option keeps every value in order', () => {
    expect(parseArguments(ferry, ['--note', 'b', '--note=a=c']).list('note')).toEqual(['b', 'a=c'])
  })

  it('what was not given answers the fallback', () => {
    const given = parseArguments(ferry, [])
    expect([given.number('mem', 5), given.text('mode'), given.has('dry'), given.list('note')]).toEqual([5, null, false, []])
  })

  it('behind -- everything is a word', () => {
    expect(() => parseArguments(ferry, ['--', '--dry'])).toThrow('LOAD --dry is not one of sheep, goats')
    expect(parseArguments(ferry, ['--dry', '--', 'sheep']).positionals).toEqual(['sheep'])
  })

  it('help is seen before anything else is checked', () => {
    expect(parseArguments(ferry, ['--mem', 'rubbish', '-h']).wantsHelp).toBe(true)
    expect(parseArguments(ferry, ['--nothing', '--help']).wantsHelp).toBe(true)
  })

  it('asking for an option that does not exist is a bug, not an answer', () => {
    expect(() => parseArguments(ferry, []).has('memory')).toThrow('ferry has no --memory')
  })
})

describe('what is wrong', () => {
  it.each([
    [['--bandwith', '1Gbps'], 'has no option --bandwith; did you mean --bandwidth?'],
    [['--xyzzyx'], 'has no option --xyzzyx; see help ferry'],
    [['--mem'], '--mem needs a value, for example --mem 64M'],
    [['--mem', '--dry'], '--mem needs a value, for example --mem 64M'],
    [['--mem='], '--mem needs a value, for example --mem 64M'],
    [['--mem', '64'], '--mem 64 needs a unit, for example 64M'],
    [['--mem', '1k'], '--mem 1k is too small; it must be at least 4k'],
    [['--mem', '64G'], '--mem 64G is too large; it must be at most 1G'],
    [['--bandwidth=-1Gbps'], '--bandwidth -1Gbps must not be negative, for example 10Gbps or 200MiB/s'],
    [['--bandwidth', '-1Gbps'], '--bandwidth -1Gbps must not be negative, for example 10Gbps or 200MiB/s'],
    [['--seed', '1001'], '--seed 1001 must be at most 1000'],
    [['--mode', 'fats'], '--mode fats is not one of slow, fast; did you mean fast?'],
    [['--mode', 'flying'], '--mode flying is not built yet; this version has slow and fast'],
    [['--sail'], '--sail is not built yet; this version has oars'],
    [['--dry=yes'], '--dry takes no value; write --dry alone'],
    [['--mem', '1M', '--mem', '2M'], '--mem is given twice; keep one of the two'],
    [['shep'], 'LOAD shep is not one of sheep, goats; did you mean sheep?'],
    [['sheep', 'wolf'], "does not know what to do with 'wolf'; it takes LOAD only"],
  ])('%j', (words, message) => {
    expect(complaint(...words)).toBe(message)
  })

  it('what a terminal would obey is not printed back', () => {
    expect(complaint('--mode', '\u001b[2Jboo')).toBe('--mode ?[2Jboo is not one of slow, fast')
    expect(complaint(`--mode=${'x'.repeat(500)}`).length).toBeLessThan(120)
  })
})
