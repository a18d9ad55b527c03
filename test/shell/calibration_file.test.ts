/**
 * The preset made of a calibration: its parts add up to what was measured, the file is one that --cpu takes, and a migration runs with it.
 */
import { describe, expect, it } from 'vitest'
import { type Calibration, calibratedPreset, type Measured, nearestPreset } from '../../core/hw/calibration.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import { calibrationFile, isOf, presetOf } from '../../core/shell/calibration_file.ts'
import { parseCpu, parseCpuFile } from '../../core/shell/cpu_file.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { small } from '../run/small.ts'

const CPU = { name: 'AMD EPYC', vendor: 'AuthenticAMD', family: 26, model: 2, cpus: 2 }

function measured(name: string, value: number): Measured {
  return { name, what: name, unit: 'ns', value, seen: value, low: value, high: value, medians: [value], calls: 0 }
}

function calibration(values: Readonly<Record<string, number>>): Calibration {
  const all = { readFault: 500, fault: 1200, clearPage: 150, syscall: 120, copy: 1500, copyBatch: 700, uffdFault: 40_000 }
  return {
    schema: 'pageferry.calibration/1',
    release: '6.18.44',
    cpu: CPU,
    measured: Object.entries({ ...all, ...values }).map(([name, value]) => measured(name, value)),
    reach: [{ pages: 16, ns: 1 }],
    pipeline: [],
  }
}

describe('a calibrated preset', () => {
  it('makes a write fault of its three parts', () => {
    const made = calibratedPreset(calibration({}), ZEN5)
    expect(made.faultNs.value + made.allocPageNs.value + made.clearPageNs.value).toBeCloseTo(1200)
  })

  it('makes a COPY among many of the page taken and copied', () => {
    const made = calibratedPreset(calibration({}), ZEN5)
    expect(made.allocPageNs.value + made.copyPageNs.value).toBeCloseTo(700)
  })

  it('never has a negative cost, however odd what was measured', () => {
    const made = calibratedPreset(calibration({ fault: 400, copyBatch: 1, uffdFault: 10, madviseShared: 1, madvise: 2 }), ZEN5)
    for (const cost of [made.faultNs, made.allocPageNs, made.clearPageNs, made.copyPageNs, made.wakeupNs, made.ipiHandleNs])
      expect(cost.value).toBeGreaterThanOrEqual(0)
    expect(made.wakeupNs).toBe(ZEN5.wakeupNs)
  })

  it('keeps what was not measured, and says of the rest where it comes from', () => {
    const made = calibratedPreset(calibration({}), ZEN5)
    expect(made.l2Entries).toBe(ZEN5.l2Entries)
    expect(made.syscallNs).toEqual({
      value: 120,
      kind: 'measured',
      source: 'kernel calibrate on AMD EPYC, Linux 6.18.44: getppid()',
    })
  })

  it.each([
    [CPU, 'zen5'],
    [{ ...CPU, family: 25 }, 'zen2'],
    [{ ...CPU, vendor: 'GenuineIntel', family: 6, model: 85 }, 'skylake'],
    [{ ...CPU, vendor: 'GenuineIntel', family: 6, model: 143 }, 'golden-cove'],
    [{ ...CPU, vendor: '', name: 'Apple M1' }, 'apple-m1'],
    [{ ...CPU, vendor: '', name: 'arm64' }, 'neoverse-v2'],
  ])('takes what was not measured from the preset nearest to %j: %s', (cpu, id) => expect(nearestPreset(cpu)).toBe(id))
})

const MEASURED = calibration({ madvise: 1000, madviseShared: 7000 })

describe('the file of a calibration', () => {
  const text = JSON.stringify(calibrationFile(MEASURED, presetOf(MEASURED)))

  it('is a CPU file, and holds what was measured', () => {
    const { cpu, calibration: kept } = parseCpuFile(text, 'here.json')
    expect(cpu.ipiHandleNs.value).toBe(5000)
    expect(kept).toEqual(MEASURED)
  })

  it('is good for the kernel and the CPU that it is of, and no other', () => {
    const of = calibration({})
    expect(isOf(of, { release: '6.18.44', cpu: { ...CPU } })).toBe(true)
    expect(isOf(of, { release: '6.18.45', cpu: { ...CPU } })).toBe(false)
    expect(isOf(of, { release: '6.18.44', cpu: { ...CPU, model: 3 } })).toBe(false)
  })

  it('is what a migration can run on', () => {
    const cpu = parseCpu(text, 'here.json')
    const run = new MigrationRun(small({ cpu: './here.json' }), new Recorder({ keep: false }), { lockdep: false }, null, cpu)
    while (run.advance(10_000) !== 'done');
    expect(run.report().consistency.verdict).toBe('consistent')
  })
})
