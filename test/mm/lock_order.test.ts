/**
 * The declared lock order: every lock that the model makes has its line, and a whole migration keeps to it.
 *
 * The labels are read from the sources, so that a new lock without a line is found before any run takes it.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { LOCK_ORDER } from '../../core/mm/lock_order.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import { DEFAULT_OPTIONS, type MigrateOptions, RESOLVERS } from '../../core/run/options.ts'
import { IRQ_OFF, Lockdep } from '../../core/sync/lockdep.ts'
import { Recorder } from '../../core/trace/recorder.ts'

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
