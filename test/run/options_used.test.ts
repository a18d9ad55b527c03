/**
 * The options in a report: whatever a run was told is there, and a real kernel's has what can be told to that.
 */
import { describe, expect, it } from 'vitest'
import type { KernelMigrateOptions } from '../../core/run/kernel_report.ts'
import { DEFAULT_OPTIONS, type MigrateOptions } from '../../core/run/options.ts'
import { kernelOptionsAsUsed, optionsAsUsed } from '../../core/run/options_used.ts'

const OTHER: MigrateOptions = {
  guest: 'sweep',
  memBytes: 2 ** 20,
  vcpus: 7,
  mode: 'hybrid',
  postcopyAfter: { ns: 1e6 },
  capabilities: { ...DEFAULT_OPTIONS.capabilities, multifd: true },
  parameters: { ...DEFAULT_OPTIONS.parameters, 'multifd-channels': 9 },
  prepaging: 'dual',
  inject: [{ what: 'loss', share: 0.01 }],
  recover: true,
  dirtyTracking: 'ring',
  freePageHints: true,
  balloonBytes: 4096,
  resolver: 'copy',
  faults: 'classic',
  cpu: 'zen2',
  pageSizeBytes: 2 ** 21,
  nested: true,
  guestPageSizeBytes: 2 ** 21,
  devices: 3,
  bandwidthBitsPerSec: 1e9,
  rttNs: 1e6,
  downtimeLimitNs: 1e6,
  without: ['remap-tlb-flush'],
  seed: 2,
  durationNs: 1e6,
  timeLimitNs: 1e9,
}

describe('the options of a report', () => {
  it.each(Object.keys(OTHER) as (keyof MigrateOptions)[])('tell of %s', (name) => {
    const told = optionsAsUsed({ ...DEFAULT_OPTIONS, [name]: OTHER[name] })
    const usual = optionsAsUsed(DEFAULT_OPTIONS)
    const differing = Object.entries(told).filter(([key, value]) => {
      return JSON.stringify(value) !== JSON.stringify(usual[key as keyof typeof usual])
    })
    expect(differing).toHaveLength(1)
  })

  const REAL: KernelMigrateOptions = { options: OTHER, isPaced: true, wire: 'tcp', watchdogNs: 5e9 }

  it('of a real run have its own, and none that only the model can be told', () => {
    const told = kernelOptionsAsUsed(REAL)
    expect(told).toMatchObject({ guest: 'sweep', resolver: 'copy', bandwidth: '1Gbps', wire: 'tcp', watchdog: '5s' })
    for (const name of ['cpu', 'rtt', 'without', 'devices', 'dirty-tracking']) expect(Object.keys(told)).not.toContain(name)
  })

  it('have no bandwidth where a real stream was not held to one', () => {
    expect(kernelOptionsAsUsed({ ...REAL, isPaced: false }).bandwidth).toBeNull()
  })
})
