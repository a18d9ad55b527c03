/**
 * The interactive terminal: lines in order, a script's exit code, Ctrl-C for the command and not the shell, kept history.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Command } from '../../core/shell/command.ts'
import { Registry } from '../../core/shell/registry.ts'
import { Shell } from '../../core/shell/shell.ts'
import { historyPath, loadHistory, saveHistory } from '../../main/cli/history.ts'
import { shellCommand } from '../../main/cli/shell_command.ts'
import { MemoryHost, MemoryTerminal } from '../shell/memory_host.ts'
import { SAMPLE_COMMANDS } from '../shell/sample_commands.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pageferry-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Runs until it is stopped, and says so. */
const row: Command = {
  name: 'row',
  group: 'Migration',
  summary: 'rows until stopped',
  description: '',
  positionals: [],
  options: [],
  examples: [],
  async run({ stop, terminal, host }) {
    terminal.out('rowing\n')
    while (!stop.aborted) await host.breathe()
    terminal.err('stopped\n')
    return 130
  },
}

function start(isTerminal: boolean) {
  const input = new PassThrough()
  const output = new PassThrough()
  const terminal = new MemoryTerminal()
  let tell: () => void = () => undefined
  const whenStopped = new Promise<void>((resolve) => {
    tell = resolve
  })
  const env = { XDG_STATE_HOME: folder }
  const shellEntry = shellCommand({ input, output, isTerminal, env, whenStopped })
  const shell = new Shell({
    host: new MemoryHost(),
    registry: new Registry([...SAMPLE_COMMANDS, row, shellEntry]),
    place: 'program',
    program: 'pageferry ',
    keepEvents: false,
  })
  output.resume()
  const ended = shell.call(['shell'], terminal, { aborted: false })
  return { input, terminal, ended, tell, history: join(folder, 'pageferry', 'history') }
}

async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; round < 500 && !condition(); round++) await new Promise((resolve) => setTimeout(resolve, 4))
  expect(condition()).toBe(true)
}

describe('a script from a pipe', () => {
  it('runs its lines in order and exits with the code of the last', async () => {
    const { input, terminal, ended } = start(false)
    input.end('echo one\n# nothing\nleave 3\nleave 4\n')
    expect(await ended).toBe(4)
    expect(terminal.output).toBe('one\nleft with 3\nleft with 4\n')
  })

  it('exit ends it early', async () => {
    const { input, terminal, ended } = start(false)
    input.end('echo one\nexit\necho two')
    expect(await ended).toBe(0)
    expect(terminal.output).toBe('one\n')
  })

  it('a last line without its end is a line', async () => {
    const { input, ended } = start(false)
    input.end('leave 7')
    expect(await ended).toBe(7)
  })

  it('a signal to the process stops the command that runs, and leaves', async () => {
    const { input, terminal, ended, tell } = start(false)
    input.write('row\necho after\n')
    await until(() => terminal.output.includes('rowing'))
    tell()
    expect(await ended).toBe(130)
    expect(terminal.output).not.toContain('after')
  })
})

describe('at a terminal', () => {
  it('Ctrl-C stops the command and not the shell; Ctrl-D leaves', async () => {
    const { input, terminal, ended } = start(true)
    input.write('row\r')
    await until(() => terminal.output.includes('rowing'))
    input.write('\u0003')
    await until(() => terminal.errors.includes('stopped'))
    input.write('echo still here\r')
    await until(() => terminal.output.includes('still here'))
    input.write('\u0004')
    expect(await ended).toBe(0)
  })

  it('Ctrl-C at the prompt drops the line', async () => {
    const { input, terminal, ended } = start(true)
    input.write('leave 5')
    input.write('\u0003')
    await until(() => terminal.output.includes('^C'))
    input.write('echo fresh\r')
    await until(() => terminal.output.includes('fresh'))
    input.write('exit\r')
    expect(await ended).toBe(0)
    expect(terminal.output).not.toContain('left')
  })

  it('Tab completes a word that is alone, and shows meanings where there are several', async () => {
    const { input, terminal, ended } = start(true)
    input.write('ferry sh\t')
    await new Promise((resolve) => setTimeout(resolve, 50))
    input.write('\r')
    await until(() => terminal.output.includes('sheep mem='))
    input.write('ferry --mode \t')
    await until(() => /slow +safe/.test(terminal.output) && /fast +wet/.test(terminal.output))
    input.write('\u0003')
    input.write('exit\r')
    expect(await ended).toBe(0)
  })

  it('lines are kept for the next time, but not those that begin with a space', async () => {
    const { input, terminal, ended, history } = start(true)
    input.write('echo keep\r')
    input.write(' echo secret\r')
    await until(() => terminal.output.includes('secret'))
    input.write('exit\r')
    await ended
    expect(readFileSync(history, 'utf8')).toBe('echo keep\nexit\n')
    expect(statSync(history).mode & 0o777).toBe(0o600)
    expect(loadHistory(history)).toEqual(['exit', 'echo keep'])
  })
})

describe('history', () => {
  it('lies in the XDG state folder', () => {
    expect(historyPath({ XDG_STATE_HOME: '/somewhere' })).toBe('/somewhere/pageferry/history')
    expect(historyPath({ XDG_STATE_HOME: 'relative' })).toMatch(/\/\.local\/state\/pageferry\/history$/)
  })

  it('that cannot be kept stops nobody', () => {
    writeFileSync(join(folder, 'file'), '')
    saveHistory(join(folder, 'file', 'history'), ['a'])
    expect(existsSync(join(folder, 'file', 'history'))).toBe(false)
    expect(loadHistory(join(folder, 'file', 'history'))).toEqual([])
  })
})
