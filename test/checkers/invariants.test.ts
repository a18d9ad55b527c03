/**
 * Every invariant of the kernel's own state is silent on a sound machine, in flight and at rest, and finds the bug that is planted
 * for it: by its name, with the page, frame or CPU that it concerns. What in flight is left out is planted with the lock held.
 */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Invariant, State } from '../../core/checkers/invariant.ts'
import { brokenAtRest, brokenInFlight, INVARIANTS } from '../../core/checkers/invariants.ts'
import { ENTRIES } from '../../core/hw/page_table.ts'
import {
  HUGE_PAGES,
  makePte,
  PTE_A,
  PTE_D,
  PTE_NONE,
  PTE_P,
  PTE_U,
  PTE_UFFD_WP,
  PTE_W,
  pteFlags,
  ptePfn,
  pteWithFlags,
} from '../../core/hw/pte.ts'
import { MADV_HUGEPAGE, madvise } from '../../core/mm/madvise.ts'
import { mprotect, PROT_NONE, PROT_READ } from '../../core/mm/mprotect.ts'
import { OpenFile, ShmemInode } from '../../core/mm/shmem.ts'
import { makeSwapEntry } from '../../core/mm/swapops.ts'
import { UFFD_EVENT_PAGEFAULT } from '../../core/mm/uffd_abi.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { at, P, Rig } from '../mm/rig.ts'

const RW = PTE_P | PTE_U | PTE_A | PTE_D | PTE_W

/** `a`: written pages at offsets 0 to 2, a read one at 3. CPU 0 has them in its TLB. */
function scene(): { rig: Rig; a: number } {
  const rig = new Rig({ swap: 8 })
  const a = rig.map(4)
  for (let p = 0; p < 3; p++) rig.store(a + p, p + 1)
  rig.load(a + 3)
  return { rig, a }
}

function setPte(rig: Rig, page: number, pte: number): void {
  rig.kernel.tables.set(rig.mm.table.walkAllocate(page), pte)
}

function put(column: { [index: number]: number }, index: number, value: number): void {
  column[index] = value
}

function named(id: string): Invariant {
  const found = INVARIANTS.find((invariant) => invariant.id === id)
  if (found === undefined) throw new Error(`no invariant ${id}`)
  return found
}

/** 2 MiB of a huge page at page 512. */
function hugeRig(): Rig {
  const rig = new Rig({ frames: 2048, windowPages: 2048 })
  const a = rig.map(HUGE_PAGES, undefined, HUGE_PAGES)
  rig.call((k) => madvise(k, rig.mm, at(a), HUGE_PAGES * P, MADV_HUGEPAGE))
  rig.store(a, 1)
  return rig
}

describe('the catalogue', () => {
  it('has 18 invariants, each with an id and a claim of its own', () => {
    expect(INVARIANTS.map(({ id }) => id).sort()).toEqual(
      'I-BMAP I-CNT I-DATA I-DEAD I-ERR I-LEAK I-LIN I-ONCE I-PERM I-PT I-RMAP I-RUN I-SEQ I-TLB I-UAF I-VMA I-WAIT I-ZERO'.split(
        ' ',
      ),
    )
    expect(new Set(INVARIANTS.map(({ claim }) => claim)).size).toBe(18)
  })

  it('is the table of docs/races.md, row by row, with files that exist', () => {
    const rows = readFileSync(new URL('../../docs/races.md', import.meta.url), 'utf8').matchAll(
      /^\| (I-\w+) \| ([^|]+) \|[^|]+\| (.+) \|$/gm,
    )
    const found = [...rows]
    expect(found.map(([, id, claim]) => ({ id, claim }))).toEqual(INVARIANTS.map(({ id, claim }) => ({ id, claim })))
    for (const [, , , files = ''] of found) {
      for (const [, file = ''] of files.matchAll(/`([^`]+)`/g))
        expect(existsSync(new URL(`../../${file}`, import.meta.url)), file).toBe(true)
    }
  })

  it.each(INVARIANTS)('$id is silent on a sound machine', ({ inFlight, atRest }) => {
    const { rig, a } = scene()
    const child = rig.fork()
    rig.store(a, 9, 1, child)
    rig.evict(a + 1)
    for (const { state } of [rig, hugeRig()]) {
      expect(inFlight?.(state) ?? null).toBeNull()
      expect(atRest?.(state) ?? null).toBeNull()
    }
  })
})

type Plant = (rig: Rig, a: number) => void

const AREAS: [string, Plant, RegExp][] = [
  ['an entry behind the area', (rig, a) => setPte(rig, a + 9, makePte(0, PTE_P)), /page 10 has an entry, and there is no area/],
  ['a page whose area left the tree', (rig, a) => rig.mm.tree.remove(rig.vma(a)), /page 1 has an entry, and there is no area/],
  ['a swap entry behind the area', (rig, a) => setPte(rig, a + 9, makeSwapEntry(3, false)), /page 10 has an entry/],
]

const PERMISSIONS: [string, Plant, RegExp][] = [
  [
    'a writable page in a read-only area',
    (rig, a) => {
      rig.call((k) => mprotect(k, rig.mm, at(a), P, PROT_READ))
      setPte(rig, a, pteWithFlags(rig.pte(a), RW))
    },
    /writable, and its area is not/,
  ],
  [
    'a readable page in an area without rights',
    (rig, a) => {
      rig.call((k) => mprotect(k, rig.mm, at(a), P, PROT_NONE))
      setPte(rig, a, pteWithFlags(rig.pte(a), PTE_P | PTE_U))
    },
    /gives no right/,
  ],
  ['a writable page under userfault protection', (rig, a) => setPte(rig, a, rig.pte(a) + PTE_UFFD_WP), /by userfault/],
  ['a writable zero page', (rig, a) => setPte(rig, a + 3, rig.pte(a + 3) + PTE_W), /zero page/],
  [
    'a page that a child shares and the parent may write',
    (rig, a) => {
      rig.fork()
      setPte(rig, a, makePte(ptePfn(rig.pte(a)), pteFlags(rig.pte(a)) | PTE_W))
    },
    /mapped 2 times/,
  ],
]

const REVERSE_MAP: [string, Plant, RegExp][] = [
  ['an index that names another page', (rig, a) => put(rig.kernel.pages.index, rig.frame(a + 1), 77), /index 77 != 2 \(pfn 2/],
  ['a page without an anon_vma', (rig, a) => put(rig.kernel.pages.mapping, rig.frame(a), 0), /without an anon_vma/],
  [
    'an anon_vma that does not lead back',
    (rig, a) => put(rig.kernel.pages.mapping, rig.frame(a), rig.kernel.anonVmas.allocate().index * 2 + 1),
    /anon_vma 2 of pfn 1 does not lead to the area/,
  ],
  ['an edge that was dropped', (rig, a) => void rig.vma(a).anonVma?.chains.pop(), /does not lead to the area/],
  [
    'a stable node that lists nothing',
    (rig, a) => void rig.kernel.ksm.create(rig.kernel, rig.frame(a)),
    /the stable node of pfn 1/,
  ],
]

const COUNTS: [string, Plant, RegExp][] = [
  ['a mapcount too high', (rig, a) => raise(rig, rig.frame(a + 1), 1), /mapcount 2 != 1 ptes \(pfn 2\)/],
  ['a mapcount too low', (rig, a) => raise(rig, rig.frame(a + 1), -1), /mapcount 0 != 1 ptes \(pfn 2\)/],
  ['a refcount below it', (rig, a) => put(rig.kernel.pages.refcount, rig.frame(a + 1), 0), /refcount 0 < mapcount 1 \(pfn 2\)/],
  ['a second PTE of a page', (rig, a) => setPte(rig, a + 3, rig.pte(a + 1)), /mapcount 1 != 2 ptes \(pfn 2\)/],
  ['a PTE that was lost', (rig, a) => setPte(rig, a + 1, PTE_NONE), /mapcount 1 != 0 ptes \(pfn 2\)/],
  ['a swap entry that was lost', (rig, a) => setPte(rig, evicted(rig, a), PTE_NONE), /1 swap entries counted != 0 found/],
  ['a swap count too high', (rig, a) => rig.kernel.swap.duplicate(swapSlot(rig, evicted(rig, a))), /slot 1 count 2 != 1 entries/],
]

function raise(rig: Rig, pfn: number, by: number): void {
  put(rig.kernel.pages.mapcount, pfn, 1 + by)
  put(rig.kernel.pages.refcount, pfn, 5)
}

function evicted(rig: Rig, page: number): number {
  expect(rig.evict(page)).toBe(true)
  return page
}

function swapSlot(rig: Rig, page: number): number {
  return Math.floor(rig.pte(page) / 4096)
}

const TLB: [string, Plant, RegExp][] = [
  ['an entry whose PTE is gone', (rig, a) => setPte(rig, a, PTE_NONE), /CPU 0 has a stale entry for page 1/],
  ['an entry of another frame', (rig, a) => setPte(rig, a, makePte(9, pteFlags(rig.pte(a)))), /stale entry for page 1/],
  [
    'an entry that may still be read',
    (rig, a) => setPte(rig, a, pteWithFlags(rig.pte(a), pteFlags(rig.pte(a)) & ~PTE_P)),
    /stale entry for page 1/,
  ],
  [
    'an entry that may still write',
    (rig, a) => setPte(rig, a, pteWithFlags(rig.pte(a), pteFlags(rig.pte(a)) & ~PTE_W)),
    /may still write page 1/,
  ],
  [
    'an entry that would not mark a store',
    (rig, a) => setPte(rig, a, pteWithFlags(rig.pte(a), pteFlags(rig.pte(a)) & ~PTE_D)),
    /takes clean page 1 for dirty/,
  ],
  [
    'an entry of the wrong size',
    (rig, a) => rig.kernel.tables.set(rig.mm.table.pmdSlot(a), makePte(0, PTE_P | (1 << 7))),
    /an entry of the wrong size/,
  ],
]

const SEQUENCE: [string, Plant, RegExp][] = [
  [
    'an area whose section was left open',
    (rig, a) => void rig.vma(a).sequence.sequence++,
    /vm_sequence of area \[1,5\) is odd \(1\)/,
  ],
  ['a tree that is still being changed', (rig) => void rig.mm.treeSeq.count.sequence++, /mm_seq is odd \(1\)/],
  ['an even count with a writer inside', (rig, a) => half(rig, a), /is even \(2\) with 1 writers inside/],
]

function half(rig: Rig, a: number): void {
  rig.act((k) => rig.vma(a).sequence.begin(k))
  rig.vma(a).sequence.sequence++
}

const USE_AFTER_FREE: [string, Plant, RegExp][] = [
  ['a PTE of a freed frame', (rig, a) => put(rig.kernel.pages.refcount, rig.frame(a), 0), /page 1 is mapped to freed pfn 1/],
  ['a TLB entry of a freed frame', (rig, a) => staleFrame(rig, a), /CPU 0 has an entry for page 1, whose frame was freed/],
  ['a freed frame in the swap cache', (rig, a) => cachedAndFreed(rig, a), /swap slot 1 caches freed pfn 1/],
  ['a mapped page of a freed anon_vma', (rig) => free(rig, 0), /pfn 1 is mapped, and its anon_vma 1 was freed/],
  ['a child without its root', (rig) => rootless(rig), /the root 1 of anon_vma 2 was freed/],
  ['an edge to a freed area', (rig, a) => edgeToFreed(rig, a), /anon_vma 1 leads to area \[1,5\), which was freed/],
  ['a freed area in the tree', (rig) => void rig.place(20, 2).refs.put(), /area \[20,22\) is in the tree, and was freed/],
  ['a freed anon_vma of an area', (rig) => areaOfFreed(rig), /anon_vma 2 of area \[20,22\) was freed/],
  ['a freed file of an area', (rig) => fileFreed(rig), /file 7 of area \[20,22\) was freed/],
  [
    'a userfault queue with an entry whose thread left',
    (rig) => leftBehind(rig),
    /uffd.pending has an entry for page 3 whose thread actor/,
  ],
]

function free(rig: Rig, which: number): void {
  const av = rig.kernel.anonVmas.all[which]
  if (av === undefined) throw new Error('no such anon_vma')
  av.isFree = true
}

function staleFrame(rig: Rig, a: number): void {
  put(rig.kernel.pages.refcount, rig.frame(a), 0)
  setPte(rig, a, PTE_NONE)
}

function cachedAndFreed(rig: Rig, a: number): void {
  const pfn = rig.frame(a)
  rig.act((k) => rig.kernel.pageLocks.tryLock(k, pfn))
  rig.kernel.swap.addToSwap(pfn)
  setPte(rig, a, PTE_NONE)
  put(rig.kernel.pages.refcount, pfn, 0)
  for (const cpu of rig.kernel.cpus) cpu.mmu.flushAll()
}

function rootless(rig: Rig): void {
  const [root] = rig.kernel.anonVmas.all
  if (root === undefined) throw new Error('no anon_vma')
  rig.kernel.anonVmas.allocate().root = root
  for (const page of [1, 2, 3]) put(rig.kernel.pages.mapping, rig.frame(page), 0)
  root.isFree = true
}

function edgeToFreed(rig: Rig, a: number): void {
  const vma = rig.vma(a)
  rig.mm.tree.remove(vma)
  vma.refs.put()
}

function areaOfFreed(rig: Rig): void {
  rig.place(20, 2).anonVma = rig.kernel.anonVmas.allocate()
  free(rig, 1)
}

function fileFreed(rig: Rig): void {
  const inode = new ShmemInode(7, 2)
  rig.place(20, 2, undefined, 'file').file = new OpenFile(inode, 'file', true)
  inode.refs = 0
}

function leftBehind(rig: Rig): void {
  const uffd = new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
  rig.place(20, 2).uffd = uffd
  const message = { event: UFFD_EVENT_PAGEFAULT, flags: 0, address: at(3), ptid: 0 } as const
  const place = { uffd, page: 3, store: false, reason: 0, message }
  rig.act((task) => uffd.pending.add({ ...place, task, woken: false, gone: true, answered: false, lineCpu: 0 }))
}

const PAGE_TABLES: [string, Plant, RegExp][] = [
  [
    'an entry in a table that was freed',
    (rig) => {
      const node = rig.kernel.tables.allocate()
      rig.kernel.tables.free(node)
      rig.kernel.tables.set(node * ENTRIES + 5, makePte(1, PTE_P))
    },
    /table 5 has an entry \(5\), and no address space reaches it/,
  ],
  [
    'a table that was taken away with its entries',
    (rig, a) => rig.kernel.tables.set(rig.mm.table.pmdSlot(a), PTE_NONE),
    /table 4/,
  ],
]

const LEAKS: [string, Plant, RegExp][] = [
  ['a frame that nobody maps', (rig) => void rig.kernel.pages.allocate(0), /pfn 4 has refcount 1 and no mapping/],
  ['a page table in no tree', (rig) => void rig.kernel.tables.allocate(), /5 page tables in use != 4 in trees or put by/],
]

/** A finding at rest and in flight, by the invariant of that name alone. */
function finds(id: string, plant: Plant, message: RegExp, looks: readonly ('inFlight' | 'atRest')[]): void {
  for (const look of looks) {
    const { rig, a } = scene()
    plant(rig, a)
    expect(named(id)[look]?.(rig.state)).toMatch(message)
    expect((look === 'atRest' ? brokenAtRest : brokenInFlight)(rig.state)).not.toBeNull()
  }
}

describe.each([
  ['I-VMA', AREAS],
  ['I-PERM', PERMISSIONS],
  ['I-RMAP', REVERSE_MAP],
  ['I-CNT', COUNTS],
  ['I-TLB', TLB],
  ['I-SEQ', SEQUENCE],
  ['I-UAF', USE_AFTER_FREE],
  ['I-PT', PAGE_TABLES],
] as const)('%s', (id, plants) => {
  it.each(plants as [string, Plant, RegExp][])('finds %s, in flight too', (_what, plant, message) =>
    finds(id, plant, message, ['inFlight', 'atRest']),
  )
})

describe('I-LEAK', () => {
  it.each(LEAKS)('finds %s at rest', (_what, plant, message) => finds('I-LEAK', plant, message, ['atRest']))

  it('finds a frame freed behind the allocator’s back, in flight too', () => {
    const plant: Plant = (rig, a) => {
      put(rig.kernel.pages.refcount, rig.frame(a), 0)
      put(rig.kernel.pages.mapcount, rig.frame(a), 0)
    }
    finds('I-LEAK', plant, /3 frames in use != 2 with a reference/, ['inFlight', 'atRest'])
  })

  it('finds a huge PMD whose table was lost, and a table without its PMD', () => {
    const lost = hugeRig()
    const slot = lost.mm.table.pmdSlot(512)
    lost.kernel.deposits.withdraw(slot)
    expect(named('I-LEAK').atRest?.(lost.state)).toMatch(/0 tables deposited != 1 huge PMDs/)
    const spare = hugeRig()
    spare.kernel.deposits.deposit(slot, spare.kernel.tables.allocate())
    expect(named('I-LEAK').atRest?.(spare.state)).toMatch(/2 tables deposited != 1 huge PMDs/)
  })
})

describe('in flight', () => {
  /** The state with somebody inside: what the lock guards is left out, whatever stands there. */
  function silent(id: string, plant: Plant, lock: (rig: Rig, a: number) => void): void {
    const { rig, a } = scene()
    plant(rig, a)
    const { state } = rig
    expect(named(id).inFlight?.(state)).not.toBeNull()
    lock(rig, a)
    expect(named(id).inFlight?.(state)).toBeNull()
    expect(named(id).atRest?.(state)).not.toBeNull()
  }

  const mmapRead = (rig: Rig) => rig.act((k) => rig.mm.mmapLock.tryRead(k))
  const mmapWrite = (rig: Rig) => rig.act((k) => rig.mm.mmapLock.tryWrite(k))
  const pteLock = (rig: Rig, a: number) => rig.act((k) => rig.kernel.pteLock(rig.mm.table.walk(a)).tryLock(k))
  const first = (plants: [string, Plant, RegExp][]): Plant => plants[0]?.[1] ?? (() => {})

  it.each([
    ['I-VMA', 'mmap_lock, for reading', first(AREAS), mmapRead],
    ['I-PERM', 'mmap_lock, for writing', first(PERMISSIONS), mmapWrite],
    ['I-RMAP', 'mmap_lock, for writing', first(REVERSE_MAP), mmapWrite],
    ['I-RMAP', 'the PTE lock', first(REVERSE_MAP), pteLock],
    ['I-CNT', 'a PTE lock', first(COUNTS), pteLock],
    ['I-CNT', 'mmap_lock, for writing', first(COUNTS), mmapWrite],
    ['I-TLB', 'mmap_lock, for reading', first(TLB), mmapRead],
    ['I-TLB', 'the PTE lock', first(TLB), pteLock],
    ['I-SEQ', 'mmap_lock, for reading', first(SEQUENCE), mmapRead],
    ['I-PT', 'mmap_lock, for writing', first(PAGE_TABLES), mmapWrite],
  ] as const)('%s leaves out what is under %s, and only then', (id, _lock, plant, lock) => silent(id, plant, lock))

  it('a look touches nothing: the state is the same object after it, field by field', () => {
    const { rig } = scene()
    const before = [rig.kernel.tables.entries.slice(), rig.kernel.pages.mapcount.slice(), rig.kernel.pages.flags.slice()]
    const state: State = rig.state
    expect(brokenInFlight(state)).toBeNull()
    expect([rig.kernel.tables.entries, rig.kernel.pages.mapcount, rig.kernel.pages.flags]).toEqual(before)
  })
})
