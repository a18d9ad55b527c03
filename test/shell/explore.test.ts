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

  it.each([80, 120])('tells at length of a single one, at %i columns', async (columns) => {
    const wide = 'page-placed-after-it-was-given-back'
    const terminal = new MemoryTerminal(columns)
    const program = { host: new MemoryHost(), commands: [], observer: {} }
    expect(await callProgram(program, ['explore', '--list', wide], terminal, { aborted: false })).toBe(0)
    const words = terminal.output.replace(/\s+/g, ' ')
    expect(words).toContain('(R73): The guest gives a page back, and reads what the page held before. never: no interleaving')
    expect(words).toContain('vcpu: madvise(DONTNEED), load page listen: look, place, mark fault: read the removal')
    expect(words).toContain('remove-under-map-lock the look at a page in the map')
    expect(words).toContain('Without it: what the guest gave back comes to life again')
    expect(words).toContain('In a real kernel: e2b restores Firecracker')
    expect(words).toContain('- https://github.com/e2b-dev/infra/pull/2520')
    // A command is not broken.
    const lines = terminal.output.split('\n').filter((line) => !line.includes('pageferry explore'))
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns)
  })

  it('tells the label with a verdict, and the history below a story', async () => {
    const clean = await pageferry(['explore', 'root-read-twice'])
    expect(clean.out).toMatch(/^root-read-twice: .*What keeps the race away:.*In a real kernel:.*root-read-twice: verified/s)
    const broken = await pageferry(['explore', 'root-read-twice', '--without', 'rmap-root-once'])
    expect(broken.out).toMatch(/again: pageferry replay .*In a real kernel:.*Hugh Dickins/s)
    expect(broken.out).not.toContain('What keeps the race away')
    const quiet = await pageferry(['explore', 'root-read-twice', '--quiet'])
    expect([quiet.code, quiet.out]).toEqual([0, ''])
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
    ['run.trace', '# pageferry trace 1\n        0 ', 'of a migration and holds no schedule; migrate with'],
    ['run.json', '{"displayTimeUnit":"ns","otherData":{"producer":"pageferry"},', 'of a migration and holds no schedule'],
    ['report.json', '{\n  "schema": "pageferry.report/1",\n  "seed": 1', 'of a migration and holds no schedule'],
    [
      'real.trace',
      '# pageferry trace 1\n# a real run on Linux 6.18: ',
      'on the real kernel, which never runs the same way twice',
    ],
    ['real.json', '{"otherData":{"producer":"pageferry","machine":"kernel","release":"6.18"}', 'on the real kernel'],
    ['real_report.json', '{\n  "schema": "pageferry.report/1",\n  "version": "1",\n  "machine": "kernel",', 'on the real kernel'],
  ])('replay of %s, which a migration wrote, says what there is instead', async (path, text, answer) => {
    const { code, err } = await pageferry(['replay', path], new MemoryHost({ [path]: `${text}${' '.repeat(2 ** 23)}` }))
    expect([code, err.trimEnd().split('\n').length]).toEqual([1, 1])
    expect(err).toContain(`${path} is of a migration`)
    expect(err).toContain(answer)
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

it('progress is one line on a terminal, and is gone at the end', async () => {
  const lines: string[] = []
  const terminal = Object.assign(new MemoryTerminal(), { status: (line: string) => void lines.push(line) })
  const program = { host: new MemoryHost(), commands: [], observer: {} }
  const words = ['explore', NAME, '--strategy', 'random', '--schedules', '200']
  expect(await callProgram(program, words, terminal, { aborted: false })).toBe(0)
  expect(lines.length).toBeGreaterThan(3)
  expect(lines.pop()).toBe('')
  for (const line of lines)
    expect(line).toMatch(/^[\d,]+ schedules? {2}[\d,]+\/s {2}depth \d+ {2}frontier \d+ {2}two-movers-one-destination$/)
})

/** Is to be stopped when it has been looked at so often. */
function stopAfter(looks: number) {
  let left = looks
  return {
    get aborted() {
      return left-- <= 0
    },
  }
}

/** Of which a second has passed whenever one looks. */
class SlowHost extends MemoryHost {
  writes = 0
  #now = 0

  override wallSeconds(): number {
    return this.#now++
  }

  override async write(path: string, chunks: Iterable<string>): Promise<void> {
    this.writes++
    await super.write(path, chunks)
  }
}

describe('a checkpoint', () => {
  const words = ['explore', NAME, '--checkpoint', 'kept.json', '--json']

  it.each([
    ['to the end', [NAME]],
    ['for the simplest', [NAME, '--without', 'remap-pte-recheck']],
    ['for the simplest, by chance and on', ['split-after-remap', '--without', 'split-mapping-recheck']],
    ['bounded by schedules', [NAME, '--schedules', '150']],
    ['depth first', [NAME, '--strategy', 'dfs', '--preemptions', '2']],
    ['by chance', [NAME, '--strategy', 'random', '--schedules', '400']],
    ['by priorities', [NAME, '--strategy', 'pct', '--schedules', '400', '--seed', '7']],
    ['of several', ['R36', 'R33', 'R34']],
  ])('takes up a search %s that was interrupted again and again', async (_, asked) => {
    const call = ['explore', ...asked, '--json', '--checkpoint', 'kept.json']
    const whole = await pageferry(call)
    const host = new MemoryHost()
    let turns = 1
    let last = await pageferry(call, host, stopAfter(2))
    for (; last.code === 130; turns++) last = await pageferry(call, host, stopAfter(2))
    const untimed = (rows: object[]) => rows.map((row) => ({ ...row, wallSeconds: 0 }))
    expect([last.code, untimed(last.rows)]).toEqual([whole.code, untimed(whole.rows)])
    expect(turns).toBeGreaterThan(2)
    expect(JSON.parse(host.text('kept.json')).begun).toEqual([])
  })

  it('is written every few seconds, and says on Ctrl-C how to go on', async () => {
    const host = new SlowHost()
    await pageferry(words, host)
    expect(host.writes).toBeGreaterThan(5)
    const { err } = await pageferry(words, new MemoryHost(), stopAfter(1))
    expect(err).toContain('the same words go on from kept.json')
  })

  it.each([
    ['does not fit', /"tasks":\[\d+/g, '"tasks":[99999'],
    ['no checkpoint of explore: begun.0.state.search', /"strategy":"dfs"/g, '"strategy":"dfx"'],
  ])('that %s is refused', async (reason, what, instead) => {
    const call = [...words, '--strategy', 'dfs']
    const host = new MemoryHost()
    expect((await pageferry(call, host, stopAfter(2))).code).toBe(130)
    await host.write('kept.json', [host.text('kept.json').replace(what, instead)])
    const { code, out, err } = await pageferry(call, host)
    expect([code, out, err]).toEqual([1, '', expect.stringContaining(reason)])
  })

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
    ['larger than', (text: string) => text + ' '.repeat(65 * 2 ** 20)],
  ])('is refused where it %s', async (reason, damaged) => {
    const { host } = await pageferry(words)
    await host.write('kept.json', [damaged(host.text('kept.json'))])
    const { code, out, err } = await pageferry(words, host)
    expect([code, out, err.includes(reason)]).toEqual([1, '', true])
  })
})
