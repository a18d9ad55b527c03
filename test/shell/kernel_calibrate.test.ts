/**
 * `kernel calibrate`, and the calibration that `kernel migrate` makes where there is none, on a full disk: what was measured is told and
 * used all the same, and the one sentence comes behind it.
 *
 * The kernel here answers figures that were written down beforehand; what the programs take is not searched for but given, too.
 */
import { expect, it, vi } from 'vitest'
import { callProgram } from '../../core/api/command_line.ts'
import type { Calibration } from '../../core/hw/calibration.ts'
import type { KernelReport } from '../../core/run/kernel_report.ts'
import { HostError } from '../../core/shell/host.ts'
import type { HostKernel } from '../../core/shell/host_kernel.ts'
import { MemoryHost, MemoryTerminal } from './memory_host.ts'

vi.mock('../../core/run/calibrated_host.ts', async (importOriginal) => {
  const real = await importOriginal<typeof import('../../core/run/calibrated_host.ts')>()
  const names = [
    ...['setup', 'savePage', 'saveRun', 'discard', 'loadCopiedPage', 'loadMovedPage', 'loadPrecopyPage'],
    ...['loadZero', 'loadPrecopyZero', 'loadRun', 'deviceSave', 'deviceLoad', 'halt'],
  ]
  const counts = { deviceBytes: 100, sendBufferBytes: 212_992, receiveBufferBytes: 212_992, placeBatchPages: 64 }
  const costs = [...names.map((name) => [`${name}Ns`, 1000] as const), ...Object.entries(counts)]
  const program = Object.fromEntries(costs.map(([name, value]) => [name, { value, kind: 'ours', source: 'given' }]))
  return { ...real, programCosts: async () => program }
})

const KEPT = '/state/calibration.json'
const CALIBRATION: Calibration = {
  schema: 'pageferry.calibration/1',
  release: '6.18.44',
  cpu: { name: 'AMD EPYC', vendor: 'AuthenticAMD', family: 26, model: 2, cpus: 2 },
  measured: Object.entries({ readFault: 500, fault: 1200, clearPage: 150, syscall: 120, copy: 1500, copyBatch: 700 }).map(
    ([name, value]) => ({
      name,
      what: name,
      unit: 'ns',
      value,
      seen: value,
      low: value,
      high: value,
      medians: [value],
      calls: 0,
    }),
  ),
  reach: [{ pages: 16, ns: 1 }],
  pipeline: [],
}
const REPORT = {
  machine: 'kernel',
  migration: { status: 'completed', 'total-time': 1, 'setup-time': 1, downtime: 1 },
  consistency: { verdict: 'consistent' },
  guest: { pages: 256 },
  kernel: { outcome: 'over', release: '6.18.44' },
} as unknown as KernelReport

const KERNEL = {
  info: async () => ({ permitted: true, release: '6.18.44' }),
  calibrate: async () => CALIBRATION,
  calibrationPath: async () => KEPT,
  keptCalibration: async () => null,
  keepCalibration: () => Promise.reject(new HostError(`${KEPT} cannot be written, because the disk is full; make room`)),
  migrate: async () => REPORT,
} as unknown as HostKernel

async function pageferry(...words: string[]) {
  const terminal = new MemoryTerminal()
  const host = Object.assign(new MemoryHost(), { kernel: KERNEL })
  const code = await callProgram({ host, commands: [], observer: {} }, words, terminal, { aborted: false })
  return { code, out: terminal.output, err: terminal.errors, host }
}

it.each([
  ['/full/here.json', ['--output', '/full/here.json']],
  [KEPT, []],
])('a calibration that does not fit into %s is printed, and then said to be nowhere', async (path, words) => {
  const { code, out, err, host } = await pageferry('kernel', 'calibrate', '--json', ...words)
  expect([code, err]).toEqual([
    1,
    `pageferry kernel calibrate: ${path} cannot be written, because the disk is full; make room.\n`,
  ])
  expect(JSON.parse(out)).toMatchObject({ file: null, faultNs: 1200, preset: { id: 'calibrated' } })
  expect(host.files.size).toBe(0)
  const text = await pageferry('kernel', 'calibrate', ...words)
  expect([text.code, text.out.includes('copyBatch'), text.out.includes('written to')]).toEqual([1, true, false])
})

it('a host that was busy meanwhile is told so, and a quiet one is not', async () => {
  // Ways in turn: each meets both.
  let migrations = 0
  const totals = vi.spyOn(KERNEL, 'migrate').mockImplementation(async () => {
    const total = migrations++ % 3 === 0 ? 200 : 100
    return { ...REPORT, migration: { ...REPORT.migration, 'total-time': total } }
  })
  const { err } = await pageferry('kernel', 'calibrate')
  expect(err).toContain('This host was busy while it was measured: the same migration took 100 ms and 200 ms; measure it again')
  totals.mockRestore()
  expect((await pageferry('kernel', 'calibrate')).err).not.toContain('busy')
})

it('a migration is predicted by a calibration that could not be kept', async () => {
  const { code, out, err } = await pageferry('kernel', 'migrate', '--mem', '4M', '--json')
  expect([code, JSON.parse(out).predicted.migration.status]).toEqual([0, 'completed'])
  expect(err).toContain(`It will be measured again next time: ${KEPT} cannot be written`)
})
