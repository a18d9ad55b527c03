/**
 * `bench` from words to exit code: rows as the contract has them, and Ctrl-C at once.
 */
import { expect, it } from 'vitest'
import { callProgram } from '../../core/api/command_line.ts'
import { SCENARIOS } from '../../core/run/guestperf.ts'
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

it('published: a row a cell as the contract has it, and the text says how many are inside', async () => {
  const { code, out } = await bench(['published', '--table', 'T9', '--json'])
  const { suite, inside, rows, tables } = JSON.parse(out)
  expect([code, suite, rows.length, tables.length]).toEqual([0, 'published', 2, 1])
  for (const { table, cell, expected, low, high, got, error } of rows) {
    expect([table, typeof cell, low <= expected && expected <= high]).toEqual(['T9', 'string', true])
    expect(error).toBeCloseTo((got - expected) / expected, 10)
  }
  expect(inside).toBe(
    rows.filter((row: { got: number; low: number; high: number }) => row.low <= row.got && row.got <= row.high).length,
  )
  expect((await bench(['published', '--table', 'T9'])).out).toContain(`${inside} of 2 cells are inside their bands`)
})

it('resolvers: a row for each way to place a page', async () => {
  const { code, out } = await bench(['resolvers', '--faults', 'classic', '--quick', '--json'])
  const { rows } = JSON.parse(out)
  expect([code, rows.map(({ name }: { name: string }) => name)]).toEqual([0, ['remap classic', 'move classic', 'copy classic']])
  for (const { metric } of rows) expect(metric.median).toBeGreaterThan(0)
})

it('guestperf: upstream names, an outcome each, and a reason where there is none', async () => {
  const { code, out } = await bench(['guestperf', '--quick', '--json'])
  const { rows } = JSON.parse(out)
  const of = (name: string) => rows.find((row: { name: string }) => row.name === name)
  expect([code, rows.length]).toEqual([0, SCENARIOS.length])
  expect(of('post-copy-bw-1gbs')).toMatchObject({ comparison: 'post-copy-bandwidth', outcome: 'completed' })
  expect(of('auto-converge-bw-1gbs').outcome).toBe('gave up after 10 passes')
  // 300 s for 1 GiB.
  expect(of('auto-converge-bw-100mbs').outcome).toBe('gave up after 7.03125s')
  expect(of('compr-mt-threads-2')).toMatchObject({ metric: null, outcome: expect.stringContaining('refused: ') })
})

it('scale: stops when it is asked to', async () => {
  const { code, err } = await bench(['scale', '--quick'], { aborted: true })
  expect(code).toBe(130)
  expect(err).toMatch(/interrupted after \d of 27 rows/)
})

it('an unknown suite or table is refused with what there is', async () => {
  expect(await bench(['nonsense'])).toMatchObject({ code: 2, out: '' })
  const { code, err } = await bench(['published', '--table', 'T99'])
  expect([code, err.includes('T5')]).toEqual([2, true])
})
