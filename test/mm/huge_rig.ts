/**
 * What the tests of huge pages share: a rig with room for some, and areas that may have them.
 */
import { expect } from 'vitest'
import { HUGE_PAGES } from '../../core/hw/pte.ts'
import { MADV_HUGEPAGE, madvise } from '../../core/mm/madvise.ts'
import { at, P, Rig, type RigOptions } from './rig.ts'

export const H = HUGE_PAGES

/** Memory for fourteen huge pages, and an address space of sixteen. */
export function hugeRig(options: RigOptions = {}): Rig {
  return new Rig({ frames: 15 * H, windowPages: 16 * H, ...options })
}

/** `count` times 2 MiB, aligned, that may be huge pages; the first page. */
export function mapHuge(rig: Rig, count: number): number {
  const page = rig.map(count * H, undefined, H)
  expect(rig.call((k) => madvise(k, rig.mm, at(page), count * H * P, MADV_HUGEPAGE))).toBe(0)
  return page
}

/** The same, touched: `value + i` stands in page i. */
export function mapHugeWritten(rig: Rig, count: number, value = 1000): number {
  const page = mapHuge(rig, count)
  for (let i = 0; i < count * H; i += 37) rig.store(page + i, value + i)
  for (let i = 0; i < count; i++) expect(rig.isHuge(page + i * H)).toBe(true)
  return page
}

/** Every page that mapHugeWritten wrote still holds what it wrote, now at `page`. */
export function expectWritten(rig: Rig, page: number, count: number, value = 1000, process = rig.process): void {
  for (let i = 0; i < count * H; i += 37) expect(rig.load(page + i, 0, process)).toBe(value + i)
}
