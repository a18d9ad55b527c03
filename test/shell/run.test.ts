/**
 * Scripts: each line is a typed line; the first that fails ends the script and gives its exit code; settings hold inside it only.
 */
import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { CORE_COMMANDS } from '../../core/shell/core_commands.ts'
import { Registry } from '../../core/shell/registry.ts'
import { Shell } from '../../core/shell/shell.ts'
import { MemoryHost, MemoryTerminal } from './memory_host.ts'

const SMALL = 'migrate --guest uniform --mem 1M --duration 1ms --bandwidth 1Gbps'

async function script(text: string, words: readonly string[] = [], stop = { aborted: false }) {
  const host = new MemoryHost({ 's.pf': text })
  const shell = new Shell({
    host,
    registry: new Registry(CORE_COMMANDS),
    place: 'program',
    program: 'pageferry ',
    keepEvents: false,
  })
  const terminal = new MemoryTerminal()
  const code = await shell.call(['run', 's.pf', ...words], terminal, stop)
  return { code, out: terminal.output, err: terminal.errors }
}

describe('a script', () => {
  it('runs each line as it would be typed: pipes, && and comments', async () => {
    const { code, out, err } = await script(`# two lines\n\n${SMALL} | grep -c consistent\n${SMALL} --quiet && echo done\n`)
    expect([code, out, err]).toEqual([0, '1\ndone\n', ''])
  })

  it('ends at the first line that fails, with its exit code and its place', async () => {
    const { code, out, err } = await script(`echo one\nmigrate --mem nonsense\necho three\n`)
    expect([code, out]).toEqual([2, 'one\n'])
    expect(err).toContain('pageferry run: s.pf:2: migrate --mem nonsense ended with exit code 2.')
  })

  it('goes on behind it if told to, and still says that one failed', async () => {
    const { code, out } = await script(`nonsense\necho two\n`, ['--keep-going'])
    expect([code, out]).toEqual([127, 'two\n'])
  })

  it('keeps its settings to itself, line by line', async () => {
    const { out } = await script(`migrate_set_capability auto-converge on\n${SMALL} --mode precopy --json | grep auto-converge\n`)
    expect(out).toContain('"auto-converge": true')
  })

  it('prints its lines if asked', async () => expect((await script('echo one\n', ['-x'])).err).toBe('+ echo one\n'))

  it('may have lines that end as Windows ends them', async () => expect((await script('echo one\r\n')).out).toBe('one\n'))
})

it('the example in docs runs to its end', async () => {
  const { code, out } = await script(await readFile('docs/examples/modes.pf', 'utf8'))
  expect(code).toBe(0)
  expect(out).toMatch(/recovered\n$/)
  expect(out.match(/total-time/g)).toHaveLength(3)
}, 60_000)

it('a file that is not there is one sentence', async () => {
  const shell = new Shell({
    host: new MemoryHost(),
    registry: new Registry(CORE_COMMANDS),
    place: 'program',
    program: '',
    keepEvents: false,
  })
  const terminal = new MemoryTerminal()
  expect(await shell.call(['run', 'none.pf'], terminal, { aborted: false })).toBe(1)
  expect(await shell.call(['run', 'x.yaml'], terminal, { aborted: false })).toBe(1)
  expect(terminal.errors).toMatch(/^run: there is no file none.pf; .*\nrun: there is no file x.yaml; .*\n$/)
})
