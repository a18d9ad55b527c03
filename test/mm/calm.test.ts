/**
 * The look at whether a call may run at once: nobody in the way, and memory to spare; anything that it may have to sleep for says no.
 */
import { describe, expect, it } from 'vitest'
import type { Proc } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { isCalm } from '../../core/mm/calm.ts'
import { Rig, type RigOptions } from './rig.ts'

/** What a thread of the rig sees after `prepare`, which leaves again afterwards. */
function seen(options: RigOptions, prepare: (rig: Rig, k: Thread) => Proc<() => void>): boolean {
  const rig = new Rig({ frames: 256, ...options })
  rig.store(rig.map(1), 1)
  return rig.call((k) => look(rig, k, prepare))
}

function* look(rig: Rig, k: Thread, prepare: (rig: Rig, k: Thread) => Proc<() => void>): Proc<boolean> {
  const leave = yield* prepare(rig, k)
  const calm = isCalm(k, rig.mm)
  leave()
  return calm
}

function* nothing(): Proc<() => void> {
  return () => {}
}

function* readsAreas(rig: Rig, k: Thread): Proc<() => void> {
  yield* rig.mm.mmapLock.downRead(k)
  return () => rig.mm.mmapLock.upRead(k)
}

function* walksTheTree(rig: Rig, k: Thread): Proc<() => void> {
  const rwsem = rig.kernel.anonVmas.all[0]?.rwsem
  if (rwsem === undefined) throw new Error('the page that was stored to has no anon_vma')
  yield* rwsem.downWrite(k)
  return () => rwsem.upWrite(k)
}

function* hasJustLeftLater(rig: Rig, k: Thread): Proc<() => void> {
  yield* rig.mm.mmapLock.downWrite(k)
  k.cpu.nowNs += 1000
  rig.mm.mmapLock.upWrite(k)
  // Another CPU, whose clock is behind, would have to wait for it.
  k.cpu.nowNs -= 1000
  return () => {
    k.cpu.nowNs += 1000
  }
}

describe('it is calm', () => {
  it('when nobody holds a lock', () => expect(seen({}, nothing)).toBe(true))
})

describe('it is not', () => {
  it('while mmap_lock is held', () => expect(seen({}, readsAreas)).toBe(false))
  it('while the root of an anon_vma is locked', () => expect(seen({}, walksTheTree)).toBe(false))
  it('before the time at which mmap_lock became free', () => expect(seen({}, hasJustLeftLater)).toBe(false))
  it('where memory is short, since who reclaims may sleep', () => expect(seen({ frames: 64 }, nothing)).toBe(false))
  it('in the step gear, where anybody may come in between', () => expect(seen({ gear: 'step' }, nothing)).toBe(false))
})
