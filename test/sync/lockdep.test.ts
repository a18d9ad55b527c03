/**
 * Lockdep: each kind of wrong locking is planted, in both gears where both can have it, and found; right locking is not.
 *
 * Two declared classes, `outer` and `inner`, and locks that nobody declared. Expected reports are quoted whole, since a
 * report that does not name both chains is of little use.
 */
import { describe, expect, it } from 'vitest'
import { Execution } from '../../core/engine/execution.ts'
import { BLOCK, type Proc, SLEEP } from '../../core/engine/op.ts'
import type { Task } from '../../core/engine/task.ts'
import { Timeline } from '../../core/engine/timeline.ts'
import { roundRobin } from '../../core/explore/schedulers.ts'
import { Cpu, Thread } from '../../core/hw/cpu.ts'
import { callOnCpus, chargeIpis, irqDisable, irqEnable, irqTask } from '../../core/hw/ipi.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { type LockClass, Lockdep } from '../../core/sync/lockdep.ts'
import { PageLocks } from '../../core/sync/page_lock.ts'
import { Rwsem } from '../../core/sync/rwsem.ts'
import { lockBoth, Spinlock, unlockBoth } from '../../core/sync/spinlock.ts'

type Body = (k: Thread) => Proc<void>
type Gear = 'clock' | 'step'

const ORDER: readonly LockClass[] = [
  { label: 'outer', nesting: 'subclass', guards: 'what is outside' },
  { label: 'inner', nesting: 'ascending', guards: 'what is inside' },
  { label: 'alone', nesting: 'never', guards: 'itself' },
]

const sem = (label: string, id = 1) => new Rwsem(id, label, 0)
const spin = (label: string, id = 1) => new Spinlock(id, label, 0)

function pageLocks(): PageLocks {
  const bits = new Set<number>()
  return new PageLocks({ test: (p) => bits.has(p), set: (p) => bits.add(p), clear: (p) => bits.delete(p) })
}

/** Runs the bodies, each on a CPU of its own, under one lockdep, round robin; the report, or null if nothing was found. */
function found(gear: Gear, ...bodies: Body[]): string | null {
  const lockdep = new Lockdep(ORDER)
  const engine = gear === 'step' ? new Execution(roundRobin()) : new Timeline(1000)
  const spawn = (name: string, cpu: Cpu, body: Body, daemon: boolean) => {
    const k = new Thread(cpu.id * 2 + Number(daemon), name, cpu, engine.stepping, 0)
    k.daemon = daemon
    k.lockdep = lockdep
    k.proc = body(k)
    engine.spawn(k)
  }
  bodies.forEach((body, i) => {
    const cpu = new Cpu(i, ZEN5, 16)
    if (gear === 'step') spawn(`irq ${i}`, cpu, irqTask, true)
    spawn(String.fromCharCode(65 + i), cpu, body, false)
  })
  try {
    engine.run(1000)
    return null
  } catch (e) {
    return e instanceof Error ? e.message : String(e)
  }
}

/** Takes the locks in turn and gives them back in reverse. */
const takes = (...locks: (Spinlock | Rwsem)[]): Body =>
  function* (k) {
    for (const lock of locks) yield* lock instanceof Rwsem ? lock.downWrite(k) : lock.lock(k)
    for (const lock of locks.toReversed()) lock instanceof Rwsem ? lock.upWrite(k) : lock.unlock(k)
  }

const inTurn = (...bodies: Body[]): Body =>
  function* (k) {
    for (const body of bodies) yield* body(k)
  }

function* sleeps(k: Task, ns = 1): Proc<void> {
  k.wakeAtNs = k.nowNs + ns
  yield SLEEP
}

describe.each(['clock', 'step'] as const)('order, in the %s gear', (gear) => {
  it('as declared is fine, through any number of locks', () => {
    expect(found(gear, takes(sem('outer'), spin('inner')), takes(sem('outer'), spin('inner'), spin('alone')))).toBeNull()
  })

  it('against the declared one is found though no other task ever took them', () => {
    expect(found(gear, takes(sem('inner'), sem('outer')))).toMatch(
      /^lockdep: A asks for outer inside inner, but the order declared is outer, then inner\n {2}A at \S+ holds inner 1 since \S+$/,
    )
  })

  it('against what another task did is found, and the report names both chains', () => {
    const [a, b] = [sem('undeclared a'), sem('undeclared b')]
    const report = found(gear, inTurn(takes(a, b), takes(b, a)))
    expect(report?.replace(/(at|since) \d+/g, '$1 T')).toBe(
      [
        'lockdep: A asks for undeclared a inside undeclared b, but they were taken the other way round',
        '  A at T holds undeclared b 1 since T',
        '  undeclared a > undeclared b: A at T, holding undeclared a 1 since T',
      ].join('\n'),
    )
  })

  it('is found over three classes: a > b, b > c, then c > a', () => {
    const [a, b, c] = [spin('a'), spin('b'), spin('c')]
    const report = found(gear, inTurn(takes(a, b), takes(b, c), takes(c, a)))
    expect(report).toContain('asks for a inside c')
    expect(report).toContain('a > b: A at')
    expect(report).toContain('b > c: A at')
  })

  it('is found between a declared class and one that is not', () => {
    expect(found(gear, inTurn(takes(spin('inner'), spin('x')), takes(spin('x'), spin('inner'))))).toContain('the other way round')
  })

  it('is not asked of a trylock, which cannot wait', () => {
    const [outer, inner] = [sem('outer'), sem('inner')]
    const body: Body = function* (k) {
      yield* inner.downRead(k)
      expect(outer.tryRead(k)).toBe(true)
      outer.upRead(k)
      inner.upRead(k)
    }
    expect(found(gear, body)).toBeNull()
  })

  it('counts for what is asked for under a lock that was only tried', () => {
    const [outer, inner] = [sem('outer'), sem('inner')]
    const body: Body = function* (k) {
      expect(inner.tryWrite(k)).toBe(true)
      yield* outer.downWrite(k)
    }
    expect(found(gear, body)).toContain('asks for outer inside inner')
  })
})

describe.each(['clock', 'step'] as const)('two locks of one class, in the %s gear', (gear) => {
  it('the same one twice is found, for reading too', () => {
    const lock = sem('outer')
    const body: Body = function* (k) {
      yield* lock.downRead(k)
      yield* lock.downRead(k)
    }
    expect(found(gear, body)).toContain('A asks twice for outer 1')
  })

  it('ascending is fine, descending is found', () => {
    expect(found(gear, takes(spin('inner', 1), spin('inner', 2)))).toBeNull()
    expect(found(gear, takes(spin('inner', 2), spin('inner', 1)))).toContain('asks for inner 1 after 2')
  })

  it('lockBoth takes them ascending whichever comes first', () => {
    const [a, b] = [spin('inner', 1), spin('inner', 2)]
    const both = (x: Spinlock, y: Spinlock): Body =>
      function* (k) {
        yield* lockBoth(k, x, y)
        unlockBoth(k, x, y)
      }
    expect(found(gear, inTurn(both(a, b), both(b, a), both(a, a)))).toBeNull()
  })

  it('nested by subclass is fine, without one is found', () => {
    const nested = (subclass: number): Body =>
      function* (k) {
        const [parent, child] = [sem('outer', 1), sem('outer', 2)]
        yield* parent.downWrite(k)
        yield* child.downWrite(k, subclass)
        child.upWrite(k)
        parent.upWrite(k)
      }
    expect(found(gear, nested(1))).toBeNull()
    expect(found(gear, nested(0))).toContain('asks for a second outer, 2, and does not say that it nests')
  })

  it('of a class that never nests is found even with a subclass', () => {
    const body: Body = function* (k) {
      yield* spin('alone', 1).lock(k)
      yield* spin('alone', 2).lock(k, 1)
    }
    expect(found(gear, body)).toContain('asks for a second alone')
  })
})

describe.each(['clock', 'step'] as const)('sleeping, in the %s gear', (gear) => {
  const under = (body: Body): Body =>
    function* (k) {
      yield* spin('inner').lock(k)
      yield* body(k)
    }
  const cases: readonly (readonly [string, Body, string])[] = [
    ['a sleep', sleeps, 'sleeps, waiting for a time to pass, with a spinlock held (inner 1)'],
    [
      'a wait for a wake-up',
      function* (k) {
        k.park('a wake-up')
        yield BLOCK
      },
      'sleeps, waiting for a wake-up, with a spinlock held (inner 1)',
    ],
    ['a free rwsem', (k) => sem('x').downRead(k), 'asks for x 1, which sleeps, with a spinlock held (inner 1)'],
    ['a free page lock', (k) => pageLocks().lock(k, 7), 'asks for page.lock 7, which sleeps, with a spinlock held (inner 1)'],
  ]
  it.each(cases)('under a spinlock is found: %s', (_, body, report) => expect(found(gear, under(body))).toContain(report))

  it('with interrupts off is found', () => {
    const off: Body = function* (k) {
      irqDisable(k.cpu)
      yield* sleeps(k)
    }
    expect(found(gear, off)).toContain('sleeps, waiting for a time to pass, with interrupts off')
  })

  it('under an rwsem or a page lock is fine', () => {
    const locks = pageLocks()
    const body: Body = function* (k) {
      const lock = sem('outer')
      yield* lock.downWrite(k)
      yield* locks.lock(k, 7)
      yield* sleeps(k)
      locks.unlock(k, 7)
      lock.upWrite(k)
    }
    expect(found(gear, body)).toBeNull()
  })

  it('inside an RCU read section is found, inside an SRCU one is fine', () => {
    const inside = (mode: 'rcu' | 'srcu'): Body =>
      function* (k) {
        k.lockdep?.takes(k, mode, 0, mode)
        yield* sleeps(k)
        k.lockdep?.gives(k, mode, 0)
      }
    expect(found(gear, inside('rcu'))).toContain('inside an RCU read section (rcu 0)')
    expect(found(gear, inside('srcu'))).toBeNull()
  })
})

describe('waiting for a spinlock', () => {
  it('is no sleep: two tasks that contend for one under another are fine', () => {
    const [a, b] = [spin('a'), spin('b')]
    expect(found('step', takes(a, b), takes(a, b), takes(b))).toBeNull()
  })
})

describe.each(['clock', 'step'] as const)('balance, in the %s gear', (gear) => {
  it('a page lock given back by a task that does not hold it is found', () => {
    const locks = pageLocks()
    expect(
      found(gear, function* (k) {
        yield* locks.lock(k, 7)
        locks.unlock(k, 8)
      }),
    ).toContain('A gives back page.lock 8, which it does not hold')
  })

  it('an rwsem read by one and given back by another is found', () => {
    const lock = sem('outer')
    const reader: Body = function* (k) {
      yield* lock.downRead(k)
      yield* sleeps(k, 10)
      lock.upRead(k)
    }
    const thief: Body = function* (k) {
      yield* sleeps(k)
      lock.upRead(k)
    }
    expect(found(gear, reader, thief)).toContain('B gives back outer 1, which it does not hold')
  })

  it('a task that ends with locks is found', () => {
    const [lock, page] = [sem('outer'), pageLocks()]
    expect(
      found(gear, function* (k) {
        yield* lock.downRead(k)
        yield* page.lock(k, 3)
      }),
    ).toMatch(/A ends\n {2}A at \S+ holds outer 1 \(read\) since \S+, page\.lock 3 since \S+$/)
  })
})

describe('interrupts off', () => {
  it('is no place to wait for an IPI', () => {
    expect(
      found('clock', function* (k) {
        irqDisable(k.cpu)
        chargeIpis(k, 1)
        yield* sleeps(k)
      }),
    ).toContain('waits for an IPI with its own interrupts off')
  })

  it('is fine beside an IPI to nobody else', () => {
    expect(
      found('clock', function* (k) {
        irqDisable(k.cpu)
        chargeIpis(k, 0)
        irqEnable(k.cpu)
        yield* sleeps(k)
      }),
    ).toBeNull()
  })

  it.each(['clock', 'step'] as const)('and a lock whose owner shoots down TLBs close a cycle, in the %s gear (R14)', (gear) => {
    const lock = spin('pte')
    const shoots: Body = function* (k) {
      yield* lock.lock(k)
      if (k.stepping) yield* callOnCpus(k, [k.cpu], () => {})
      else chargeIpis(k, 0)
      k.lockdep?.waitsForInterrupts(k)
      lock.unlock(k)
    }
    const spinsWith = (tries: boolean): Body =>
      function* (k) {
        irqDisable(k.cpu)
        if (!tries) yield* lock.lock(k)
        if (!tries || lock.tryLock(k)) lock.unlock(k)
        irqEnable(k.cpu)
      }
    const [bad, good] = [spinsWith(false), spinsWith(true)]
    expect(found(gear, inTurn(shoots, bad))).toContain('asks for pte inside cpu.irq_off, but they were taken the other way round')
    expect(found(gear, inTurn(shoots, good))).toBeNull()
  })
})

describe('the write side of a sequence count', () => {
  const begins = (k: Task, object: number, subclass = 0) => k.lockdep?.takes(k, 'outer', object, 'count', subclass)
  const ends = (k: Task, object: number) => k.lockdep?.gives(k, 'outer', object)
  const body = (run: (k: Task) => void): Body =>
    function* (k) {
      run(k)
      yield* sleeps(k)
    }

  it('begun twice in one context is found: the count would be even while it writes (R11)', () => {
    expect(
      found(
        'clock',
        body((k) => {
          begins(k, 1)
          begins(k, 1)
        }),
      ),
    ).toContain('asks twice for outer 1')
  })

  it('of vma and then next nests, without saying so it is found', () => {
    const both = (subclass: number) =>
      body((k) => {
        begins(k, 1)
        begins(k, 2, subclass)
        ends(k, 2)
        ends(k, 1)
      })
    expect(found('clock', both(1))).toBeNull()
    expect(found('clock', both(0))).toContain('does not say that it nests')
  })

  it('ended but not begun is found', () => {
    expect(
      found(
        'clock',
        body((k) => ends(k, 1)),
      ),
    ).toContain('gives back outer 1')
  })

  it('orders nothing, because nobody waits for it', () => {
    const [a, b] = [sem('a'), sem('b')]
    const inside = (lock: Rwsem): Body =>
      function* (k) {
        begins(k, 1)
        yield* lock.downWrite(k)
        lock.upWrite(k)
        ends(k, 1)
      }
    expect(found('clock', inTurn(inside(a), takes(a, b), inside(b)))).toBeNull()
  })
})

describe('a lockdep', () => {
  it('tells what is held, and by whom', () => {
    const lockdep = new Lockdep(ORDER)
    const k = new Thread(0, 'A', new Cpu(0, ZEN5, 16), false, 0)
    k.lockdep = lockdep
    const [outer, inner] = [sem('outer', 3), spin('inner', 4)]
    outer.downRead(k)
    inner.lock(k)
    expect(lockdep.heldBy(k)).toEqual(['outer 3 (read)', 'inner 4'])
    expect([lockdep.isHeld(k, 'outer', 3), lockdep.isHeld(k, 'outer', 3, true)]).toEqual([true, false])
    expect([lockdep.pairs, lockdep.undeclared, lockdep.checked]).toEqual([['outer > inner'], [], 2])
  })

  it('does not take two declarations of one class', () => {
    expect(() => new Lockdep([...ORDER, ...ORDER])).toThrow('lock class outer is declared twice')
  })
})
