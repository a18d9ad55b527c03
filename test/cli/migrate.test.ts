/**
 * `migrate` from words to exit code, in this process and with files in memory; and the program itself where signals,
 * pipes and files of the real host matter.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callProgram } from '../../core/api/command_line.ts'
import type { Report } from '../../core/run/report.ts'
import { VERSION } from '../../core/run/version.ts'
import type { RunObserver } from '../../core/shell/shell_state.ts'
import { MemoryHost, MemoryTerminal } from '../shell/memory_host.ts'

const SMALL = ['--mem', '4M', '--duration', '2ms']

async function pageferry(
  words: string[],
  { host = new MemoryHost(), observer = {}, stop = { aborted: false } } = {} as {
    host?: MemoryHost
    observer?: RunObserver
    stop?: { aborted: boolean }
  },
) {
  const terminal = new MemoryTerminal()
  const code = await callProgram({ host, commands: [], observer }, words, terminal, stop)
  return { code, out: terminal.output, err: terminal.errors, host }
}

function report(out: string): Report {
  return JSON.parse(out) as Report
}

describe('a run', () => {
  it('migrates, checks every load, and prints one JSON object', async () => {
    const { code, out, err } = await pageferry(['migrate', ...SMALL, '--json'])
    const made = report(out)
    expect([code, err]).toEqual([0, ''])
    expect(made.migration.status).toBe('completed')
    expect(made.consistency.verdict).toBe('consistent')
    expect(made.consistency.loadsChecked).toBeGreaterThan(0)
    expect(made.migration.ram.normal + made.migration.ram.duplicate).toBeGreaterThanOrEqual(1024)
    expect(made.host.pagesPerSecond).toBeGreaterThan(0)
    expect(made.version).toBe(VERSION)
  })

  it('the same words give the same report but for the host, and another seed another', async () => {
    const runs = await Promise.all(['7', '7', '8'].map((seed) => pageferry(['migrate', ...SMALL, '--seed', seed, '--json'])))
    const [first, again, other] = runs.map(({ out }) => ({ ...report(out), host: null }))
    expect(again).toEqual(first)
    expect(other?.traceHash).not.toBe(first?.traceHash)
  })

  it('the report for people ends with the verdict and names the command that makes it again', async () => {
    const { out } = await pageferry(['migrate', ...SMALL, '--seed', '3'])
    expect(out).toContain('again          pageferry migrate --guest kv --mem 4M --duration 2ms --seed 3')
    expect(out.trimEnd().split('\n').at(-1)).toMatch(/^✓ consistent: [\d,]+ loads checked, [\d,]+ pages compared$/)
  })

  it('--quiet prints nothing when all is well', async () => {
    expect(await pageferry(['migrate', ...SMALL, '-q'])).toMatchObject({ code: 0, out: '', err: '' })
  })

  it('a protection left out ends 3 and names the page', async () => {
    const { code, out } = await pageferry(['migrate', '--mem', '16M', '--without', 'remap-tlb-flush', '--json'])
    expect(code).toBe(3)
    expect(report(out).consistency.verdict).toBe('inconsistent')
    expect(report(out).consistency.firstViolation?.page).toBeGreaterThanOrEqual(0)
  })

  it('a time limit ends 124 and still prints what is known', async () => {
    const { code, out, err } = await pageferry([
      'migrate',
      '--mem',
      '16M',
      '--bandwidth',
      '100Mbps',
      '--time-limit',
      '250ms',
      '--json',
    ])
    expect([code, err]).toEqual([124, expect.stringContaining('the time limit of 250 ms was reached in status ')])
    expect(report(out).migration.status).not.toBe('completed')
  })

  it('a stop ends 130 with what is known in one line, and writes no file', async () => {
    const stop = { aborted: false }
    const observer: RunObserver = {
      onProgress: ({ phase }) => {
        if (phase === 'during') stop.aborted = true
      },
    }
    const { code, out, err, host } = await pageferry(['migrate', '--mem', '64M', '--trace', 'run.trace', '--json'], {
      stop,
      observer,
    })
    expect([code, out]).toEqual([130, ''])
    expect(err).toMatch(/^pageferry migrate: interrupted after .* of simulated time, .*\.\n$/)
    expect(host.files.size).toBe(0)
  })

  it('an observer sees the run begin, go on and end once', async () => {
    const seen: string[] = []
    const observer: RunObserver = {
      onRun: (_run, _recorder, command, quiet) => seen.push(`${command} ${quiet}`),
      onProgress: () => {
        if (seen.length === 1) seen.push('progress')
      },
      onEnd: (outcome) => seen.push(outcome),
    }
    await pageferry(['migrate', ...SMALL, '--json'], { observer })
    expect(seen).toEqual(['migrate --guest kv --mem 4M --duration 2ms --seed 1 false', 'progress', 'done'])
  })

  it('the traces that were asked for are written whole', async () => {
    const { host, code } = await pageferry(['migrate', ...SMALL, '--trace', 'run.trace', '--perfetto', 'run.json', '-q'])
    expect(code).toBe(0)
    expect(host.text('run.trace').split('\n').length).toBeGreaterThan(1000)
    const { traceEvents } = JSON.parse(host.text('run.json')) as { traceEvents: { name: string }[] }
    const names = traceEvents.map(({ name }) => name)
    for (const name of ['thread_name', 'setup', 'postcopy-active', 'pages placed']) expect(names).toContain(name)
  })

  it('a trace that does not fit on the disk costs its exit code, and not the report', async () => {
    const { host, code, out, err } = await pageferry(['migrate', ...SMALL, '--trace', '/full/run.trace', '--json'])
    expect([code, host.files.size]).toEqual([1, 0])
    expect((JSON.parse(out) as Report).migration.status).toBe('completed')
    expect(err).toBe('pageferry migrate: /full/run.trace cannot be written, because the disk is full; make room.\n')
    const broken = await pageferry([
      ...['migrate', '--mem', '16M', '--without', 'remap-tlb-flush', '--trace', '/full/run.trace', '--quiet'],
    ])
    expect([broken.code, broken.err]).toEqual([3, err])
  })
})

describe('a trace of a program', () => {
  const lines = Array.from(
    { length: 20_000 },
    (_, at) => ` ${at % 3 ? 'L' : 'S'} ${(0x1000000 + ((at * 64) % 1_500_000)).toString(16).padStart(8, '0')},8\n`,
  )

  it('migrates', async () => {
    const host = new MemoryHost({ './program.lackey': lines.join('') })
    const { code, out } = await pageferry(['migrate', '--guest', './program.lackey', ...SMALL, '--json'], { host })
    expect([code, report(out).consistency.verdict]).toEqual([0, 'consistent'])
  })

  it.each([
    ['I  04000000,3\n L zzzz,8\n', /^pageferry migrate: \.\/bad\.lackey:2: /],
    ['', /\.\/bad\.lackey/],
    ['\u0000\u0001\u0002\u0003', /\.\/bad\.lackey/],
  ])('%j is refused with the place in one sentence, exit 1', async (text, message) => {
    const host = new MemoryHost({ './bad.lackey': text })
    const { code, out, err } = await pageferry(['migrate', '--guest', './bad.lackey', ...SMALL], { host })
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(message)
    expect(err.trim().split('\n').length).toBe(1)
  })
})

describe('what is wrong is said before a run begins', () => {
  it.each([
    [['--guest', 'nosuchguest'], 2, /kv/],
    [['--guest', 'kv:zet=1M'], 2, /set/],
    [['--guest', 'kv:set=999G'], 2, /--mem/],
    [['--bandwidth=-1Gbps'], 2, /must not be negative/],
    [['--trace', 'x', '--perfetto', 'x'], 2, /name the same file/],
    [['--guest', './a.lackey', '--trace', './a.lackey'], 2, /would overwrite/],
    [['--perfetto', '/readonly/x.json'], 1, /may not be written/],
    [['--guest', './none.lackey'], 1, /there is no file/],
  ])('%j', async (words, code, message) => {
    const observer: RunObserver = {
      onRun: () => {
        throw new Error('a run began')
      },
    }
    const result = await pageferry(['migrate', ...words], { observer })
    expect([result.code, result.out]).toEqual([code, ''])
    expect(result.err).toMatch(message)
    expect(result.err.trim().split('\n').length).toBe(1)
  })
})

it('the version is that of the package', () => {
  const text = readFileSync(fileURLToPath(new URL('../../package.json', import.meta.url)), 'utf8')
  expect((JSON.parse(text) as { version: string }).version).toBe(VERSION)
})

describe('the program', () => {
  const start = fileURLToPath(new URL('../../main/start/pageferry.mjs', import.meta.url))
  let folder = ''
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pageferry-'))
    // The first call builds what is missing.
    expect((await ended(launch(['--version']))).code).toBe(0)
  }, 120_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  function launch(words: string[]): ChildProcess {
    return spawn(process.execPath, [start, ...words], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    })
  }

  function ended(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
    let out = ''
    let err = ''
    child.stdout?.on('data', (data) => {
      out += data
    })
    child.stderr?.on('data', (data) => {
      err += data
    })
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })))
  }

  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

  it('Ctrl-C ends a long run long before its end, exits 130 and leaves no file', async () => {
    const child = launch(['migrate', '--mem', '2G', '--trace', 'long.trace', '--duration', '60s'])
    const end = ended(child)
    await pause(1500)
    child.kill('SIGINT')
    const { code, out, err } = await end
    expect([code, out]).toEqual([130, ''])
    expect(err).toMatch(/^pageferry migrate: interrupted after /m)
    expect(readdirSync(folder)).toEqual([])
  }, 30_000)

  it('a reader that goes away ends it quietly', async () => {
    const child = launch(['migrate', ...SMALL, '--json'])
    child.stdout?.destroy()
    const { code, err } = await ended(child)
    expect([code, err]).toEqual([141, ''])
  }, 30_000)

  it.skipIf(!existsSync('/dev/full'))(
    'a disk that fills is one sentence, exit 1',
    async () => {
      const { code, err } = await ended(launch(['migrate', ...SMALL, '--trace', '/dev/full', '-q']))
      expect([code, err]).toEqual([
        1,
        'pageferry migrate: /dev/full cannot be written, because the disk is full; make room or name another.\n',
      ])
    },
    30_000,
  )

  it('a file is written whole beside nothing else', async () => {
    const { code, out, err } = await ended(launch(['migrate', ...SMALL, '--perfetto', 'run.json', '-q']))
    expect([code, out, err]).toEqual([0, '', ''])
    expect(readdirSync(folder)).toEqual(['run.json'])
  }, 30_000)
})
