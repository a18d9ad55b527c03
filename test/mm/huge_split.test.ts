import { describe, expect, it } from 'vitest'
import { splitHugePage, splitHugePmd } from '../../core/mm/huge_split.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import { MADV_DONTNEED, madvise } from '../../core/mm/madvise.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { mprotect, PROT_READ } from '../../core/mm/mprotect.ts'
import { remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { expectWritten, H, hugeRig, mapHuge, mapHugeWritten } from './huge_rig.ts'
import { at, failure, firstSeed, GEARS, P, type Rig } from './rig.ts'

describe.each(GEARS)('splitting, %s gear', (gear) => {
  it('makes 512 pages of one, in their places, with nothing lost', () => {
    const rig = hugeRig({ gear })
    const page = mapHugeWritten(rig, 1)
    const head = rig.frame(page)
    rig.call((k) => splitHugePmd(k, rig.mm, page + 77))
    expect([rig.isHuge(page), rig.frame(page), rig.frame(page + 511)]).toEqual([false, head, head + 511])
    expectWritten(rig, page, 1)
    expect([rig.mm.rss, rig.kernel.pages.used, rig.kernel.deposits.total]).toEqual([H, H, 0])
    expect(rig.audit()).toBeNull()
  })

  it('splits it for everybody who maps it', () => {
    const rig = hugeRig({ gear })
    const page = mapHugeWritten(rig, 1)
    const child = rig.fork()
    rig.call((k) => splitHugePmd(k, rig.mm, page))
    expect([rig.isHuge(page), rig.isHuge(page, child.mm)]).toEqual([false, false])
    expect(rig.kernel.pages.mapcount[rig.frame(page + 300)]).toBe(2)
    expectWritten(rig, page, 1, 1000, child)
    expect(rig.audit()).toBeNull()
  })

  it('of a page that nobody maps any more answers false', () => {
    const rig = hugeRig({ gear })
    const page = mapHugeWritten(rig, 1)
    const head = rig.frame(page)
    rig.kernel.pages.get(head)
    rig.call((k) => munmap(k, rig.mm, at(page), H * P))
    expect(rig.call((k) => splitHugePage(k, rig.kernel, head))).toBe(false)
    rig.kernel.pages.put(head)
    expect([rig.kernel.pages.used, rig.audit()]).toEqual([0, null])
  })
})

describe('a call that means a part of 2 MiB splits them', () => {
  const half = (H / 2) * P
  it.each([
    ['munmap', (rig: Rig, address: number) => rig.call((k) => munmap(k, rig.mm, address, half))],
    ['MADV_DONTNEED', (rig: Rig, address: number) => rig.call((k) => madvise(k, rig.mm, address, half, MADV_DONTNEED))],
    ['mprotect', (rig: Rig, address: number) => rig.call((k) => mprotect(k, rig.mm, address, half, PROT_READ))],
  ])('%s', (_name, call) => {
    const rig = hugeRig()
    const page = mapHugeWritten(rig, 2)
    expect(call(rig, at(page + H / 2))).toBe(0)
    expect([rig.isHuge(page), rig.isHuge(page + H)]).toEqual([false, true])
    expect(rig.load(page + 37)).toBe(1037)
    expect(rig.load(page + H + 6)).toBe(1000 + H + 6)
    expect(rig.audit()).toBeNull()
  })

  it('and one that means them whole does not', () => {
    const rig = hugeRig()
    const page = mapHugeWritten(rig, 3)
    rig.call((k) => mprotect(k, rig.mm, at(page), H * P, PROT_READ))
    rig.call((k) => madvise(k, rig.mm, at(page + H), H * P, MADV_DONTNEED))
    rig.call((k) => munmap(k, rig.mm, at(page + 2 * H), H * P))
    expect([rig.isHuge(page), rig.kernel.thp.splitPage, rig.mm.rss]).toEqual([true, 0, H])
    expect(rig.load(page + H)).toBe(0)
    expect(rig.audit()).toBeNull()
  })
})

/** A split of the page at `src`, begun before and going on while remap_anon_pages takes it to `dst`. */
function splitAgainstMove(seed: number, without: readonly ProtectionName[]): string | null {
  const rig = hugeRig({ gear: 'step', seed, without })
  const src = mapHuge(rig, 1)
  rig.map(1)
  const dst = rig.map(H, undefined, H)
  rig.store(src, 1)
  const head = rig.frame(src)
  rig.kernel.pages.get(head)
  return failure(() => {
    rig.spawn('split', 0, (k) => splitHugePage(k, rig.kernel, head))
    rig.spawn('remap', 1, (k) => remapAnonPages(k, rig.mm, at(dst), at(src), H * P, 0))
    const outcome = rig.run()
    if (outcome !== 'done') throw new Error(`${outcome}: ${rig.waits().join('; ')}`)
    rig.kernel.pages.put(head)
    const wrong = rig.audit()
    if (wrong !== null) throw new Error(wrong)
  })
}

describe('a split against a move of the same huge page', () => {
  it('is right in every order drawn', () => {
    expect(firstSeed(60, (seed) => splitAgainstMove(seed, []) !== null)).toBe(-1)
  })

  it('finds fewer PMDs than the page has mappings where the mapping is not read again (R28)', () => {
    const seed = firstSeed(60, (s) => splitAgainstMove(s, ['split-mapping-recheck']) !== null)
    expect(seed).toBeGreaterThan(0)
  })
})
