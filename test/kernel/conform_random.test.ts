/**
 * Random call sequences on model and host: they agree, a fault planted in the model is found and shrunk, and the command tells it all.
 *
 * Needs Linux on x86-64 with userfaultfd permitted; skipped by name elsewhere. A longer run: PAGEFERRY_SEQUENCES=2000 npm test -- conform_random
 */
import { describe, expect, it } from 'vitest'
import { isTogether } from '../../core/conform/case.ts'
import { judge } from '../../core/conform/judge.ts'
import type { ModelOptions } from '../../core/conform/model_world.ts'
import { caseOfSequence, drawSequence, type Sequence } from '../../core/conform/random_sequence.ts'
import { shrink } from '../../core/conform/shrink.ts'
import { CORE_COMMANDS } from '../../core/shell/core_commands.ts'
import { Registry } from '../../core/shell/registry.ts'
import { Shell } from '../../core/shell/shell.ts'
import { runCasesOnKernel } from '../../main/kernel/conform/run_cases.ts'
import { hostKernel } from '../../main/kernel/host_kernel.ts'
import { MemoryHost, MemoryTerminal } from '../shell/memory_host.ts'
import { named, noPuppets } from './host.ts'

const SEQUENCES = Number(process.env.PAGEFERRY_SEQUENCES ?? 40)

async function verdicts(sequences: readonly Sequence[], options: ModelOptions = {}) {
  const cases = sequences.map((sequence) => caseOfSequence(sequence, options))
  const runs = await runCasesOnKernel(cases)
  return cases.map((one, i) => {
    const run = runs[i]
    if (run === undefined) throw new Error(`${one.id} was not run`)
    return judge(one, run, options)
  })
}

describe.skipIf(noPuppets !== null)(named("the host's kernel and the model", noPuppets), () => {
  it(`agree on ${SEQUENCES} random sequences`, { timeout: 600_000 }, async () => {
    const sequences = Array.from({ length: SEQUENCES }, (_, n) => drawSequence(5, n))
    expect((await verdicts(sequences)).filter(({ kind }) => kind !== 'agreed')).toEqual([])
  })

  it('disagree where a protection is left out of the model, and the shortest sequence shows it', {
    timeout: 120_000,
  }, async () => {
    // Resolving calls that do not wait for the end of a change of the layout.
    const options: ModelOptions = { without: ['uffd-mmap-changing'] }
    const sequences = [24, 48, 54, 88].map((n) => drawSequence(11, n, options))
    const found = await verdicts(sequences, options)
    const at = found.findIndex(({ kind }) => kind === 'disagreed')
    const sequence = sequences[at]
    if (sequence === undefined) throw new Error('nothing disagrees')
    const short = await shrink(sequence, async (some) => (await verdicts(some, options)).map(({ kind }) => kind === 'disagreed'))
    expect(short.calls.length).toBeLessThanOrEqual(3)
    expect(short.calls.length).toBeLessThan(sequence.calls.length)
    // The sound model answers as the kernel does.
    expect((await verdicts([short]))[0]).toEqual({ kind: 'agreed' })
  })

  it('are compared by conform --random: as many sequences as asked for, the same ones each time', {
    timeout: 60_000,
  }, async () => {
    const conform = async (...words: string[]) => {
      const host = Object.assign(new MemoryHost(), { kernel: hostKernel })
      const registry = new Registry(CORE_COMMANDS)
      const shell = new Shell({ host, registry, place: 'program', program: 'pageferry ', keepEvents: false })
      const terminal = new MemoryTerminal()
      const code = await shell.call(['conform', ...words], terminal, { aborted: false })
      return { code, output: terminal.output, errors: terminal.errors }
    }
    const { code, output } = await conform('--random', '6', '--seed', '2', '--json')
    expect(JSON.parse(output)).toMatchObject({
      schema: 'pageferry.conform/1',
      on: 'both',
      cases: 6,
      agreed: 6,
      disagreed: [],
      seed: 2,
    })
    expect(code).toBe(0)
    expect((await conform('--random', '2', '--on', 'model')).errors).toBe(
      'pageferry conform: --random compares both; leave out --on.\n',
    )
    expect((await conform('--random', '1', '--first', '7')).output).toMatch(/^1 of 1 sequence agree/)
  })

  it('run two calls at once, and each answer is one that the model allows', { timeout: 60_000 }, async () => {
    const pairs = Array.from({ length: 20 }, (_, i) => drawSequence(9, 2 * i + 1)).filter(({ pair }) => pair !== null)
    expect(pairs.length).toBeGreaterThan(5)
    expect(pairs.every((pair) => caseOfSequence(pair).steps.some(isTogether))).toBe(true)
    expect((await verdicts(pairs)).map(({ kind }) => kind)).toEqual(pairs.map(() => 'agreed'))
  })
})
