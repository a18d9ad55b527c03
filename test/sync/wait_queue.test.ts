/**
 * Wait queues: enqueue, park, look, sleep; a waker chooses by key, and no wake-up is lost in either gear.
 *
 * Entries here carry a page, as those who sleep on missing pages do.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { read, write } from '../../core/engine/op.ts'
import type { Task } from '../../core/engine/task.ts'
import { random } from '../../core/explore/schedulers.ts'
import { WaitQueue } from '../../core/sync/wait_queue.ts'
import { type Body, clockTasks, runToIdle, stepTasks } from '../engine/tasks.ts'

interface Entry {
  readonly task: Task
  readonly page: number
}

/** Waits for each page in turn. */
function waits(queue: WaitQueue<Entry>, here: Set<number>, pages: readonly number[]): Body {
  return function* (k) {
    for (const page of pages) {
      const entry = { task: k, page }
      queue.add(entry)
      for (;;) {
        k.park(`page ${page}`)
        if (k.stepping) yield read(page, 'page')
        if (here.has(page)) break
        yield* k.block()
      }
      queue.remove(entry)
    }
  }
}

/** Brings each page, then wakes those who wait for it. */
function brings(queue: WaitQueue<Entry>, here: Set<number>, pages: readonly number[]): Body {
  return function* (k) {
    for (const page of pages) {
      k.clock.charge(10)
      if (k.stepping) yield write(page, 'page')
      here.add(page)
      if (k.stepping) yield write(0, 'queue')
      queue.wake(k.nowNs, (entry) => entry.page === page)
    }
  }
}

const wanted = fc.array(fc.array(fc.nat(3), { maxLength: 4 }), { minLength: 1, maxLength: 4 })

describe('no wake-up is lost', () => {
  it('in the step gear, under any schedule', () => {
    fc.assert(
      fc.property(fc.nat(), wanted, fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (seed, plan, order) => {
        const queue = new WaitQueue<Entry>(1, 'pages')
        const here = new Set<number>()
        const bodies = [...plan.map((pages) => waits(queue, here, pages)), brings(queue, here, order)]
        expect(stepTasks(random(new Prng(seed)), bodies).run(10_000)).toBe('done')
        expect(queue.length).toBe(0)
      }),
    )
  })

  it('in the clock gear, for any order of pages', () => {
    fc.assert(
      fc.property(wanted, fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (plan, order) => {
        const queue = new WaitQueue<Entry>(1, 'pages')
        const here = new Set<number>()
        const { timeline, tasks } = clockTasks(5, [...plan.map((pages) => waits(queue, here, pages)), brings(queue, here, order)])
        runToIdle(timeline)
        expect(tasks.every((t) => t.state === 'done')).toBe(true)
        expect(queue.length).toBe(0)
      }),
    )
  })

  it('and without the park before the look, one would be: a schedule that hangs is found', () => {
    const outcomes = new Set<string>()
    for (let seed = 0; seed < 50; seed++) {
      const queue = new WaitQueue<Entry>(1, 'pages')
      const here = new Set<number>()
      const careless: Body = function* (k) {
        yield read(1, 'page')
        if (here.has(1)) return
        yield read(0, 'queue')
        queue.add({ task: k, page: 1 })
        k.park('page 1')
        yield* k.block()
      }
      outcomes.add(stepTasks(random(new Prng(seed)), [careless, brings(queue, here, [1])]).run(100))
    }
    expect([...outcomes].sort()).toEqual(['deadlock', 'done'])
  })
})

describe('a wake', () => {
  it('takes those that match, in order of arrival, and leaves the rest', () => {
    const queue = new WaitQueue<Entry>(1, 'pages')
    const { timeline, tasks } = clockTasks(
      1,
      new Array<Body>(4).fill(function* () {}),
    )
    //  A1 B2 C1 D2   wake 1   ->   B2 D2
    tasks.forEach((task, i) => {
      queue.add({ task, page: [1, 2, 1, 2][i] ?? 0 })
    })
    expect(queue.wake(0, (e) => e.page === 1)).toBe(2)
    expect(queue.entries.map((e) => `${e.task.name}${e.page}`).join(' ')).toBe('B2 D2')
    expect(queue.wake(0, (e) => e.page === 1)).toBe(0)
    expect([queue.shift()?.task.name, queue.length]).toEqual(['B', 1])
    runToIdle(timeline)
  })

  it('of an entry that was removed finds nothing', () => {
    const queue = new WaitQueue<Entry>(1, 'pages')
    const { tasks } = clockTasks(1, [function* () {}])
    const entry = { task: tasks[0] as Task, page: 1 }
    expect(queue.has(entry)).toBe(false)
    queue.add(entry)
    expect([queue.has(entry), queue.has({ ...entry })]).toEqual([true, false])
    expect([queue.remove(entry), queue.remove(entry), queue.wake(0, () => true)]).toEqual([true, false, 0])
    expect(queue.has(entry)).toBe(false)
    expect(queue.shift()).toBeUndefined()
  })
})
