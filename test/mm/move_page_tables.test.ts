/**
 * Moving page table entries: across table borders, empty tables, what a registration loses, and why TLBs are flushed before
 * the locks are dropped (R49).
 */
import { describe, expect, it } from 'vitest'
import { PTE_UFFD_WP } from '../../core/hw/pte.ts'
import { sys, UFFD_FEATURE } from '../../core/machine/syscall.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import { at, firstSeed, GEARS, P, seedsWhere } from './rig.ts'
import { UffdRig, WP } from './uffd_rig.ts'

describe.each(GEARS)('in the %s gear', (gear) => {
  it('entries cross table borders on either side, and holes stay holes', () => {
    const rig = new UffdRig({ gear, windowPages: 4096 })
    rig.map(8, 3, 508)
    for (const p of [508, 511, 512, 515]) rig.store(p, p)
    rig.do((k) => sys.mremap(k, rig.process, at(508), 8 * P, 8 * P, 3, at(1534)))
    expect([0, 3, 4, 7].map((p) => rig.load(1534 + p))).toEqual([508, 511, 512, 515])
    expect([1, 2, 5, 6].map((p) => rig.pte(1534 + p))).toEqual([0, 0, 0, 0])
    expect(rig.audit()).toBeNull()
  })

  it('tables that do not exist are skipped', () => {
    const rig = new UffdRig({ gear, windowPages: 8192 })
    rig.map(2048, 3, 512)
    rig.store(2000, 5)
    rig.do((k) => sys.mremap(k, rig.process, at(512), 2048 * P, 2048 * P, 3, at(4096)))
    expect(rig.load(4096 + 2000 - 512)).toBe(5)
    expect(rig.kernel.pages.used).toBe(1)
  })

  it.each([
    [0, 0],
    [UFFD_FEATURE.EVENT_REMAP, PTE_UFFD_WP],
  ])('write protection moves along only with EVENT_REMAP (features %i)', (features, expected) => {
    const rig = new UffdRig({ gear }, features | UFFD_FEATURE.WP_UNPOPULATED)
    rig.watch(20, 2, WP)
    rig.store(20, 5)
    rig.protect(20, 2, 1)
    rig.start('mover', 1, (k) => sys.mremap(k, rig.process, at(20), 2 * P, 2 * P, 3, at(60)))
    rig.messages()
    rig.run()
    expect(rig.pte(60) & PTE_UFFD_WP).toBe(expected)
    expect(rig.pte(61) !== 0).toBe(expected !== 0)
  })
})

describe('R49', () => {
  it('the flush comes before the locks are dropped: a PTE lock taken by another right after finds no stale entry', () => {
    const stale = (without: readonly ProtectionName[], seed: number) => {
      const rig = new UffdRig({ gear: 'step', seed, without })
      rig.map(1, 3, 20)
      rig.store(20, 1, 3)
      let found = false
      rig.spawn('mover', 1, (k) => sys.mremap(k, rig.process, at(20), P, P, 3, at(60)))
      rig.spawn('walker', 2, function* (k) {
        for (let i = 0; i < 10; i++) {
          const lock = rig.kernel.pteLock(rig.mm.table.walkAllocate(60))
          yield* lock.lock(k)
          const moved = rig.pte(60) !== 0 && rig.pte(20) === 0
          if (moved && rig.cpu(3).mmu.tlb.where[20] !== 0) found = true
          lock.unlock(k)
        }
      })
      rig.run()
      return found
    }
    expect(seedsWhere(200, (seed) => stale([], seed))).toEqual([])
    expect(firstSeed(200, (seed) => stale(['mremap-flush-before-unlock'], seed))).toBeGreaterThan(0)
  })
})
