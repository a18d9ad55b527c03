/**
 * `kernel calibrate` on this host, as users get it: every figure is there, the file is one that --cpu takes, and nothing is left running.
 *
 * Nothing is said of how fast this host is. Needs Linux with userfaultfd permitted; skipped by name elsewhere.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MigrationRun } from '../../core/run/migration_run.ts'
import { isOf } from '../../core/shell/calibration_file.ts'
import { parseCpuFile } from '../../core/shell/cpu_file.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { calibrate } from '../../main/kernel/calibrate/calibrate.ts'
import { identity } from '../../main/kernel/calibrate/kept.ts'
import { ensureBuilt } from '../../main/start/fresh.mjs'
import { small } from '../run/small.ts'
import { named, noKernel } from './host.ts'

const NAMES =
  'faultNs readFaultNs copyOnWriteNs uffdFaultNs uffdFaultSameCpuNs copyNs copyBatchNs moveNs moveBatchNs zeropageNs writeprotectNs ' +
  'writeprotectBatchNs madviseNs madviseSharedNs mprotectNs mprotectSharedNs munmapNs munmapSharedNs contextSwitchNs pipeRoundTripNs ' +
  'unixRoundTripNs tcpRoundTripNs unixThroughputBytesPerSec tcpThroughputBytesPerSec memoryBytesPerSec syscallNs'

/** A calibration in a group of its own, and the process that measures for it. */
async function running(output: string): Promise<{ group: ChildProcess; measuring: number }> {
  const words = ['dist/cli/pageferry.mjs', 'kernel', 'calibrate', '--passes', '50', '--output', output]
  const group = spawn(process.execPath, words, { detached: true, stdio: 'ignore' })
  const children = () => readFileSync(`/proc/${group.pid}/task/${group.pid}/children`, 'utf8').trim()
  await expect.poll(children, { timeout: 30_000 }).not.toBe('')
  return { group, measuring: Number(children()) }
}

/** And no zombie, which only waits to be counted. */
function isThere(pid: number): boolean {
  try {
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

describe.skipIf(noKernel !== null)(named('kernel calibrate'), () => {
  let folder = ''
  let path = ''
  let printed: Record<string, unknown> = {}

  beforeAll(async () => {
    await ensureBuilt('cli')
    folder = mkdtempSync(join(tmpdir(), 'pageferry-calibrate-'))
    path = join(folder, 'here.json')
    const words = ['dist/cli/pageferry.mjs', 'kernel', 'calibrate', '--passes', '1', '--json', '--output', path]
    printed = JSON.parse((await promisify(execFile)(process.execPath, words)).stdout)
  }, 300_000)

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('prints every figure as a number of its own', () => {
    const missing = NAMES.split(' ').filter((name) => !(typeof printed[name] === 'number' && (printed[name] as number) > 0))
    // A single CPU has nobody beside it.
    const { cpu } = identity()
    expect(cpu.cpus > 1 ? missing : []).toEqual([])
  })

  it('writes a file that --cpu takes, of this kernel and this CPU', () => {
    const { cpu, calibration } = parseCpuFile(readFileSync(path, 'utf8'), path)
    expect(cpu.faultNs.kind).toBe('measured')
    expect(calibration !== null && isOf(calibration, identity())).toBe(true)
  })

  it('sees what it measures cost no less than the kernel alone, and between the quartiles', () => {
    const { calibration } = parseCpuFile(readFileSync(path, 'utf8'), path)
    for (const { seen, value, low, high } of calibration?.measured ?? []) {
      expect(seen).toBeGreaterThanOrEqual(value)
      expect(low <= seen && seen <= high).toBe(true)
    }
  })

  it('makes a CPU on which a migration is consistent', () => {
    const { cpu } = parseCpuFile(readFileSync(path, 'utf8'), path)
    const run = new MigrationRun(small({ cpu: path }), new Recorder({ keep: false }), { lockdep: false }, null, cpu)
    while (run.advance(10_000) !== 'done');
    expect(run.report().consistency.verdict).toBe('consistent')
  })

  it('ends at once when it is stopped, and answers nothing', async () => {
    const stop = { aborted: false }
    const onProgress = () => {
      stop.aborted = true
    }
    expect(await calibrate({ passes: 50, onProgress, stop })).toBeNull()
  })

  it('ends by a Ctrl-C, which goes to all of its processes, and leaves what was kept before', async () => {
    const before = readFileSync(path, 'utf8')
    const { group, measuring } = await running(path)
    process.kill(-(group.pid ?? 0), 'SIGINT')
    const [code] = await once(group, 'exit')
    expect(code).toBe(130)
    expect(isThere(measuring)).toBe(false)
    expect(readFileSync(path, 'utf8')).toBe(before)
  })

  it('leaves no process behind where it is killed', async () => {
    const { group, measuring } = await running(path)
    group.kill('SIGKILL')
    await once(group, 'exit')
    await expect.poll(() => isThere(measuring), { timeout: 10_000 }).toBe(false)
  })
})
