/**
 * `conform` as people and scripts call it: the report's schema, the choice of cases, and what is refused.
 */
import { describe, expect, it } from 'vitest'
import { CORE_COMMANDS } from '../../core/shell/core_commands.ts'
import { Registry } from '../../core/shell/registry.ts'
import { Shell } from '../../core/shell/shell.ts'
import { MemoryHost, MemoryTerminal } from '../shell/memory_host.ts'

async function conform(...words: string[]): Promise<{ code: number; output: string; errors: string }> {
  const registry = new Registry(CORE_COMMANDS)
  const shell = new Shell({ host: new MemoryHost(), registry, place: 'program', program: 'pageferry ', keepEvents: false })
  const terminal = new MemoryTerminal()
  const code = await shell.call(['conform', ...words], terminal, { aborted: false })
  return { code, output: terminal.output, errors: terminal.errors }
}

describe('conform', () => {
  it('runs every case on the model, and all agree', async () => {
    const { code, output } = await conform('--json')
    const report = JSON.parse(output)
    expect(report).toMatchObject({ schema: 'pageferry.conform/1', on: 'model', kernel: null, disagreed: [], skipped: [] })
    expect(report.cases).toBeGreaterThanOrEqual(125)
    expect(report.agreed).toBe(report.cases)
    expect(code).toBe(0)
  })

  it('runs the cases that it is told, by assertion, group and id', async () => {
    expect((await conform('30', '31')).output).toBe('2 of 2 cases agree.\n')
    expect(JSON.parse((await conform('api', '7-poll-blocking', '--json')).output).cases).toBe(13)
  })

  it('lists cases and runs none', async () => {
    const { output } = await conform('30', '77', '--list')
    expect(output).toMatch(/^copy: .*\n {2}30-copy-one-page +COPY of one page.*\n(.*\n)*move: .*\n {2}77-move-one-page/)
    const lines = (await conform('98', '--list', '--json')).output.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line).on)).toEqual(Array(lines.length).fill('model'))
    expect(lines).toHaveLength(6)
  })

  it('refuses in one sentence cases that are none, and a kernel to which there is no way', async () => {
    const { code, errors } = await conform('30-copy-one-pag')
    expect(errors).toContain('no case is called 30-copy-one-pag; did you mean 30-copy-one-page?')
    expect(code).toBe(2)
    const kernel = await conform('--on', 'kernel')
    expect(kernel.errors).toMatch(/^pageferry conform: there is no way from here to the kernel[^\n]*\.\n$/)
    expect(kernel.code).toBe(126)
  })
})
