/**
 * Completion: a command, then its options, then an option's value, each with a meaning.
 */
import { describe, expect, it } from 'vitest'
import { completeLine, completionStart } from '../../core/shell/completion.ts'
import { Registry } from '../../core/shell/registry.ts'
import { MemoryHost } from './memory_host.ts'
import { SAMPLE_COMMANDS } from './sample_commands.ts'

const registry = new Registry(SAMPLE_COMMANDS)
const host = new MemoryHost({ 'logs/a.txt': '', 'logs/b c.txt': '' })

async function words(line: string): Promise<string[]> {
  return (await completeLine(registry, 'terminal', line, host)).map(({ word }) => word)
}

describe('completion', () => {
  it.each([
    ['fe', ['ferry']],
    ['echo a && le', ['leave']],
    ['help fe', ['ferry']],
    ['ferry --m', ['--mem', '--mode']],
    ['ferry --mem 1M --m', ['--mode']],
    ['ferry --mode ', ['slow', 'fast']],
    ['ferry --mode=f', ['--mode=fast']],
    ['ferry --mem ', ['64M']],
    ['ferry s', ['sheep']],
    ['ferry --mem 1M ', ['sheep', 'goats']],
    ['ferry --log lo', ['logs/a.txt', "'logs/b c.txt'"]],
    ['echo a | ', ['grep', 'head', 'tail', 'wc', 'sort']],
    ['nothing --', []],
    ['ferry sheep # --m', []],
  ])('%j', async (line, expected) => {
    expect(await words(line)).toEqual(expected)
  })

  it('what is not built is not offered, and what may come again is', async () => {
    expect(await words('ferry --sa')).toEqual([])
    expect(await words('ferry --note a --no')).toEqual(['--note'])
  })

  it('every offer has a meaning', async () => {
    for (const line of ['', 'ferry -', 'ferry --mode ', 'help ']) {
      const found = await completeLine(registry, 'terminal', line, host)
      expect(found.length).toBeGreaterThan(0)
      for (const { meaning } of found) expect(meaning).not.toBe('')
    }
  })

  it('replaces from where the word began', () => {
    expect(completionStart('ferry --mo')).toBe(6)
    expect(completionStart('ferry ')).toBe(6)
    expect(completionStart("ferry 'a b")).toBe(6)
  })
})
