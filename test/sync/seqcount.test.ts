/**
 * Sequence counts: odd while written, no second begin in one context; in the clock gear a reader sees sections that overlap it.
 */
import { describe, expect, it } from 'vitest'
import { Clock, Task } from '../../core/engine/task.ts'
import { Seqcount } from '../../core/sync/seqcount.ts'

const task = (id: number) => new Task(id, `task ${id}`, new Clock(id), false)

describe('a sequence count', () => {
  it('is odd between begin and end, and even and different after it', () => {
    const k = task(1)
    const count = new Seqcount(1, 'count')
    count.begin(k)
    expect(count.isOdd(k)).toBe(true)
    count.end(k)
    expect([count.sequence, count.writers]).toEqual([2, 0])
  })

  it('refuses a second begin in one context, which raw begins let through: even while written', () => {
    const k = task(1)
    const count = new Seqcount(1, 'count')
    count.begin(k)
    expect(() => count.begin(k)).toThrow('begins count 1 twice')
    count.beginRaw(k)
    expect(count.sequence % 2).toBe(0)
  })

  it('refuses an end that nobody began', () => {
    expect(() => new Seqcount(1, 'count').end(task(1))).toThrow('did not begin')
  })

  it('in the clock gear: odd to a reader inside the section, changed to one that began before it, neither to one after it', () => {
    const writer = task(1)
    const reader = task(2)
    const count = new Seqcount(1, 'count')
    writer.clock.nowNs = 100
    count.begin(writer)
    writer.clock.nowNs = 200
    count.end(writer)
    reader.clock.nowNs = 150
    expect(count.isOdd(reader)).toBe(true)
    reader.clock.nowNs = 250
    expect(count.isOdd(reader)).toBe(false)
    expect(count.isChanged(reader, count.sequence, 50)).toBe(true)
    expect(count.isChanged(reader, count.sequence, 220)).toBe(false)
  })
})
