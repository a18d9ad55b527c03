/**
 * The protections: their names and words, and for those with a scenario (scenarios.ts) that some random schedule breaks it
 * when the protection is left out, and no schedule of a search as long when it is there.
 */
import { describe, expect, it } from 'vitest'
import { isProtection, PROTECTIONS } from '../../core/mm/kconfig.ts'
import { Rig, seedsWhere } from './rig.ts'
import { SCENARIOS } from './scenarios.ts'

const SEEDS = 1500

const covered = PROTECTIONS.flatMap(({ name }) => {
  const scenario = SCENARIOS[name]
  return scenario === undefined ? [] : [{ name, scenario }]
})

describe.each(covered)('$name', ({ name, scenario }) => {
  it(`left out, breaks its scenario for some seed up to ${SEEDS}`, () => {
    let broken: string | null = null
    for (let seed = 1; seed <= SEEDS && broken === null; seed++) broken = scenario([name], seed)
    expect(broken).not.toBeNull()
  })

  it(`in place, holds for ${SEEDS} seeds`, () => {
    const broken = new Set<string | null>()
    seedsWhere(SEEDS, (seed) => {
      broken.add(scenario([], seed))
      return false
    })
    expect([...broken]).toEqual([null])
  })
})

describe('each protection', () => {
  it('says what it does and what goes wrong without it', () => {
    for (const { meaning, prevents } of PROTECTIONS) {
      expect(meaning.length).toBeGreaterThan(20)
      expect(prevents.length).toBeGreaterThan(20)
    }
  })

  it('names its races last, in brackets, as the race catalogue numbers them', () => {
    for (const { prevents } of PROTECTIONS) if (prevents.includes('(R')) expect(prevents).toMatch(/\(R\d+(, R\d+)*\)$/)
  })
})

describe('names', () => {
  it('are unique, and only they are protections', () => {
    const names = PROTECTIONS.map((p) => p.name)
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) expect(isProtection(name)).toBe(true)
    expect(isProtection('remap')).toBe(false)
  })

  it('a kernel has every protection but those left out', () => {
    for (const { name } of PROTECTIONS) {
      const { kernel } = new Rig({ without: [name] })
      for (const other of PROTECTIONS) expect(kernel.has(other.name)).toBe(other.name !== name)
    }
  })
})
