/**
 * `advise` from words to exit code: what a fast writer is told, an impossible deadline, the same answer twice, and Ctrl-C.
 */
import { expect, it } from 'vitest'
import { callProgram } from '../../core/api/command_line.ts'
import { MemoryHost, MemoryTerminal } from './memory_host.ts'

async function call(words: string[], stop = { aborted: false }, status = (_line: string) => {}, columns = 100) {
  const terminal = Object.assign(new MemoryTerminal(columns), { status })
  const code = await callProgram({ host: new MemoryHost(), commands: [], observer: {} }, words, terminal, stop)
  return { code, out: terminal.output, err: terminal.errors }
}

const FAST_WRITER =
  'advise --guest sweep --mem 4M --vcpus 1 --bandwidth 50Mbps --downtime-limit 1ms --time-limit 2s --quick'.split(' ')
const SMALL = 'advise --mem 1M --vcpus 1 --bandwidth 1Gbps'.split(' ')

it('a fast writer is not told plain pre-copy, and hears the two rates', async () => {
  const { code, out } = await call([...FAST_WRITER, '--json'])
  const { schema, guest, winner, command, candidates, reasons } = JSON.parse(out)
  expect([code, schema, guest]).toEqual([0, 'pageferry.advise/1', 'sweep'])
  expect(candidates[0]).toMatchObject({ name: 'pre-copy', status: 'never' })
  expect(winner).not.toBe('pre-copy')
  expect(reasons).toContainEqual(expect.stringMatching(/^pre-copy will never converge: dirtying .*\/s, sending .*\/s$/))
  expect(command).toContain('migrate --guest sweep')
})

it('the command of the answer makes the run that was measured', async () => {
  const { winner, command, candidates } = JSON.parse((await call([...SMALL, '--quick', '--json'])).out)
  const { migration, guest } = JSON.parse((await call([...command.split(' '), '--json'])).out)
  expect(candidates).toContainEqual(
    expect.objectContaining({
      name: winner,
      'total-time': migration['total-time'],
      downtime: migration.downtime,
      slowdown: guest.slowdown,
    }),
  )
})

it('the same words get the same answer, compression and all', async () => {
  const first = await call([...SMALL, '--priority', 'total-time', '--priority', 'downtime'])
  expect(first).toMatchObject({ code: 0, err: '' })
  expect(first.out).toContain('pre-copy with zstd')
  expect(await call([...SMALL, '--priority', 'total-time', '--priority', 'downtime'])).toEqual(first)
})

it('a deadline that nothing meets is one sentence with the nearest, and exit 1', async () => {
  const { code, err } = await call([...SMALL, '--quick', '--deadline', '1ns'])
  expect(code).toBe(1)
  expect(err).toMatch(/^pageferry advise: nothing is done within 1 ns; the nearest is .*, which takes .* ms\.\n$/)
})

it('where nothing completes, each tells why, and it exits 1', async () => {
  const { code, out, err } = await call([...SMALL, '--quick', '--time-limit', '6ms'])
  expect([code, out.match(/was not done at 6.00 ms/g)?.length]).toEqual([1, 4])
  expect(err).toMatch(/^pageferry advise: none of 4 candidates completed; .*\.\n$/)
})

it('stops when it is asked to, with what is known by then', async () => {
  expect(await call(SMALL, { aborted: true })).toMatchObject({ code: 130, out: '', err: expect.stringContaining('after 0 of 9') })
  const stop = { aborted: false }
  const { code, out, err } = await call([...SMALL, '--json'], stop, (line) => {
    if (line.startsWith('2 of 9')) stop.aborted = true
  })
  const { complete, candidates } = JSON.parse(out)
  expect([code, complete]).toEqual([130, false])
  expect([1, 2]).toContain(candidates.length)
  expect(err).toContain(`interrupted after ${candidates.length} of 9 candidates`)
})

it('figures fit the terminal, as a table or as paragraphs', async () => {
  const wide = await call([...SMALL, '--quick'])
  expect(wide.out).toMatch(/settings +status +total-time +downtime +slowdown +blocktime/)
  const narrow = await call([...SMALL, '--quick'], undefined, undefined, 50)
  const lines = narrow.out.split('\n').filter((line) => !line.includes('pageferry migrate '))
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(50)
  expect(narrow.out).toContain('downtime')
})

it('wrong words are refused as migrate refuses them', async () => {
  expect(await call(['advise', '--guest', 'swep'])).toMatchObject({ code: 2, err: expect.stringContaining('sweep') })
  expect(await call(['advise', '--priority', 'speed'])).toMatchObject({ code: 2, err: expect.stringContaining('slowdown') })
  expect(await call(['advise', '--mem', '1025k'])).toMatchObject({ code: 2, err: expect.stringContaining('--mem 1025k') })
})
