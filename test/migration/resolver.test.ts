/**
 * The three resolvers: armed memory reports each touch, placed pages are seen by who waits, zero pages are zero, and a page
 * placed twice is refused with the call and the errno named.
 */
import { describe, expect, it } from 'vitest'
import { IoctlResolver, RemapResolver, type Resolver } from '../../core/migration/resolver.ts'
import { GEARS, type Gear, Rig } from '../mm/rig.ts'
import { RESOLVER_NAMES, type ResolverName } from './world.ts'

function arm(gear: Gear, name: ResolverName): { rig: Rig; resolver: Resolver; ram: number } {
  const rig = new Rig({ gear })
  const ram = rig.map(4)
  rig.store(ram + 1, 99)
  const resolver = name === 'remap' ? new RemapResolver(rig.process) : new IoctlResolver(rig.process, name)
  rig.call((k) => resolver.arm(k, rig.process, ram, 4))
  return { rig, resolver, ram }
}

const CASES = RESOLVER_NAMES.flatMap((name) => GEARS.map((gear) => [name, gear] as const))

describe.each(CASES)('%s in the %s gear', (name, gear) => {
  it('a touch is reported, placed and woken, and sees the content', () => {
    const { rig, resolver, ram } = arm(gear, name)
    const toucher = rig.spawn('toucher', 1, (k) => rig.process.touch(k, ram + 2, false))
    rig.run()
    expect(toucher.done).toBe(false)
    const fault = rig.spawn('fault', 2, (k) => resolver.nextFault(k))
    rig.run()
    expect(fault.value).toBe(ram + 2)
    rig.call(function* (k) {
      yield* resolver.place(k, ram + 2, { word0: 5, word1: 6, version: 3 })
      yield* resolver.wake(k, ram + 2)
    }, 3)
    expect(toucher.done).toBe(true)
    const out = { word0: 0, word1: 0, version: 0 }
    rig.call((k) => rig.process.readPage(k, ram + 2, out))
    expect(out).toEqual({ word0: 5, word1: 6, version: 3 })
    expect(rig.audit()).toBeNull()
  })

  it('what was there before it was armed is gone', () => {
    const { rig, ram } = arm(gear, name)
    expect(rig.pte(ram + 1)).toBe(0)
  })

  it('a zero page reads as zeros and can be written', () => {
    const { rig, resolver, ram } = arm(gear, name)
    rig.call((k) => resolver.place(k, ram, null))
    expect(rig.load(ram)).toBe(0)
    rig.store(ram, 4)
    expect(rig.load(ram)).toBe(4)
  })

  it('one page after another through the same buffer keeps each its own content', () => {
    const { rig, resolver, ram } = arm(gear, name)
    for (let p = 0; p < 4; p++) rig.call((k) => resolver.place(k, ram + p, { word0: p + 1, word1: p + 1, version: 1 }))
    expect([0, 1, 2, 3].map((p) => rig.load(ram + p))).toEqual([1, 2, 3, 4])
    expect(rig.audit()).toBeNull()
  })

  it('a page that is there already stays as it is, and the answer says so', () => {
    const { rig, resolver, ram } = arm(gear, name)
    const place = (value: number) =>
      rig.call((k) => resolver.place(k, ram, value === 0 ? null : { word0: value, word1: value, version: 1 }))
    expect(place(1)).toBe('placed')
    expect(place(2)).toBe('exists')
    expect(place(0)).toBe('exists')
    expect(rig.load(ram)).toBe(1)
    expect(rig.audit()).toBeNull()
  })

  it('disarmed, it ends the fault thread', () => {
    const { rig, resolver } = arm(gear, name)
    const fault = rig.spawn('fault', 2, (k) => resolver.nextFault(k))
    rig.run()
    rig.call((k) => resolver.disarm(k), 3)
    expect(fault.done).toBe(true)
    expect(fault.value).toBeNull()
  })
})
