/**
 * `kernel migrate` on this host, by the program as users get it: every way of migrating is consistent, the check can fail, and whatever is
 * done to it on the way ends with an account and nothing left behind.
 *
 * Needs Linux with userfaultfd permitted; skipped by name elsewhere. No test asserts how long anything took.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { KernelReport } from '../../core/run/kernel_report.ts'
import { ensureBuilt } from '../../main/start/fresh.mjs'
import { named, noKernel } from './host.ts'

const PROGRAM = fileURLToPath(new URL('../../dist/cli/pageferry.mjs', import.meta.url))
const SMALL = ['--mem', '16M', '--duration', '20ms']
/** Slow enough for something to happen on the way: about half a second. */
const SLOW = [...SMALL, '--bandwidth', '200Mbps']

interface Run {
  readonly child: ChildProcess
  readonly ended: Promise<{ code: number | null; report: KernelReport; err: string }>
}

function start(words: readonly string[], env: Readonly<Record<string, string>> = {}): Run {
  const child = spawn(process.execPath, [PROGRAM, 'kernel', 'migrate', ...words, '--no-predict', '--json'], {
    env: { ...process.env, ...env },
  })
  let out = ''
  let err = ''
  child.stdout.on('data', (bytes) => {
    out += bytes
  })
  child.stderr.on('data', (bytes) => {
    err += bytes
  })
  const ended = once(child, 'close').then(([code]) => ({
    code,
    err,
    report: out === '' ? ({} as KernelReport) : JSON.parse(out),
  }))
  return { child, ended }
}

const migrate = (words: readonly string[], env: Readonly<Record<string, string>> = {}) => start(words, env).ended

/** Processes of machines that this program has started. */
function machinesOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]
        return Number(parent) === pid && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('kernel_machine')
      } catch {
        return false
      }
    })
    .map(Number)
}

/** Whether it has taken the connection of a migration. */
function hasConnection(pid: number): boolean {
  const connected = readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((line) => /^\S+ \S+ \S+ \S+ \S+ 03 +(\d+) @pageferry-/.exec(line)?.[1])
  const open = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`)
    } catch {
      return ''
    }
  })
  return connected.some((inode) => inode !== undefined && open.includes(`socket:[${inode}]`))
}

const isAlive = (pid: number) => {
  try {
    // A zombie is nobody's process any more.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (let n = 0; n < 3000 && !holds(); n++) await new Promise((resolve) => setTimeout(resolve, 10))
  expect(holds()).toBe(true)
}

beforeAll(() => ensureBuilt('cli'), 120_000)

vi.setConfig({ testTimeout: 60_000 })

describe.skipIf(noKernel !== null)(named('a migration on the real kernel'), () => {
  it.each([
    ['post-copy with MOVE', ['--mode', 'postcopy', '--resolver', 'move']],
    ['post-copy with COPY', ['--mode', 'postcopy', '--resolver', 'copy']],
    ['post-copy with an urgent channel', ['--capability', 'postcopy-preempt=on']],
    ['pre-copy', ['--mode', 'precopy']],
    ['hybrid', ['--mode', 'hybrid', '--postcopy-after', '1passes', '--bandwidth', '500Mbps']],
    ['post-copy over TCP', ['--wire', 'tcp']],
    ['post-copy over TCP with an urgent channel', ['--wire', 'tcp', '--capability', 'postcopy-preempt=on']],
    ['pre-copy over TCP', ['--wire', 'tcp', '--mode', 'precopy']],
  ])('by %s arrives whole, every load checked', async (_name, words) => {
    const { code, report, err } = await migrate([...SMALL, ...words])
    expect([code, err]).toEqual([0, ''])
    expect(report.machine).toBe('kernel')
    expect(report.migration.status).toBe('completed')
    expect(report.consistency).toMatchObject({ verdict: 'consistent', pagesCompared: 4096, lost: 0, missing: 0 })
    expect(report.consistency.loadsChecked).toBeGreaterThan(100)
    const { normal, duplicate, transferred } = report.migration.ram
    expect(normal + duplicate).toBeGreaterThanOrEqual(4096)
    // Records are as long as the model's; what is behind them is the greeting, the state, and the ends.
    expect(transferred - normal * 4104 - duplicate * 9).toBeLessThan(64 * 1024)
    expect(report.mmu).toBe(null)
  })

  it('knows which pages were never touched', async () => {
    const { report } = await migrate([...SMALL, '--guest', 'sweep:set=4M'])
    expect(report.migration.ram).toMatchObject({ normal: 1024, duplicate: 3072 })
  })

  it.each(['postcopy', 'precopy'])('by %s fails its check when a page arrives with the content of another', async (mode) => {
    const { code, report } = await migrate([...SMALL, '--guest', 'idle:set=16M', '--mode', mode], {
      PAGEFERRY_PLANTED_FAULT: '3000',
    })
    expect(code).toBe(3)
    expect(report.consistency.verdict).toBe('inconsistent')
    expect(report.consistency.firstViolation?.page).toBe(3000)
  })

  it.each([
    ['a Unix socket', ['--wire', 'unix']],
    ['a Unix socket with an urgent one beside it', ['--wire', 'unix', '--capability', 'postcopy-preempt=on']],
    ['a TCP connection', ['--wire', 'tcp']],
    ['a TCP connection with an urgent one beside it', ['--wire', 'tcp', '--capability', 'postcopy-preempt=on']],
  ])('is recovered after %s was cut', async (_name, words) => {
    const { code, report } = await migrate([...SLOW, ...words, '--inject', 'link-down@postcopy+50ms:50ms', '--recover'])
    expect(code).toBe(0)
    expect(report.options.wire).toBe(words[1])
    expect(report.kernel.recoveries).toBe(1)
    expect(report.consistency).toMatchObject({ verdict: 'consistent', pagesCompared: 4096, lost: 0, missing: 0 })
  })

  it('stays paused where nobody recovers it, and says what is missing', async () => {
    const { code, report, err } = await migrate([...SLOW, '--inject', 'link-down@postcopy+50ms'])
    expect([code, report.migration.status, report.consistency.verdict]).toEqual([1, 'postcopy-paused', 'consistent'])
    expect(report.consistency.missing).toBeGreaterThan(0)
    expect(err).toContain('--recover')
  })

  it.each([
    ['the socket is cut', 'link-down@precopy+20ms', 'failed'],
    ['the destination dies', 'destination-crash@precopy+20ms', 'failed'],
    ['it is cancelled', 'cancel@precopy+20ms', 'cancelled'],
  ])('leaves the guest at the source, whole, when %s in pre-copy', async (_name, fault, status) => {
    const { code, report } = await migrate([...SLOW, '--mode', 'precopy', '--inject', fault])
    expect([code, report.migration.status]).toEqual([1, status])
    expect(report.consistency).toMatchObject({ verdict: 'consistent', pagesCompared: 4096, lost: 0, missing: 0 })
    expect(report.guest.opsAfter).toBeGreaterThan(0)
  })

  it.each(['source', 'destination'])(
    'counts what is lost when the %s is killed in post-copy, and nothing is left',
    async (side) => {
      const { child, ended } = start([...SLOW, '--inject', `${side}-crash@postcopy+50ms`])
      await until(() => machinesOf(child.pid ?? -1).length === 2)
      const machines = machinesOf(child.pid ?? -1)
      const { code, report, err } = await ended
      expect([code, report.migration.status]).toEqual([1, 'postcopy-paused'])
      expect(report.consistency.verdict).toBe('consistent')
      expect(report.consistency.lost).toBeGreaterThan(0)
      expect(err.trim().split('\n')).toHaveLength(1)
      expect(machines.filter(isAlive)).toEqual([])
    },
  )

  it('is given up by its watchdog when a machine stands still', async () => {
    const { child, ended } = start([...SMALL, '--bandwidth', '20Mbps', '--watchdog', '300ms'])
    await until(() => machinesOf(child.pid ?? -1).length === 2)
    const machines = machinesOf(child.pid ?? -1)
    await until(() => machines.some(hasConnection))
    for (const pid of machines) process.kill(pid, 'SIGSTOP')
    const { code, err } = await ended
    expect(code).toBe(1)
    expect(err).toContain('the watchdog ended it')
    expect(machines.filter(isAlive)).toEqual([])
  })

  it.each(['SIGINT', 'SIGKILL'] as const)('leaves no process behind when its own program gets %s', async (signal) => {
    const { child, ended } = start([...SMALL, '--bandwidth', '10Mbps'])
    await until(() => machinesOf(child.pid ?? -1).length === 2)
    const machines = machinesOf(child.pid ?? -1)
    child.kill(signal)
    const { code } = await ended
    expect(code).toBe(signal === 'SIGINT' ? 130 : null)
    await until(() => !machines.some(isAlive))
  })

  const byDemand = ['--prepaging', 'demand', '--time-limit', '4s', '--watchdog', '1500ms']
  it('by demand alone waits for a guest that asks for nothing more until its time is over, and its watchdog lets it', async () => {
    const { code, report, err } = await migrate([...SMALL, ...byDemand, '--guest', 'idle:set=16k,rate=1/s'])
    expect([code, report.kernel.outcome, report.migration.status]).toEqual([124, 'time limit', 'postcopy-active'])
    expect(report.consistency).toMatchObject({ verdict: 'consistent', lost: 0 })
    expect(report.consistency.missing).toBeGreaterThan(0)
    expect(err).toContain('give a longer --time-limit or another --prepaging')
  })

  it.each(['off', 'on'])(
    'by demand alone ends when the guest has asked for everything, with postcopy-preempt=%s',
    async (preempt) => {
      const words = ['--prepaging', 'demand', '--time-limit', '40s', '--capability', `postcopy-preempt=${preempt}`]
      const { code, report } = await migrate(['--mem', '1M', '--duration', '20ms', '--guest', 'sweep:rate=20MB/s', ...words])
      expect([code, report.migration.status]).toEqual([0, 'completed'])
      expect(report.migration.ram).toMatchObject({ normal: 256, 'postcopy-requests': 256 })
    },
  )

  it('gives up at its time limit', async () => {
    const { code, report } = await migrate([...SMALL, '--bandwidth', '10Mbps', '--time-limit', '1s'])
    expect([code, report.migration.status]).toEqual([124, 'postcopy-active'])
  })
})
