/**
 * mmap_lock and the locks of areas: one number releases all areas at once, readers never wait, a writer waits for readers.
 *
 * Tasks here are bare (test/engine/tasks.ts): no memory is needed to see who is inside with whom.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Op, type Proc, read } from '../../core/engine/op.ts'
import { Clock, Task } from '../../core/engine/task.ts'
import { MmapLock, VmaLock } from '../../core/mm/mmap_lock.ts'
import { stepTasks } from '../engine/tasks.ts'
import { firstSeed, scheduler } from './rig.ts'

const mmapLock = () => new MmapLock(1, 0, 0, 0, 0)
const areaLock = (id = 2) => new VmaLock(id, 0, 0)
const clockTask = (nowNs = 0, id = 0) => {
  const k = new Task(id, `T${id}`, new Clock(id), false)
  k.clock.nowNs = nowNs
  k.clock.sliceEndNs = Number.POSITIVE_INFINITY
  return k
}

/** Runs what has nobody to wait for. */
function finish<T>(proc: Proc<T>): T {
  const ops: Op[] = []
  for (;;) {
    const next = proc.next()
    if (next.done === true) return next.value
    ops.push(next.value)
    if (ops.length > 100 || next.value.kind !== 'access') throw new Error(`waits: ${next.value.kind}`)
  }
}

/** Whether a reader gets in, who leaves again at once. */
function lets(area: VmaLock, mm: MmapLock, nowNs = 0): boolean {
  const k = clockTask(nowNs, 9)
  const got = finish(area.startRead(k, mm, true))
  if (got) area.endRead(k)
  return got
}

describe('the number of mmap_lock', () => {
  it('goes up when a writer leaves or becomes a reader, and not when a reader leaves', () => {
    const mm = mmapLock()
    const k = clockTask()
    const seen = [mm.sequence]
    finish(mm.downRead(k))
    mm.upRead(k)
    seen.push(mm.sequence)
    finish(mm.downWrite(k))
    seen.push(mm.sequence)
    mm.upWrite(k)
    seen.push(mm.sequence)
    finish(mm.downWrite(k))
    mm.downgrade(k)
    seen.push(mm.sequence)
    mm.upRead(k)
    seen.push(mm.sequence)
    expect(seen).toEqual([1, 1, 1, 2, 3, 3])
  })

  it('is never that of a new area: it can be read before it was ever written', () => {
    expect(lets(areaLock(), mmapLock())).toBe(true)
  })

  it.each(['upWrite', 'downgrade'] as const)('%s releases every area that was collected, all at once', (leave) => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }), fc.nat(3), (locked, sections) => {
        const mm = mmapLock()
        const k = clockTask()
        const areas = locked.map((_, i) => areaLock(10 + i))
        for (let i = 0; i < sections; i++) {
          finish(mm.downWrite(k))
          mm.upWrite(k)
        }
        finish(mm.downWrite(k))
        areas.forEach((area, i) => {
          if (locked[i]) finish(area.startWrite(k, mm))
        })
        expect(areas.map((area) => lets(area, mm))).toEqual(locked.map((l) => !l))
        mm[leave](k)
        expect(areas.map((area) => lets(area, mm))).toEqual(locked.map(() => true))
      }),
    )
  })

  it('makes the second lock of one area in one section free: nothing to wait for, nothing announced', () => {
    const mm = mmapLock()
    const area = areaLock()
    const k = new Task(0, 'A', new Clock(0), true)
    mm.writer = k
    const steps = (proc: Proc<void>) => [...proc].length
    expect(steps(area.startWrite(k, mm))).toBeGreaterThan(0)
    expect(steps(area.startWrite(k, mm))).toBe(0)
    mm.upWrite(k)
    mm.writer = k
    expect(steps(area.startWrite(k, mm))).toBeGreaterThan(0)
  })
})

describe('in the clock gear', () => {
  it('an area is closed from the moment it was locked until mmap_lock was left, whoever ran first', () => {
    const mm = mmapLock()
    const area = areaLock()
    const writer = clockTask(900)
    finish(mm.downWrite(writer))
    writer.clock.nowNs = 1000
    finish(area.startWrite(writer, mm))
    writer.clock.nowNs = 2000
    mm.upWrite(writer)
    expect([1000, 1500, 1999, 2000, 3000].map((ns) => lets(area, mm, ns))).toEqual([false, false, false, true, true])
  })

  it('a writer goes on when the last reader has left', () => {
    const mm = mmapLock()
    const area = areaLock()
    const reader = clockTask(100, 1)
    expect(finish(area.startRead(reader, mm, true))).toBe(true)
    reader.clock.nowNs = 700
    area.endRead(reader)
    const writer = clockTask(200)
    finish(mm.downWrite(writer))
    finish(area.startWrite(writer, mm))
    expect(writer.nowNs).toBe(700)
    expect(area.lockedFromNs).toBe(700)
  })
})

/** What one schedule of two readers and two writers of an area shows. */
interface Seen {
  readonly outcome: string
  /** A reader was inside while the area was write-locked. */
  readonly together: boolean
  readonly readersTogether: boolean
  readonly refused: boolean
  readonly waited: boolean
  readonly readerWaited: boolean
}

/** The task could not go on at once. */
function waits(k: Task, op: Op): boolean {
  return op.kind !== 'access' || op.gate?.opens(k) === false
}

function crowd(seed: number, looksTwice: boolean): Seen {
  const mm = mmapLock()
  const area = areaLock()
  const inside = new Set<Task>()
  let writing = false
  let [together, readersTogether, refused, waited, readerWaited] = [false, false, false, false, false]
  const look = () => {
    if (writing && inside.size > 0) together = true
    if (inside.size > 1) readersTogether = true
  }
  function* reader(k: Task): Proc<void> {
    for (let i = 0; i < 3; i++) {
      const proc = area.startRead(k, mm, looksTwice)
      let next = proc.next()
      while (next.done !== true) {
        if (waits(k, next.value)) readerWaited = true
        yield next.value
        next = proc.next()
      }
      if (!next.value) {
        refused = true
        continue
      }
      inside.add(k)
      look()
      yield read(0, 'work')
      look()
      inside.delete(k)
      area.endRead(k)
    }
  }
  function* writer(k: Task): Proc<void> {
    yield* mm.downWrite(k)
    const proc = area.startWrite(k, mm)
    for (let next = proc.next(); next.done !== true; next = proc.next()) {
      if (waits(k, next.value)) waited = true
      yield next.value
    }
    writing = true
    look()
    yield read(0, 'work')
    look()
    writing = false
    if (k.id % 2 === 0) mm.upWrite(k)
    else {
      mm.downgrade(k)
      yield read(0, 'work')
      mm.upRead(k)
    }
  }
  const outcome = stepTasks(scheduler(seed), [writer, reader, reader, writer]).run(10_000)
  return { outcome, together, readersTogether, refused, waited, readerWaited }
}

describe('readers and writers of one area', () => {
  const runs = Array.from({ length: 2000 }, (_, i) => crowd(i + 1, true))

  it('are never inside together, and everybody comes to an end, in each of 2,000 schedules', () => {
    expect(runs.findIndex((run) => run.together || run.outcome !== 'done')).toBe(-1)
  })

  it('are inside together in some schedule if the reader does not look twice', () => {
    expect(firstSeed(2000, (seed) => crowd(seed, false).together)).toBeGreaterThan(0)
  })

  it('a reader never waits: it is in or refused', () => {
    expect(runs.findIndex((run) => run.readerWaited)).toBe(-1)
    expect(runs.some((run) => run.refused)).toBe(true)
  })

  it('a writer waits for readers in some schedule, and readers share the lock in some', () => {
    expect(runs.some((run) => run.waited)).toBe(true)
    expect(runs.some((run) => run.readersTogether)).toBe(true)
  })

  it('a writer that still waits for a reader already keeps the next reader out', () => {
    const mm = mmapLock()
    const area = areaLock()
    const [first, second] = [clockTask(0, 1), clockTask(0, 2)]
    const writer = clockTask(0, 3)
    expect(finish(area.startRead(first, mm, true))).toBe(true)
    const waits = area.startWrite(writer, mm)
    expect(waits.next().value).toEqual({ kind: 'block' })
    expect(area.sequence).not.toBe(mm.sequence)
    expect(finish(area.startRead(second, mm, true))).toBe(false)
    area.endRead(first)
    expect(waits.next().done).toBe(true)
    expect(area.sequence).toBe(mm.sequence)
  })
})
