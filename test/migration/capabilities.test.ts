/**
 * The tables of QEMU's capabilities and parameters hold together: defaults are legal values, and a rule never contradicts itself.
 */
import { expect, it } from 'vitest'
import { CAPABILITIES, CAPABILITY_NAMES, DEFAULT_CAPABILITIES } from '../../core/migration/capabilities.ts'
import { DEFAULT_PARAMETERS, PARAMETER_NAMES, PARAMETERS, type Parameter } from '../../core/migration/migration_parameters.ts'
import { spellInjection } from '../../core/run/injection.ts'

it('all 22 capabilities of QEMU are there, and all are off', () => {
  expect(CAPABILITY_NAMES.length).toBe(22)
  expect(Object.entries(DEFAULT_CAPABILITIES)).toEqual(CAPABILITY_NAMES.map((name) => [name, false]))
})

it('no capability needs what it cannot stand beside, and no pair is named twice', () => {
  const pairs = new Set<string>()
  for (const name of CAPABILITY_NAMES) {
    const { requires = [], conflicts = [] } = CAPABILITIES[name]
    for (const other of [...requires, ...conflicts]) expect(other).not.toBe(name)
    expect(requires.filter((other) => conflicts.includes(other))).toEqual([])
    for (const other of conflicts) {
      const pair = [name, other].sort().join(' ')
      expect(pairs).not.toContain(pair)
      pairs.add(pair)
    }
  }
  // 14 of background-snapshot, 2 of xbzrle, and one each of postcopy-ram and dirty-limit.
  expect(pairs.size).toBe(18)
})

it('every default is a legal value of its kind', () => {
  for (const name of PARAMETER_NAMES) {
    const { kind, min = Number.NaN, max = Number.NaN, words = [], default: value }: Parameter = PARAMETERS[name]
    expect(DEFAULT_PARAMETERS[name]).toBe(value)
    if (kind === 'word') expect(words).toContain(value)
    else if (kind === 'flag' || kind === 'text') expect(typeof value).toBe(kind === 'flag' ? 'boolean' : 'string')
    else expect(Number(value) >= min && Number(value) <= max).toBe(true)
  }
})

it('an injection is spelled as it is written', () => {
  expect(spellInjection({ what: 'loss', share: 0.01 })).toBe('loss=1%')
  expect(spellInjection({ what: 'cancel', state: 'precopy', afterNs: 5e6, durationNs: null })).toBe('cancel@precopy+5ms')
  expect(spellInjection({ what: 'latency', state: 'active', afterNs: 1e7, durationNs: 1e9, value: 5e7 })).toBe(
    'latency@active+10ms:1s=50ms',
  )
  expect(spellInjection({ what: 'rate', state: 'postcopy', afterNs: 0, durationNs: null, value: 1e8 })).toBe(
    'rate@postcopy+0ns=100Mbps',
  )
})
