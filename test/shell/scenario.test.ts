/**
 * Scenarios: what a file says becomes the words of migrate, step by step; what is wrong is named with its place before anything runs.
 */
import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { parseScenario } from '../../core/shell/commands/scenario.ts'
import { CORE_COMMANDS } from '../../core/shell/core_commands.ts'
import { Registry } from '../../core/shell/registry.ts'
import { Shell } from '../../core/shell/shell.ts'
import { MemoryHost, MemoryTerminal } from './memory_host.ts'

const wordsOf = (text: string) => parseScenario(text, 's.yaml').steps.map(({ words }) => words.join(' '))

function complaint(text: string): string {
  try {
    parseScenario(text, 's.yaml')
  } catch (error) {
    return error instanceof Error ? error.message : ''
  }
  return ''
}

describe('a scenario', () => {
  it('without steps is one migration', () => {
    const text =
      'version: 1\nname: one\nmigrate: { guest: idle, mem: 4M, seed: 7, recover: true, quiet: false }\ninject: [loss=1%]\n'
    expect(wordsOf(text)).toEqual(['migrate --guest idle --mem 4M --seed 7 --recover --inject loss=1%'])
  })

  it('has steps with options of their own: what has one value is replaced, what has many grows', () => {
    const head = 'version: 1\nname: two\nmigrate:\n  mem: 4M\n  capability: { multifd: on }\n  mode: precopy\nsteps:\n'
    const steps =
      '  - name: a\n  - name: b\n    migrate: { mem: 8M, capability: { xbzrle: false }, parameter: { multifd-channels: 4 } }\n'
    expect(wordsOf(head + steps)).toEqual([
      'migrate --mem 4M --capability multifd=on --mode precopy',
      'migrate --capability multifd=on --mode precopy --mem 8M --capability xbzrle=off --parameter multifd-channels=4',
    ])
  })

  it.each([
    ['name: x\n', '1:1: version: write version: 1'],
    ['version: 2\nname: x\n', '1:1: version: write version: 1'],
    [
      'version: 1\nname: x\nmigrat: {}\n',
      '3:1: there is no migrat; did you mean migrate?; keys here are version, name, migrate, inject, steps',
    ],
    ['version: 1\nname: x\nmigrate:\n  mme: 4M\n', '4:3: migrate has no option mme; did you mean mem?; see migrate --help'],
    ['version: 1\nname: x\nmigrate:\n  mem: 4Q\n', '4:3: --mem 4Q'],
    ['version: 1\nname: x\nmigrate:\n  mem: [4M, 8M]\n', '4:3: mem has one value; write mem: VALUE'],
    ['version: 1\nname: x\nmigrate:\n  recover: yes\n', '4:3: recover is either true or false'],
    ['version: 1\nname: x\ninject:\n  - nonsense@never\n', '4:5: --inject nonsense is not one of loss,'],
    ['version: 1\nname: x\nsteps:\n  - name: a\n  - nam: b\n', '5:5: '],
    ['version: 1\nname: x\nsteps: []\n', '3:1: steps: give at least one step, or leave steps out'],
    [
      'version: 1\nname: x\nsteps:\n  - name: a\n    migrate: { postcopy-after: 1passes }\n',
      '4:5: --postcopy-after is for --mode hybrid',
    ],
    ['version: 1\nname: [x\n', '3:1: '],
  ])('is refused with its place: %j', (text, begins) => {
    expect(complaint(text)).toContain(`s.yaml:${begins}`)
  })

  it('that is wrong in its last step runs none', async () => {
    const text = 'version: 1\nname: x\nmigrate: { mem: 1M }\nsteps:\n  - name: a\n  - name: b\n    migrate: { vcpus: none }\n'
    const { code, out, err } = await run(text)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain('s.yaml:7:16: --vcpus none')
  })

  it('the example in docs runs to its end', async () => {
    const { code, out } = await run(await readFile('docs/examples/link_breaks.yaml', 'utf8'))
    expect([code, out.match(/^# /gm)?.length]).toEqual([0, 3])
  }, 60_000)
})

async function run(text: string) {
  const host = new MemoryHost({ 's.yaml': text })
  const registry = new Registry(CORE_COMMANDS)
  const shell = new Shell({ host, registry, place: 'program', program: 'pageferry ', keepEvents: false })
  const terminal = new MemoryTerminal()
  const code = await shell.call(['run', 's.yaml'], terminal, { aborted: false })
  return { code, out: terminal.output, err: terminal.errors }
}
