/**
 * When an area, its file and its policy go, by fault path: the table in the header of vma_lifetime.ts, row by row, and what
 * a reader in a section of SRCU or RCU may count on. Searches with whole faults are in speculative_fault.test.ts.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { read } from '../../core/engine/op.ts'
import { ERRNO } from '../../core/mm/errno.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import type { FaultPath } from '../../core/mm/kernel.ts'
import { OpenFile, ShmemInode } from '../../core/mm/shmem.ts'
import { Vma } from '../../core/mm/vma.ts'
import { freeVma, putVma, shareBacking, unmount } from '../../core/mm/vma_lifetime.ts'
import { Refcounted } from '../../core/sync/refcount.ts'
import { failure, type Gear, Rig, RW } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

/** An area that is in no tree, with a file that only it holds and a policy that only it holds. */
function setUp(path: FaultPath, without: readonly ProtectionName[] = [], gear: Gear = 'clock') {
  const rig = new Rig({ gear, without })
  return { rig, ...backed(rig, path) }
}

function backed(rig: Rig, path: FaultPath) {
  rig.kernel.faultPath = path
  const inode = new ShmemInode(rig.kernel.newId(), 4)
  const policy = new Refcounted('the policy')
  const vma = new Vma(rig.kernel.newId(), 4, 8, RW, 'file')
  vma.file = new OpenFile(inode, 'file', true)
  vma.policy = policy
  const state = () => ({ area: vma.refs.freed, file: inode.refs === 0, policy: policy.freed })
  return { inode, policy, vma, state }
}

function barriers(rig: Rig): void {
  rig.call((k) => rig.kernel.vmaSrcu.barrier(k))
  rig.call((k) => rig.kernel.rcu.barrier(k))
}

const GONE = { area: true, file: true, policy: true }

describe('what is gone at once, and that all is gone after a grace period', () => {
  it.each<[FaultPath, boolean, boolean, boolean, ProtectionName[]]>([
    ['classic', true, true, true, []],
    ['speculative-2014', false, false, false, []],
    ['speculative', false, true, false, []],
    ['vma-lock', false, true, true, []],
    ['speculative-2014', true, true, true, ['vma-deferred-free']],
    ['speculative', true, true, true, ['vma-deferred-free']],
    ['vma-lock', true, true, true, ['vma-deferred-free']],
    ['speculative-2014', false, true, false, ['vma-deferred-fput']],
    ['speculative-2014', false, false, true, ['vma-deferred-policy']],
  ])('%s: area %s, file %s, policy %s; without %j', (path, area, file, policy, without) => {
    const { rig, vma, state } = setUp(path, without)
    rig.call((k) => freeVma(k, rig.kernel, vma))
    expect(state()).toEqual({ area, file, policy })
    barriers(rig)
    expect(state()).toEqual(GONE)
    expect([vma.file, vma.policy, vma.anonVma, vma.uffd]).toEqual([null, null, null, null])
  })

  it('v12 forgets the file at once, so that nobody asks it; 2014 keeps it for whoever faults on it', () => {
    const files = (['speculative', 'speculative-2014'] as const).map((path) => {
      const { rig, vma } = setUp(path)
      rig.call((k) => freeVma(k, rig.kernel, vma))
      return vma.file === null
    })
    expect(files).toEqual([true, false])
  })

  it('put at once, as the patch of 2014 did, the policy is still reachable and freed', () => {
    const { rig, vma, policy } = setUp('speculative-2014', ['vma-deferred-policy'])
    rig.call((k) => freeVma(k, rig.kernel, vma))
    expect(vma.policy).toBe(policy)
    expect(failure(() => vma.policy?.use('a fault'))).toMatch('use after free')
  })
})

describe('references', () => {
  it('the last one put frees the area with its policy, in v12; one more is a bug', () => {
    const { vma, policy } = setUp('speculative')
    vma.refs.get()
    putVma(vma)
    expect([vma.refs.freed, policy.freed]).toEqual([false, false])
    putVma(vma)
    expect([vma.refs.freed, policy.freed]).toEqual([true, true])
    expect(failure(() => putVma(vma))).toMatch('put at count 0')
  })

  it('a lookup that holds one keeps the area beyond the grace period', () => {
    const { rig, vma, policy } = setUp('speculative')
    vma.refs.get()
    rig.call((k) => freeVma(k, rig.kernel, vma))
    barriers(rig)
    expect([vma.refs.freed, policy.freed]).toEqual([false, false])
    putVma(vma)
    expect([vma.refs.freed, policy.freed]).toEqual([true, true])
  })

  it('copies share file and policy, which live exactly as long as the last of them, on each path', () => {
    const paths = fc.constantFrom<FaultPath>('classic', 'speculative', 'speculative-2014', 'vma-lock')
    fc.assert(
      fc.property(paths, fc.array(fc.nat(), { maxLength: 8 }), (path, picks) => {
        const { rig, inode, policy, vma } = setUp(path)
        const living = [vma]
        for (const pick of picks) {
          const from = living[pick % living.length] ?? vma
          const copy = new Vma(rig.kernel.newId(), 4, 8, RW, 'file')
          shareBacking(copy, from)
          expect([copy.file, copy.policy]).toEqual([from.file, from.policy])
          living.push(copy)
        }
        for (const pick of [...picks, 0]) {
          expect([inode.refs, policy.refs]).toEqual([living.length, living.length])
          const [gone] = living.splice(pick % living.length, 1)
          if (gone !== undefined) rig.call((k) => freeVma(k, rig.kernel, gone))
          barriers(rig)
        }
        expect([inode.refs, policy.freed]).toEqual([0, true])
      }),
    )
  })

  it('a copy of an area without file and policy has none', () => {
    const [from, copy] = [new Vma(1, 0, 1, RW), new Vma(2, 1, 2, RW)]
    shareBacking(copy, from)
    expect([copy.file, copy.policy]).toEqual([null, null])
  })
})

/** A reader in its section uses the area, sleeping points between; another frees it. */
const inSection =
  (path: 'speculative-2014' | 'vma-lock'): Scenario =>
  (rig) => {
    const { vma, inode, policy, state } = backed(rig, path)
    const { vmaSrcu, rcu } = rig.kernel
    const srcu = path === 'speculative-2014'
    let published = true
    let early: string | null = null
    for (const n of [1, 2]) {
      rig.spawn(`reader ${n}`, n, function* (k) {
        yield read(0, srcu ? 'srcu.readers' : 'rcu.readers')
        const index = srcu ? vmaSrcu.readLock(k) : 0
        if (!srcu) rcu.readLock(k)
        const found = published
        for (let i = 0; i < 3 && found; i++) {
          yield read(vma.id, 'vma.vm_start')
          vma.use(k.name)
          if (srcu && (inode.refs !== 1 || policy.freed)) early = 'file or policy went while a reader was inside'
        }
        if (srcu) vmaSrcu.readUnlock(k, index)
        else rcu.readUnlock(k)
      })
    }
    rig.spawn('free', 3, function* (k) {
      yield read(vma.id, 'mm.mm_rb')
      published = false
      yield* freeVma(k, rig.kernel, vma)
    })
    return () => early ?? (state().area && state().file && state().policy ? null : 'something was never freed')
  }

describe.each(['speculative-2014', 'vma-lock'] as const)('a reader in its section, %s', (path) => {
  it('may use an area that it found until it leaves, and then all goes, in each of 1,000 schedules', () => {
    expect(firstBreak(1000, {}, inSection(path))).toBeNull()
  })

  it('reads a freed area in some schedule if it is freed at once', () => {
    expect(firstBreak(1000, { without: ['vma-deferred-free'] }, inSection(path))?.why).toMatch('use after free')
  })
})

describe('umount', () => {
  it('is busy while a file is open or mapped, and not once nothing is', () => {
    const { rig, vma, inode } = setUp('classic')
    const other = new ShmemInode(rig.kernel.newId(), 1)
    const umount = () => rig.call((k) => unmount(k, rig.kernel, [other, inode]))
    expect(umount()).toBe(ERRNO.EBUSY)
    rig.call((k) => freeVma(k, rig.kernel, vma))
    expect(umount()).toBe(0)
    new OpenFile(other, 'file', false)
    expect(umount()).toBe(ERRNO.EBUSY)
  })

  it('waits for areas that only wait to be freed, in the clock gear; without the barrier they keep it busy', () => {
    const answers = ([[], ['umount-srcu-barrier']] as ProtectionName[][]).map((without) => {
      const { rig, vma, inode } = setUp('speculative-2014', without)
      rig.call((k) => freeVma(k, rig.kernel, vma))
      return rig.call((k) => unmount(k, rig.kernel, [inode]))
    })
    expect(answers).toEqual([0, ERRNO.EBUSY])
  })
})
