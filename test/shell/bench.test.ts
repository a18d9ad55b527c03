/**
 * `bench` from words to exit code: rows as the contract has them, and Ctrl-C at once.
 */
import { expect, it } from 'vitest'
import { callProgram } from '../../core/api/command_line.ts'
import { MemoryHost, MemoryTerminal } from './memory_host.ts'

async function bench(words: string[], stop = { aborted: false }) {
  const terminal = new MemoryTerminal()
  const code = await callProgram({ host: new MemoryHost(), commands: [], observer: {} }, ['bench', ...words], terminal, stop)
  return { code, out: terminal.output, err: terminal.errors }
}

it('faults: a row for each load of a path, with median and bounds', async () => {
  const { code, out } = await bench(['faults', '--faults', 'classic', '--quick', '--json'])
  const { schema, suite, rows } = JSON.parse(out)
  expect([code, schema, suite]).toEqual([0, 'pageferry.bench/1', 'faults'])
  expect(rows.map(({ name }: { name: string }) => name)).toEqual(['ebizzy', 'compile'])
  for (const { metric } of rows) expect(metric.low <= metric.median && metric.median <= metric.high).toBe(true)
})

it('published: stops when it is asked to, and says how far it was', async () => {
  const { code, err, out } = await bench(['published', '--table', 'T5'], { aborted: true })
  expect([code, out]).toEqual([130, ''])
  expect(err).toContain('interrupted in T5, after 0 cells')
})

it('an unknown suite or table is refused with what there is', async () => {
  expect(await bench(['nonsense'])).toMatchObject({ code: 2, out: '' })
  const { code, err } = await bench(['published', '--table', 'T99'])
  expect([code, err.includes('T5')]).toEqual([2, true])
})
