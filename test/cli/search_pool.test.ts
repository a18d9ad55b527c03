/**
 * The pool of threads that search, with the worker as users get it: it says what a search in place says, goes on from where one
 * stood, ends at once, and tells of a thread that failed in one sentence.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callProgram } from '../../core/api/command_line.ts'
import { finish } from '../../core/explore/search.ts'
import { type ExploreQuestion, explore } from '../../core/litmus/explore.ts'
import type { SearchPool } from '../../core/shell/host.ts'
import { openSearchPool } from '../../main/cli/search_pool.ts'
import { ensureBuilt } from '../../main/start/fresh.mjs'
import { MemoryHost, MemoryTerminal } from '../shell/memory_host.ts'

const WORKER = fileURLToPath(new URL('../../dist/cli/search_worker.mjs', import.meta.url))
const NAMES = ['two-movers-one-destination', 'remap-and-the-own-tlb', 'remap-and-another-tlb', 'remap-against-fork']

beforeAll(() => ensureBuilt('cli'), 120_000)

function question(litmus: string, more: Partial<ExploreQuestion> = {}): ExploreQuestion {
  const plain = { without: [], model: null, strategy: null, seed: 1, preemptions: null, schedules: null, steps: null }
  return { litmus, ...plain, ...more }
}

/** By chance, and for longer than any test waits. */
const endless = question('remap-against-fork', { strategy: 'random', schedules: 1e9 })

async function withPool(threads: number, use: (pool: SearchPool) => Promise<void>, worker = WORKER): Promise<void> {
  const pool = openSearchPool(threads, worker)
  try {
    await use(pool)
  } finally {
    await pool.close()
  }
}

/** Until it has begun and run so many schedules. */
async function running(pool: SearchPool, search: ReturnType<SearchPool['ask']>, schedules: number): Promise<void> {
  while ((search.progress()?.schedules ?? 0) < schedules) await pool.wait()
}

describe('the pool', () => {
  it('answers as a search in place does', async () => {
    const questions = [
      ...NAMES.map((name) => question(name)),
      question('remap-and-the-own-tlb', { without: ['remap-tlb-flush'] }),
      question('two-movers-one-destination', { strategy: 'pct', schedules: 50 }),
    ]
    await withPool(2, async (pool) => {
      const answers = await Promise.all(questions.map((one) => pool.ask(one, null).answer))
      expect(answers.map(({ answer }) => answer)).toEqual(questions.map((one) => finish(explore(one))))
    })
  })

  it('tells where a search stands, and goes on from there', async () => {
    const limited = { ...endless, schedules: 600 }
    await withPool(1, async (pool) => {
      const search = pool.ask(endless, null)
      await running(pool, search, 100)
      const state = await search.state()
      const done = state?.search.strategy === 'random' ? state.search.state.tally.schedules : 0
      expect(done).toBeGreaterThanOrEqual(100)
      expect(done).toBeLessThan(limited.schedules)
      const waiting = pool.ask(limited, state)
      expect(await waiting.state()).toBeNull()
      await withPool(1, async (other) => {
        const resumed = other.ask(limited, state)
        const { answer } = await resumed.answer
        expect(answer).toEqual(finish(explore(limited)))
        expect(await resumed.state()).toBeNull()
      })
    })
  })

  it('ends when it is closed, whatever its threads do', async () => {
    const pool = openSearchPool(2, WORKER)
    const searches = [pool.ask(endless, null), pool.ask({ ...endless, seed: 2 }, null)]
    for (const search of searches) await running(pool, search, 10)
    // The searches are endless: it resolves at all only because it ends the threads.
    await pool.close()
    for (const search of searches) await expect(search.answer).rejects.toThrow()
    const progress = () => searches.map((search) => search.progress())
    const before = progress()
    await pool.wait()
    expect(progress()).toEqual(before)
  })
})

describe('explore with threads', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pageferry-pool-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  interface Circumstances {
    readonly worker?: string
    readonly stop?: { readonly aborted: boolean }
    readonly onStatus?: (line: string) => void
  }

  async function call(words: string[], host: MemoryHost, how: Circumstances = {}) {
    const { worker = WORKER, stop = { aborted: false }, onStatus = () => undefined } = how
    const terminal = Object.assign(new MemoryTerminal(), { status: onStatus })
    const threads = Object.assign(host, { searchThreads: 2, openSearchPool: (n: number) => openSearchPool(n, worker) })
    const code = await callProgram({ host: threads, commands: [], observer: {} }, ['explore', ...words], terminal, stop)
    return { code, err: terminal.errors, rows: terminal.output.split('\n').filter((line) => line.startsWith('{')) }
  }

  it('keeps every search under way in the checkpoint, and takes them up', async () => {
    const words = [...NAMES, '--json', '--strategy', 'random', '--schedules', '300', '--checkpoint', 'kept.json']
    const untimed = (rows: string[]) => rows.map((row) => row.replace(/"wallSeconds":[^}]+/, ''))
    const whole = await call(words, new MemoryHost())
    const host = new MemoryHost()
    const stop = { aborted: false }
    const onStatus = (line: string) => {
      stop.aborted ||= Number.parseInt(line.split('  ')[1] ?? '', 10) > 100
    }
    const stopped = await call(words, host, { stop, onStatus })
    const { answers, begun } = JSON.parse(host.text('kept.json'))
    expect([stopped.code, answers.length < NAMES.length, begun.length > 0]).toEqual([130, true, true])
    const resumed = await call(words, host)
    expect([resumed.code, untimed(resumed.rows)]).toEqual([whole.code, untimed(whole.rows)])
  }, 60_000)

  it('says in one sentence that a thread failed', async () => {
    const broken = join(folder, 'broken.mjs')
    writeFileSync(broken, "export function answer() { throw new Error('the reason\\nand a second line') }\n")
    const { code, err } = await call(NAMES, new MemoryHost(), { worker: broken })
    expect(code).toBe(1)
    expect(err).toMatch(
      /^pageferry explore: a thread failed that searched \S+ \(the reason\); --jobs 1 searches without threads\.\n$/,
    )
  })
})
