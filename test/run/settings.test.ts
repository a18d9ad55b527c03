/**
 * Which settings go together: QEMU's rules for capabilities, the companions they bring, and refusals that name the remedy.
 */
import { describe, expect, it } from 'vitest'
import { CAPABILITIES, CAPABILITY_NAMES, type Capabilities } from '../../core/migration/capabilities.ts'
import { DEFAULT_PARAMETERS, type MigrationParameters } from '../../core/migration/migration_parameters.ts'
import { DEFAULT_OPTIONS, type DirtyTracking, MODES, type Mode } from '../../core/run/options.ts'
import { contradiction, type Settlement, settleCapabilities } from '../../core/run/settings.ts'

function settle(
  mode: Mode,
  capabilities: Partial<Capabilities> = {},
  parameters: Partial<MigrationParameters> = {},
  dirtyTracking: DirtyTracking | null = null,
): Settlement {
  return settleCapabilities({ mode, capabilities, parameters: { ...DEFAULT_PARAMETERS, ...parameters }, dirtyTracking })
}

function on(settlement: Settlement): string[] {
  if (!settlement.ok) throw new Error(settlement.message)
  return CAPABILITY_NAMES.filter((name) => settlement.capabilities[name])
}

describe('what is on', () => {
  it('follows the mode, and the default options are those of the default mode', () => {
    expect(on(settle('precopy'))).toEqual([])
    expect(on(settle('hybrid'))).toEqual(['postcopy-ram', 'return-path'])
    expect(settle(DEFAULT_OPTIONS.mode)).toEqual({
      ok: true,
      capabilities: DEFAULT_OPTIONS.capabilities,
      dirtyTracking: DEFAULT_OPTIONS.dirtyTracking,
    })
  })

  it.each([
    'xbzrle',
    'release-ram',
    'multifd',
    'dirty-limit',
    'postcopy-blocktime',
    'postcopy-preempt',
    'auto-converge',
  ] as const)('%s can be switched on alone in a hybrid migration', (name) => {
    expect(on(settle('hybrid', { [name]: true }))).toEqual(
      CAPABILITY_NAMES.filter((one) => [name, 'postcopy-ram', 'return-path'].includes(one)),
    )
  })

  it('brings what it requires, and the dirty ring', () => {
    expect(on(settle('precopy', { 'zero-copy-send': true }))).toEqual(['multifd', 'zero-copy-send'])
    expect(settle('precopy', { 'dirty-limit': true })).toMatchObject({ dirtyTracking: 'ring' })
  })

  it('a snapshot is a pre-copy', () => {
    expect(on(settle('precopy', { 'background-snapshot': true }))).toEqual(['background-snapshot'])
  })

  it('never breaks a rule, whichever two are asked for in whichever mode', () => {
    let taken = 0
    for (const mode of MODES) {
      for (const one of CAPABILITY_NAMES) {
        for (const other of CAPABILITY_NAMES) {
          const settled = settle(mode, { [one]: true, [other]: true })
          if (!settled.ok) {
            expect(settled.message).toMatch(/; (leave|take|add) /)
            continue
          }
          taken++
          for (const name of CAPABILITY_NAMES) {
            const { requires = [], conflicts = [], notModelled } = CAPABILITIES[name]
            if (!settled.capabilities[name]) continue
            expect(notModelled).toBeUndefined()
            expect(requires.filter((needed) => !settled.capabilities[needed])).toEqual([])
            expect(conflicts.filter((bad) => settled.capabilities[bad])).toEqual([])
          }
        }
      }
    }
    expect(taken).toBeGreaterThan(150)
  })
})

describe('what is refused', () => {
  it.each<[string, Settlement]>([
    [
      'rdma-pin-all is not modelled, since the link here is a stream of bytes, not RDMA; leave it out',
      settle('precopy', { 'rdma-pin-all': true }),
    ],
    [
      'mode hybrid needs postcopy-ram; leave postcopy-ram=off out, or take mode precopy',
      settle('hybrid', { 'postcopy-ram': false }),
    ],
    [
      'mode postcopy needs return-path; leave return-path=off out, or take mode precopy',
      settle('postcopy', { 'return-path': false }),
    ],
    ['postcopy-preempt needs postcopy-ram; take mode postcopy or hybrid', settle('precopy', { 'postcopy-preempt': true })],
    ['release-ram needs postcopy-ram; take mode postcopy or hybrid', settle('precopy', { 'release-ram': true })],
    ['zero-copy-send needs multifd; leave multifd=off out', settle('precopy', { 'zero-copy-send': true, multifd: false })],
    ['multifd and xbzrle cannot be on together; leave one of them out', settle('precopy', { multifd: true, xbzrle: true })],
    [
      'multifd and xbzrle cannot be on together, and zero-copy-send needs multifd; leave zero-copy-send or xbzrle out',
      settle('precopy', { 'zero-copy-send': true, xbzrle: true }),
    ],
    [
      'background-snapshot and postcopy-ram cannot be on together, and mode hybrid has postcopy-ram on; take mode precopy',
      settle('hybrid', { 'background-snapshot': true }),
    ],
    [
      'dirty-limit and auto-converge cannot be on together; leave one of them out',
      settle('precopy', { 'dirty-limit': true, 'auto-converge': true }),
    ],
    ['dirty-limit needs the dirty ring; take dirty-tracking ring', settle('precopy', { 'dirty-limit': true }, {}, 'bitmap')],
    ['dirty-limit needs the dirty ring; take dirty-tracking ring', settle('precopy', { 'dirty-limit': true }, {}, 'pagemap')],
    [
      'multifd-compression=zstd needs multifd; add capability multifd=on',
      settle('precopy', {}, { 'multifd-compression': 'zstd' }),
    ],
    [
      'zero-copy-send and multifd-compression=zlib cannot go together; leave one of them out',
      settle('precopy', { 'zero-copy-send': true }, { 'multifd-compression': 'zlib' }),
    ],
    [
      'max-cpu-throttle=10 is less than cpu-throttle-initial=20; make it at least that',
      settle('precopy', {}, { 'max-cpu-throttle': 10 }),
    ],
    ['xbzrle-cache-size=5000 is not a power of two; take 8192', settle('precopy', {}, { 'xbzrle-cache-size': 5000 })],
  ])('%s', (message, settlement) => {
    expect(settlement).toEqual({ ok: false, message })
  })
})

it('a source that gives its pages up when they were sent cannot be recovered from a broken connection', () => {
  const capabilities = { ...DEFAULT_OPTIONS.capabilities, 'release-ram': true }
  expect(contradiction({ ...DEFAULT_OPTIONS, capabilities, recover: true })).toContain('release-ram')
  expect(contradiction({ ...DEFAULT_OPTIONS, capabilities })).toBe(null)
})

it('256 vCPUs are taken over memory whose TLB indexes fit this host, and refused over more', () => {
  const many = { ...DEFAULT_OPTIONS, vcpus: 256 }
  expect(contradiction({ ...many, memBytes: 8 * 2 ** 30 })).toBe(null)
  expect(contradiction({ ...many, memBytes: 16 * 2 ** 30 })).toContain('take 8 GiB of this host')
})
