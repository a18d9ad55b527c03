/**
 * SRCU: a callback runs after every reader that was inside when it was queued, and not before; the queue's lock has a price.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Clock, Task } from '../../core/engine/task.ts'
import { GRACE_PERIOD_NS, Srcu } from '../../core/sync/srcu.ts'

const task = (id: number, stepping: boolean) => new Task(id, `task ${id}`, new Clock(id), stepping)

function drain(proc: Iterator<unknown>): void {
  while (proc.next().done !== true);
}

describe('SRCU in the step gear', () => {
  it('any order of enter, leave and call: a callback outwaits exactly the readers of its time', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('enter', 'leave', 'call'), { maxLength: 40 }), (list) => {
        const k = task(1, true)
        const srcu = new Srcu(1, 20)
        const inside = new Map<number, 0 | 1>()
        let next = 0
        for (const what of list) {
          if (what === 'enter') inside.set(next++, srcu.readLock(k))
          if (what === 'leave' && inside.size > 0) {
            const [first] = [...inside]
            if (first === undefined) continue
            inside.delete(first[0])
            srcu.readUnlock(k, first[1])
          }
          if (what === 'call') {
            const then = [...inside.keys()]
            drain(
              srcu.call(k, () => {
                for (const reader of then) expect(inside.has(reader)).toBe(false)
              }),
            )
          }
        }
        for (const [reader, index] of inside) {
          inside.delete(reader)
          srcu.readUnlock(k, index)
        }
        expect(srcu.pending).toBe(0)
      }),
    )
  })
})

describe('SRCU in the clock gear', () => {
  it('runs a callback a grace period later; a barrier moves the clock there', () => {
    const k = task(1, false)
    const srcu = new Srcu(1, 20)
    let ran = 0
    srcu.call(k, () => ran++)
    expect(ran).toBe(0)
    drain(srcu.barrier(k))
    expect(ran).toBe(1)
    expect(k.nowNs).toBeGreaterThanOrEqual(GRACE_PERIOD_NS)
  })

  it('one queue for all CPUs makes callers wait for one another, queues of their own do not', () => {
    const longest = (queueing: 'global' | 'percpu') => {
      const srcu = new Srcu(1, 20, queueing)
      const tasks = Array.from({ length: 24 }, (_, i) => task(i, false))
      for (let round = 0; round < 10; round++) for (const k of tasks) srcu.call(k, () => {})
      return Math.max(...tasks.map((k) => k.nowNs))
    }
    expect(longest('percpu')).toBe(200)
    expect(longest('global')).toBe(24 * 200)
  })
})
