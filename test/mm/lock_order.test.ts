/**
 * The declared lock order: every lock that the model makes has its line, and a whole migration keeps to it.
 *
 * The labels are read from the sources, so that a new lock without a line is found before any run takes it.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Proc } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { LOCK_ORDER } from '../../core/mm/lock_order.ts'
import { handlePageFault } from '../../core/mm/page_fault.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import { DEFAULT_OPTIONS, type MigrateOptions, RESOLVERS } from '../../core/run/options.ts'
import { IRQ_OFF, Lockdep } from '../../core/sync/lockdep.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { failure, GEARS, Rig } from './rig.ts'

const declared = LOCK_ORDER.map((lockClass) => lockClass.label)

/** Labels of locks made anywhere in core/mm: `new Spinlock(id, 'label', ...)` and its like. */
function labelsMade(): string[] {
  const labels = new Set<string>()
  for (const file of readdirSync('core/mm')) {
    const text = readFileSync(`core/mm/${file}`, 'utf8')
    for (const made of text.matchAll(/new (?:Spinlock|Rwsem|SeqLock|Seqlock|SeqCount|Seqcount|Srcu|Rcu)\([^'`)]*'([^']+)'/g)) {
      labels.add(made[1] ?? '')
    }
  }
  return [...labels].sort()
}

describe('the order', () => {
  it('declares every class once', () => {
    expect(new Set(declared).size).toBe(declared.length)
    expect(() => new Lockdep(LOCK_ORDER)).not.toThrow()
  })

  it('declares every lock that core/mm makes', () => {
    expect(labelsMade().length).toBeGreaterThan(3)
    expect(labelsMade().filter((label) => !declared.includes(label))).toEqual([])
  })

  it.each([
    ['mm.mmap_lock', 'page.lock', 'anon_vma.rwsem', 'pte_lock'],
    ['mm.mmap_lock', 'vma.lock', 'page.lock'],
    ['uffd.fd_wqh', 'uffd.fault_pending_wqh', 'uffd.fault_wqh'],
    ['uffd.fd_wqh', 'uffd.event_wqh'],
    ['pmd_lock', 'pte_lock', IRQ_OFF],
  ])('has %s outside of %s (and so on)', (...chain) => {
    const ranks = chain.map((label) => declared.indexOf(label))
    expect(ranks).not.toContain(-1)
    expect(ranks).toEqual(ranks.toSorted((a, b) => a - b))
  })
})

describe.each(GEARS)('planted in the model, in the %s gear', (gear) => {
  const planted: readonly (readonly [string, (k: Thread, rig: Rig) => Proc<void>, string])[] = [
    [
      'a page lock inside the anon_vma of the page',
      function* (k, rig) {
        const root = rig.vma(1).anonVma?.root
        if (root === undefined) throw new Error('no anon_vma')
        yield* root.rwsem.downRead(k)
        yield* rig.kernel.pageLocks.lock(k, rig.frame(1))
      },
      'asks for page.lock inside anon_vma.rwsem, but the order declared is page.lock, then anon_vma.rwsem',
    ],
    [
      'mmap_lock inside a page lock',
      function* (k, rig) {
        yield* rig.kernel.pageLocks.lock(k, rig.frame(1))
        yield* rig.mm.mmapLock.downRead(k)
      },
      'asks for mm.mmap_lock inside page.lock',
    ],
    [
      'a page fault, which takes mmap_lock, with mmap_lock held',
      function* (k, rig) {
        yield* rig.mm.mmapLock.downRead(k)
        yield* handlePageFault(k, rig.mm, 2, true)
      },
      `asks twice for mm.mmap_lock`,
    ],
    [
      'a page lock, which sleeps, under a PTE lock',
      function* (k, rig) {
        yield* rig.kernel.pteLock(rig.mm.table.walk(1)).lock(k)
        yield* rig.kernel.pageLocks.lock(k, rig.frame(1))
      },
      'which sleeps, with a spinlock held (pte_lock',
    ],
    [
      'two PTE locks descending',
      function* (k, rig) {
        const [low, high] = [rig.mm.table.walkAllocate(1), rig.mm.table.walkAllocate(600)].sort((a, b) => a - b)
        yield* rig.kernel.pteLock(high ?? 0).lock(k)
        yield* rig.kernel.pteLock(low ?? 0).lock(k)
      },
      'two of this class are taken ascending',
    ],
    [
      'a system call that ends with mmap_lock held',
      function* (k, rig) {
        yield* rig.mm.mmapLock.downRead(k)
      },
      'ends',
    ],
  ]
  it.each(planted)('%s is found', (_, body, report) => {
    const rig = new Rig({ gear })
    expect(rig.map(2)).toBe(1)
    rig.store(1, 7)
    expect(failure(() => rig.call((k) => body(k, rig)))).toContain(report)
  })
})

function migrate(options: Partial<MigrateOptions>, lockdep: boolean): MigrationRun {
  const memBytes = 4 * 2 ** 20
  const run = new MigrationRun(
    { ...DEFAULT_OPTIONS, guest: 'kv', memBytes, vcpus: 4, durationNs: 2_000_000, ...options },
    new Recorder({ keep: false }),
    { lockdep },
  )
  while (run.advance(1000) !== 'done');
  return run
}

describe('a migration of 4 MiB under lockdep', () => {
  it.each(RESOLVERS)('by %s keeps to the order, and its result is the same as without', (resolver) => {
    const run = migrate({ resolver }, true)
    expect(run.check.verdict).toBe('consistent')
    expect(run.recorder.hash()).toBe(migrate({ resolver }, false).recorder.hash())
    for (const { kernel } of [run.source, run.destination]) {
      expect(kernel.lockdep?.undeclared).toEqual([])
      expect(kernel.lockdep?.checked).toBeGreaterThan(1000)
    }
  })

  it('takes the locks of a remap in the order of the patch', () => {
    const pairs = migrate({ resolver: 'remap' }, true).destination.kernel.lockdep?.pairs
    expect(pairs).toEqual(
      expect.arrayContaining([
        'mm.mmap_lock > page.lock',
        'page.lock > anon_vma.rwsem',
        'anon_vma.rwsem > pte_lock',
        `pte_lock > ${IRQ_OFF}`,
      ]),
    )
  })
})
