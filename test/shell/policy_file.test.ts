/**
 * A user's own policy: the example of the docs runs, the same each time; it reaches nothing outside; each mistake is told in one
 * sentence with the file, the line and the remedy; and what never ends is stopped.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Bitmap } from '../../core/base/bitmap.ts'
import { CheckedPolicy, type ForeignPolicy } from '../../core/migration/prepaging/checked.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import { HostError } from '../../core/shell/host.ts'
import { loadPolicyFile } from '../../core/shell/policy_file.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { small } from '../run/small.ts'

const EXAMPLE = readFileSync(new URL('../../docs/examples/stride.js', import.meta.url), 'utf8')

function load(text: string): Promise<ForeignPolicy> {
  return loadPolicyFile('./mine.js', {
    async *open(path) {
      if (path !== './mine.js') throw new HostError(`no ${path}`, 1, true)
      yield new TextEncoder().encode(text)
    },
    write: () => Promise.reject(new Error('writes nothing')),
    breathe: () => Promise.resolve(),
    wallSeconds: () => 0,
    peakRssBytes: () => 0,
    platform: 'test',
  })
}

/** What next() answers of 8 pages, of which 5 was sent. */
async function answer(body: string): Promise<unknown> {
  const policy = await load(`export function next(unsent, most) { ${body} }`)
  policy.start(8)
  const unsent = new Bitmap(8)
  unsent.fill()
  unsent.clear(5)
  return policy.next(unsent, 64)
}

function run(policy: ForeignPolicy): MigrationRun {
  const made = new MigrationRun(
    small({ guest: 'uniform', prepaging: './mine.js' }),
    new Recorder({ keep: false }),
    { lockdep: false },
    policy,
  )
  while (made.advance(10_000) !== 'done');
  return made
}

describe('a policy file', () => {
  it('drives a migration that is consistent, the same in two runs', async () => {
    const reports = [run(await load(EXAMPLE)).report(), run(await load(EXAMPLE)).report()]
    for (const { migration, consistency } of reports)
      expect([migration.status, consistency.verdict]).toEqual(['completed', 'consistent'])
    expect(reports[0]?.traceHash).toBe(reports[1]?.traceHash)
  })

  it('of the docs pushes at the distance of the last two requests, in runs where that is one page', async () => {
    const policy = new CheckedPolicy(await load(EXAMPLE), 200)
    const unsent = new Bitmap(200)
    unsent.fill()
    const requested = (page: number) => {
      unsent.clear(page)
      policy.requested(page)
    }
    const push = () => {
      const first = policy.next(unsent, 64)
      for (let i = 0; i < policy.count; i++) unsent.clear(first + i)
      return [first, policy.count]
    }
    requested(10)
    requested(20)
    expect([push(), push()]).toEqual([
      [30, 1],
      [40, 1],
    ])
    requested(100)
    requested(101)
    expect([push(), push()]).toEqual([
      [102, 64],
      [166, 34],
    ])
  })

  it('is told which pages are unsent', async () => {
    const asked = 'unsent.length, unsent.has(4), unsent.has(5), unsent.nextSet(5), unsent.prevSet(5), unsent.run(2, 99), most'
    expect(await answer(`return [${asked}]`)).toEqual([8, true, false, 6, 4, 3, 64])
    expect(
      await answer('return [unsent.has(), unsent.has(NaN), unsent.nextSet(-9), unsent.prevSet(1e20), unsent.run(-1, 2)]'),
    ).toEqual([false, false, 0, -1, 0])
  })

  it('reaches neither the host nor a clock nor chance', async () => {
    const names = ['Date', 'process', 'require', 'fetch', 'WebAssembly', 'performance', 'setTimeout', 'console', 'WeakRef']
    expect(await answer(`return [${names.map((name) => `typeof ${name}`).join()}, typeof Math.random]`)).toEqual(
      [...names, ''].map(() => 'undefined'),
    )
    expect(await answer(`return unsent.has.constructor('return typeof process')()`)).toBe('undefined')
  })

  it.each([
    ['', 'the prepaging policy ./mine.js has no next(); export function next(unsent, most), as docs/prepaging.md tells'],
    ['export const next = 3', 'the prepaging policy ./mine.js exports next, which is no function; make it one'],
    ['let a\nlet b = (', /^the prepaging policy .\/mine.js cannot be loaded: line 2: .* \(SyntaxError\); mend it there$/],
    ['import fs from "node:fs"', /cannot be loaded: could not load module 'node:fs'; a policy is one file, without imports$/],
    ['for (;;);', 'cannot be loaded: line 1: stopped after 5 million steps; end its loop sooner'],
  ])('of %j is refused', async (text, message) => {
    await expect(load(text)).rejects.toThrow(message)
  })

  it.each([
    ['\nreturn unsent.lost.a', /go on in next\(\): line 2: .* \(TypeError\); mend it there$/],
    [
      'for (;;);',
      'the prepaging policy ./mine.js cannot go on in next(): line 1: stopped after 5 million steps; end its loop sooner',
    ],
    ['const a = []; for (;;) a.push(new Array(999).fill(1))', 'it takes more than 16 MiB; keep less'],
    ['return next()', 'stack overflow'],
    ['throw 7', 'it throws 7; throw nothing'],
  ])('whose next() is %j is stopped', async (body, message) => {
    await expect(answer(body)).rejects.toThrow(message)
  })

  it('that answers nonsense ends the run with its name', async () => {
    const policy = await load('export function next() { return 70000 }')
    expect(() => run(policy)).toThrow('the prepaging policy ./mine.js answered 70000 to next(), no page: pages are 0 to 255')
  })
})
