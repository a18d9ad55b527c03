/**
 * PAGEMAP_SCAN with asynchronous write protection: a scan names what was written since the last, each page once, and what it names is protected.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Bitmap } from '../../core/base/bitmap.ts'
import { PTE_UFFD_WP, PTE_W } from '../../core/hw/pte.ts'
import { sys, UFFD_FEATURE } from '../../core/machine/syscall.ts'
import { ERRNO } from '../../core/mm/errno.ts'
import { at, GEARS, P, type RigOptions } from './rig.ts'
import { UffdRig, WP } from './uffd_rig.ts'

const ARM = 1

class Tracked extends UffdRig {
  /** Registered and protected; pages in `written` were written before. */
  constructor(
    readonly first: number,
    readonly pages: number,
    options: RigOptions = {},
    written: readonly number[] = [],
  ) {
    super(options, UFFD_FEATURE.WP_ASYNC)
    this.watch(first, pages, WP)
    for (const page of written) this.store(first + page, 1)
    expect(this.protect(first, pages, ARM)).toEqual({ ret: 0, fields: {} })
  }

  /** Pages that a scan names, or its errno. */
  scan(page = 0, pages = this.pages): number[] | number {
    const found = new Bitmap(pages)
    const ret = this.do((k) => sys.pagemapScanWritten(k, this.process, at(this.first + page), pages * P, found))
    return ret === 0 ? Array.from({ length: pages }, (_, i) => page + i).filter((i) => found.has(i - page)) : ret
  }
}

describe.each(GEARS)('in the %s gear', (gear) => {
  it('names the pages written since they were protected, each once', () => {
    const rig = new Tracked(4, 4, { gear }, [0, 1, 2])
    expect(rig.scan()).toEqual([])
    rig.store(5, 2, 1)
    rig.store(5, 3, 2)
    rig.load(4)
    expect(rig.scan()).toEqual([1])
    expect(rig.pte(5) & (PTE_W | PTE_UFFD_WP)).toBe(PTE_UFFD_WP)
    expect(rig.scan()).toEqual([])
  })

  it('names a page that was not there when it is first written, and not when it is first read', () => {
    const rig = new Tracked(4, 4, { gear })
    rig.load(4)
    rig.store(6, 1)
    expect(rig.scan()).toEqual([2])
    rig.store(4, 1)
    expect(rig.scan()).toEqual([0])
  })

  it('names a page that was given back: it is zero now', () => {
    const rig = new Tracked(4, 2, { gear }, [0, 1])
    rig.do((k) => sys.madvise(k, rig.process, at(4), P, 4))
    expect(rig.scan()).toEqual([0])
    expect(rig.scan()).toEqual([])
  })

  it('of part of the range leaves the rest as it was', () => {
    const rig = new Tracked(4, 3, { gear }, [0, 1, 2])
    for (const page of [4, 5, 6]) rig.store(page, 2)
    expect(rig.scan(1, 1)).toEqual([1])
    expect(rig.scan()).toEqual([0, 2])
  })

  it('wakes nobody, and nobody reads of it', () => {
    const rig = new Tracked(4, 1, { gear }, [0])
    rig.store(4, 2)
    expect(rig.messages()).toEqual([])
    expect(rig.audit()).toBeNull()
  })

  it('is refused for memory that is not protected that way', () => {
    const rig = new Tracked(4, 2, { gear }, [0])
    rig.map(2, 3, 6)
    expect(rig.scan(0, 4)).toBe(ERRNO.EPERM)
    const plain = new UffdRig({ gear }, UFFD_FEATURE.PAGEFAULT_FLAG_WP)
    plain.watch(4, 1, WP)
    expect(plain.do((k) => sys.pagemapScanWritten(k, plain.process, at(4), P, new Bitmap(1)))).toBe(ERRNO.EPERM)
  })
})

it('protects across tables, each under its own lock', () => {
  const rig = new Tracked(510, 4, {}, [0, 1, 2, 3])
  for (const page of [511, 512]) rig.store(page, 2)
  expect(rig.scan()).toEqual([1, 2])
})

it('a copy kept up by scans is what is in memory, after any stores, loads, evictions, forks and scans', () => {
  const step = fc.record({
    what: fc.constantFrom('store', 'store', 'load', 'evict', 'scan', 'fork', 'discard'),
    page: fc.nat(3),
    value: fc.nat(99),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const rig = new Tracked(4, 4, { swap: 16, frames: 256 })
      const copy = [0, 0, 0, 0]
      const catchUp = () => {
        const dirty = rig.scan()
        if (typeof dirty !== 'number') for (const page of dirty) copy[page] = rig.load(4 + page)
      }
      for (const { what, page, value } of steps) {
        if (what === 'store') rig.store(4 + page, value)
        else if (what === 'load') rig.load(4 + page)
        else if (what === 'evict' && rig.frame(4 + page) > 0) rig.evict(4 + page)
        else if (what === 'discard') rig.do((k) => sys.madvise(k, rig.process, at(4 + page), P, 4))
        else if (what === 'fork') rig.fork()
        else if (what === 'scan') catchUp()
      }
      catchUp()
      expect(copy).toEqual([0, 1, 2, 3].map((page) => rig.load(4 + page)))
    }),
    { numRuns: 150 },
  )
})
