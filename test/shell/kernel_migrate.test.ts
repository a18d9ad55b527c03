/**
 * `kernel migrate` from words to exit code, on a host kernel that only writes down what it is asked: options are those of migrate, and
 * what a real kernel cannot be told is refused in one sentence. Its events become files as a simulated run's do.
 */
import { describe, expect, it } from 'vitest'
import { callProgram } from '../../core/api/command_line.ts'
import type { KernelEvents } from '../../core/run/kernel_events.ts'
import type { KernelMigrateOptions, KernelReport } from '../../core/run/kernel_report.ts'
import { kernelCommandOf } from '../../core/shell/commands/kernel_migrate.ts'
import { HostError } from '../../core/shell/host.ts'
import type { HostKernel, KernelWatcher } from '../../core/shell/host_kernel.ts'
import { EventKind, MIGRATION_STATUS } from '../../core/trace/event.ts'
import { MemoryHost, MemoryTerminal } from './memory_host.ts'

async function kernelMigrate(words: readonly string[]) {
  const asked: KernelMigrateOptions[] = []
  const kernel = {
    info: async () => ({ permitted: false }),
    migrate: (run: KernelMigrateOptions): Promise<KernelReport | null> => {
      asked.push(run)
      throw new HostError('userfaultfd is not permitted here', 126)
    },
  } as unknown as HostKernel
  const terminal = new MemoryTerminal()
  const host = Object.assign(new MemoryHost(), { kernel })
  const code = await callProgram({ host, commands: [], observer: {} }, ['kernel', 'migrate', ...words], terminal, {
    aborted: false,
  })
  return { code, err: terminal.errors, asked: asked[0] }
}

describe('kernel migrate', () => {
  it('asks for MOVE and no pace unless told otherwise', async () => {
    const { asked } = await kernelMigrate([])
    expect(asked).toMatchObject({
      isPaced: false,
      wire: 'unix',
      watchdogNs: 10e9,
      options: { resolver: 'move', mode: 'postcopy', guest: 'kv' },
    })
  })

  it('hands on what migrate knows by the same names', async () => {
    const words = [
      '--mode',
      'hybrid',
      '--resolver',
      'copy',
      '--bandwidth',
      '1Gbps',
      '--mem',
      '64M',
      '--vcpus',
      '3',
      '--seed',
      '9',
    ]
    const { asked } = await kernelMigrate(words)
    expect(asked).toMatchObject({
      isPaced: true,
      options: { mode: 'hybrid', resolver: 'copy', bandwidthBitsPerSec: 1e9, vcpus: 3, seed: 9 },
    })
  })

  it('goes by TCP when told so, and spells it as it was told', async () => {
    const { asked } = await kernelMigrate(['--wire', 'tcp'])
    expect(asked?.wire).toBe('tcp')
    expect(asked && kernelCommandOf(asked)).toContain('--wire tcp')
  })

  it('ends with 126 and one sentence where the host does not let it', async () => {
    const { code, err } = await kernelMigrate([])
    expect([code, err.trim().split('\n').length]).toEqual([126, 1])
    expect(err).toContain('not permitted')
  })

  it.each([
    [['--rtt', '1ms'], '--rtt makes no sense here'],
    [['--cpu', 'zen5'], '--cpu makes no sense here'],
    [['--without', 'remap-tlb-flush'], '--without makes no sense here'],
    [['--resolver', 'remap'], 'is not one of move, copy'],
    [['--guest', 'a.lackey+b.lackey+c.lackey'], 'give --vcpus 3'],
    [['--capability', 'multifd=on'], 'capability multifd is not done on a real kernel'],
    [['--parameter', 'multifd-channels=4'], 'parameter multifd-channels is not done on a real kernel'],
    [['--inject', 'loss=1%'], '--inject loss cannot be done to a real socket'],
    [['--prepaging', 'demand'], 'give it a --time-limit'],
    [['--wire', 'pigeon'], 'is not one of unix, tcp'],
    [['--prepaging', 'forward:queue=64k'], 'does not run on a real kernel'],
    [['--guest', 'kv:set=128M', '--mem', '64M'], 'is more than its memory of 64M'],
    [['--guest', 'nobody'], 'unknown guest'],
    [['--vcpus', '65'], '64'],
    [['--mem', '4G'], '2G'],
  ])('refuses %s in one sentence', async (words, sentence) => {
    const { code, err, asked } = await kernelMigrate(words)
    expect([code, asked]).toEqual([2, undefined])
    expect(err).toContain(sentence)
    expect(err.trim().split('\n').length).toBeLessThanOrEqual(3)
  })
})

describe('the events of a kernel migrate', () => {
  const EVENTS: KernelEvents = {
    timeNs: [1e6, 2e6],
    kind: [EventKind.State, EventKind.Send],
    lane: [0, 0],
    page: [-1, 5],
    count: [1, 2],
    arg: [MIGRATION_STATUS.indexOf('completed'), 4104],
    missedFromNs: null,
  }
  const REPORT = {
    machine: 'kernel',
    migration: { status: 'completed' },
    consistency: { verdict: 'consistent' },
    kernel: { outcome: 'over', release: '6.18.44' },
  } as unknown as KernelReport

  async function migrated(words: readonly string[]) {
    let isKept = false
    const migrate = async (_run: unknown, { onEvents }: KernelWatcher) => {
      isKept = onEvents !== undefined
      onEvents?.(EVENTS)
      return REPORT
    }
    const terminal = new MemoryTerminal()
    const host = Object.assign(new MemoryHost(), { kernel: { migrate } as unknown as HostKernel })
    const program = { host, commands: [], observer: {} }
    const line = ['kernel', 'migrate', '--no-predict', '--json', ...words]
    const code = await callProgram(program, line, terminal, { aborted: false })
    return { code, out: terminal.output, err: terminal.errors, isKept, host }
  }

  it('are kept for nobody where nobody asked', async () => {
    const { code, isKept, host } = await migrated([])
    expect([code, isKept, host.files.size]).toEqual([0, false, 0])
  })

  it('are written as those of a simulated run are, one a page, and marked as real', async () => {
    const { code, host } = await migrated(['--trace', 'run.trace', '--perfetto', 'run.json'])
    expect(code).toBe(0)
    const lines = host.text('run.trace').split('\n')
    expect(lines.slice(0, 2)).toEqual(['# pageferry trace 1', expect.stringContaining('# a real run on Linux 6.18.44')])
    expect(lines.slice(2, 5).map((line) => line.slice(61))).toEqual([
      'the migration is completed',
      'page 0x5 goes out in 4104 bytes',
      'page 0x6 goes out in 4104 bytes',
    ])
    expect(JSON.parse(host.text('run.json')).otherData).toMatchObject({ machine: 'kernel', release: '6.18.44' })
  })

  it('cost the exit code where they do not fit on the disk, and not the report', async () => {
    const { code, out, err } = await migrated(['--perfetto', '/full/run.json'])
    expect([code, JSON.parse(out).machine]).toEqual([1, 'kernel'])
    expect(err).toContain('/full/run.json cannot be written, because the disk is full')
  })

  it('go to files that can be written, or nothing is migrated', async () => {
    const { code, isKept } = await migrated(['--trace', '/readonly/run.trace'])
    expect([code, isKept]).toEqual([1, false])
  })
})
