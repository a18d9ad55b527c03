/**
 * `explore` and `replay` from words to exit code, in this process and with files in memory.
 */
import { describe, expect, it } from 'vitest'
import { callProgram } from '../../core/api/command_line.ts'
import { MUSEUM } from '../../core/litmus/museum.ts'
import { MemoryHost, MemoryTerminal } from './memory_host.ts'

const NAME = 'two-movers-one-destination'
const OUT = ['explore', NAME, '--without', 'remap-pte-recheck']

async function pageferry(words: string[], host = new MemoryHost(), stop = { aborted: false }) {
  const terminal = new MemoryTerminal()
  const code = await callProgram({ host, commands: [], observer: {} }, words, terminal, stop)
  const rows = terminal.output.split('\n').filter((line) => line.startsWith('{'))
  return { code, out: terminal.output, err: terminal.errors, rows: rows.map((row) => JSON.parse(row)), host }
}

describe('explore', () => {
  it('without a name lists the museum, as a table and as JSON', async () => {
    const table = await pageferry(['explore'])
    expect([table.code, table.out.includes(NAME)]).toEqual([0, true])
    const { code, rows } = await pageferry(['explore', '--list', '--json'])
    expect([code, rows.map(({ litmus }) => litmus)]).toEqual([0, MUSEUM.map(({ name }) => name)])
    expect(rows[0]).toMatchObject({ result: 'never', memoryModel: 'sc', refs: ['R36'], protections: ['remap-pte-recheck'] })
  })

  it('verifies what is clean, and claims no more than it did', async () => {
    const { code, out } = await pageferry(['explore', NAME])
    expect(code).toBe(0)
    expect(out.replace(/\s+/g, ' ')).toMatch(
      /verified: all [\d,]+ interleavings \([\d,]+ traces up to equivalence\), memory model SC, any number/,
    )
    const bounded = await pageferry(['explore', NAME, '--strategy', 'random', '--schedules', '300', '--json'])
    expect([bounded.code, bounded.rows[0]]).toEqual([
      0,
      expect.objectContaining({ verdict: 'bounded', bound: { schedules: 300 } }),
    ])
  })

  it('tells the race that a missing protection lets in, and replay runs it again', async () => {
    const { code, rows } = await pageferry([...OUT, '--json'])
    expect([code, rows[0].schema, rows[0].verdict]).toEqual([3, 'pageferry.explore/1', 'violation'])
    expect(rows[0].replay).toBe(`pageferry replay ${rows[0].schedule}`)
    const again = await pageferry(['replay', rows[0].schedule, '--json'])
    expect([again.code, again.rows.at(-1).invariant]).toEqual([3, rows[0].invariant])
    expect(again.rows).toHaveLength(rows[0].counterexample.steps + 1)
    expect((await pageferry(OUT)).out).toContain(`again: pageferry replay ${rows[0].schedule}`)
  })

  it('replays from a file that explore wrote, too, and writes a trace for Perfetto', async () => {
    const host = new MemoryHost()
    await host.write('found.json', [(await pageferry([...OUT, '--json'])).out])
    const { code } = await pageferry(['replay', 'found.json', '--quiet', '--perfetto', 'race.json'], host)
    expect([code, JSON.parse(host.text('race.json')).traceEvents.length > 20]).toEqual([3, true])
  })

  it.each([
    [['explore', 'two-movers-one-destinatio'], 'did you mean two-movers-one-destination?'],
    [['explore', NAME, '--without', 'remap-pte-rechek'], 'did you mean remap-pte-recheck?'],
    [['explore', NAME, '--model', 'tos'], 'tso'],
    [['explore', 'all', '--perfetto', 'x'], 'name one'],
    [['replay', `${NAME}:remap-pte-rechek:2x3`], 'did you mean remap-pte-recheck?'],
    [['replay', 'nonsense'], 'is not a schedule'],
  ])('%j is refused in one sentence', async (words, reason) => {
    const { code, out, err } = await pageferry(words)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain(reason)
    expect(err.trimEnd().split('\n')).toHaveLength(1)
  })

  it('searches another memory model, and replays what that one broke', async () => {
    const without = ['--without', 'uffd-sleep-mb']
    const own = await pageferry(['explore', 'fault-against-placing-tso', '--model', 'sc', ...without])
    expect([own.code, own.out.includes('I-WAIT')]).toEqual([0, false])
    const weaker = await pageferry(['explore', 'fault-against-placing-tso', '--model', 'pso', ...without])
    expect([weaker.code, weaker.out.includes('I-WAIT')]).toEqual([3, true])
    const schedule = /fault-against-placing-tso:uffd-sleep-mb:@pso:[0-9x.]+/.exec(weaker.out)?.[0] ?? ''
    const replayed = await pageferry(['replay', schedule])
    expect([replayed.code, replayed.out.includes('I-WAIT')]).toEqual([3, true])
  })

  it('says when a litmus test does not list a protection, and searches all the same', async () => {
    const { code, err } = await pageferry([
      'explore',
      NAME,
      '--without',
      'remap-index',
      '--strategy',
      'random',
      '--schedules',
      '5',
    ])
    expect([code === 0 || code === 3, err]).toEqual([true, expect.stringContaining('does not list remap-index')])
  })

  it('interrupted says what is known, exits 130', async () => {
    const { code, err } = await pageferry(['explore', NAME, '--strategy', 'random'], new MemoryHost(), { aborted: true })
    expect([code, err]).toEqual([
      130,
      expect.stringMatching(/interrupted after 0 litmus tests of 1; under way: .* [\d,]+ schedules/),
    ])
  })
})

describe('a checkpoint', () => {
  const words = ['explore', NAME, '--checkpoint', 'kept.json', '--json']

  it('is gone on from: what it holds is not searched again', async () => {
    const { host, rows } = await pageferry(words)
    const kept = JSON.parse(host.text('kept.json'))
    kept.answers[0].wallSeconds = 1234
    await host.write('kept.json', [JSON.stringify(kept)])
    const again = await pageferry(words, host)
    expect(again.rows).toEqual([{ ...rows[0], wallSeconds: 1234 }])
  })

  it.each([
    ['is not JSON', () => 'half {'],
    ['no checkpoint', () => '{"schema":"other"}'],
    ['version', (text: string) => text.replace(/"version":"[^"]+"/, '"version":"0.0.0"')],
    ['belongs to another search', (text: string) => text.replace('\\"seed\\":1', '\\"seed\\":2')],
    ['larger than', (text: string) => text + ' '.repeat(17 * 2 ** 20)],
  ])('is refused where it %s', async (reason, damaged) => {
    const { host } = await pageferry(words)
    await host.write('kept.json', [damaged(host.text('kept.json'))])
    const { code, out, err } = await pageferry(words, host)
    expect([code, out, err.includes(reason)]).toEqual([1, '', true])
  })
})
