/**
 * The model's PAGEMAP_SCAN and this kernel's, side by side: the same stores, loads, discards and scans name the same pages, as written and as holding
 * something. Where the host has swap some of them are in it.
 *
 * Needs Linux with PAGEMAP_SCAN and WP_ASYNC; skipped by name elsewhere.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Bitmap } from '../../core/base/bitmap.ts'
import { sys, UFFD_FEATURE } from '../../core/machine/syscall.ts'
import { Mapping, PAGE_BYTES } from '../../main/kernel/sys/mapping.ts'
import { HOLDS_SOMETHING, PagemapScanner, type ScanOptions } from '../../main/kernel/sys/pagemap_scan.ts'
import { MADV, PAGE_IS, UFFDIO_REGISTER_MODE, UFFDIO_WRITEPROTECT_MODE } from '../../main/kernel/sys/uapi.ts'
import { Userfaultfd } from '../../main/kernel/sys/userfaultfd.ts'
import { at, P } from '../mm/rig.ts'
import { UffdRig, WP } from '../mm/uffd_rig.ts'
import { named, noKernel } from './host.ts'

const PAGES = 8
const FIRST = 4
const WORDS = PAGE_BYTES / 4

interface Subject {
  store(page: number): void
  load(page: number): void
  discard(page: number): void
  protect(): void
  /** Pages that a scan of [first, first + pages) names and protects again. */
  scan(first: number, pages: number): number[]
  /** It goes to swap, where there is any. */
  pageOut(page: number): void
  /** Pages of [first, first + pages) that hold something. */
  holding(first: number, pages: number): number[]
}

function model(): Subject {
  const rig = new UffdRig({ swap: 64 }, UFFD_FEATURE.WP_ASYNC)
  rig.watch(FIRST, PAGES, WP)
  const found = (first: number, pages: number, scan: typeof sys.pagemapScanWritten) => {
    const bits = new Bitmap(pages)
    expect(rig.do((k) => scan(k, rig.process, at(FIRST + first), pages * P, bits))).toBe(0)
    return Array.from({ length: pages }, (_, i) => i).flatMap((i) => (bits.has(i) ? [first + i] : []))
  }
  return {
    store: (page) => rig.store(FIRST + page, 1),
    load: (page) => void rig.load(FIRST + page),
    discard: (page) => void rig.do((k) => sys.madvise(k, rig.process, at(FIRST + page), P, MADV.dontNeed)),
    protect: () => void rig.protect(FIRST, PAGES, UFFDIO_WRITEPROTECT_MODE.wp),
    scan: (first, pages) => found(first, pages, sys.pagemapScanWritten),
    pageOut: (page) => void (rig.frame(FIRST + page) > 0 && rig.evict(FIRST + page)),
    holding: (first, pages) => found(first, pages, sys.pagemapScanHolding),
  }
}

function kernel(memory: Mapping, scanner: PagemapScanner, uffd: Userfaultfd): Subject {
  const words = new Uint32Array(memory.buffer)
  let seen = 0
  const found = (first: number, pages: number, asked: ScanOptions) => {
    const start = memory.address + first * PAGE_BYTES
    return [...scanner.scan(start, start + pages * PAGE_BYTES, asked)].flatMap((range) => {
      const from = (range.start - memory.address) / PAGE_BYTES
      return Array.from({ length: (range.end - range.start) / PAGE_BYTES }, (_, i) => from + i)
    })
  }
  return {
    store: (page) => {
      words[page * WORDS] = 1
    },
    load: (page) => {
      seen ^= words[page * WORDS] ?? seen
    },
    discard: (page) => memory.advise(MADV.dontNeed, page * PAGE_BYTES, PAGE_BYTES),
    protect: () => void uffd.writeprotect(memory.address, memory.length, UFFDIO_WRITEPROTECT_MODE.wp),
    scan: (first, pages) => found(first, pages, { all: PAGE_IS.written, tell: PAGE_IS.written, protect: true }),
    pageOut: (page) => memory.advise(MADV.pageOut, page * PAGE_BYTES, PAGE_BYTES),
    holding: (first, pages) => found(first, pages, HOLDS_SOMETHING),
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant('store' as const), page: fc.nat(PAGES - 1) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constantFrom('load' as const, 'discard' as const), page: fc.nat(PAGES - 1) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('pageOut' as const), page: fc.nat(PAGES - 1) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constantFrom('scan' as const, 'holding' as const), page: fc.nat(PAGES - 1) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('protect' as const), page: fc.constant(0) }) },
)

describe.skipIf(noKernel !== null)(named('PAGEMAP_SCAN'), () => {
  it('names on this kernel what it names in the model', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = Mapping.anonymous(PAGES * PAGE_BYTES)
        const scanner = new PagemapScanner()
        const uffd = Userfaultfd.open(['WP_ASYNC'])
        try {
          uffd.register(memory.address, memory.length, UFFDIO_REGISTER_MODE.wp)
          const subjects = [model(), kernel(memory, scanner, uffd)] as const
          for (const subject of subjects) subject.protect()
          for (const { what, page } of steps) {
            // From the page on, so that parts are scanned, too.
            const [ours, theirs] = subjects.map((subject) => {
              if (what === 'scan' || what === 'holding') return subject[what](page, PAGES - page)
              if (what === 'protect') subject.protect()
              else subject[what](page)
              return []
            })
            expect(theirs).toEqual(ours)
          }
          expect(subjects[1].holding(0, PAGES)).toEqual(subjects[0].holding(0, PAGES))
          expect(subjects[1].scan(0, PAGES)).toEqual(subjects[0].scan(0, PAGES))
        } finally {
          uffd.close()
          scanner.close()
          memory.unmap()
        }
      }),
      { numRuns: 200 },
    )
  })
})
