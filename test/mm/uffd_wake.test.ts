/**
 * Who is woken: the half-open range, each waiter once, both queues, and a look that is repeated while a reader moves somebody
 * from queue to queue (section 2.6 of the kernel's rules, R53). Which ioctl wakes when is with that ioctl.
 */
import { describe, expect, it } from 'vitest'
import { NOTHING } from '../../core/engine/op.ts'
import { ERRNO, sys } from '../../core/machine/syscall.ts'
import { WINDOW_BASE } from '../../core/mm/mm.ts'
import { UFFD_EVENT_PAGEFAULT } from '../../core/mm/uffd_abi.ts'
import { userfaultfdWake, wakesRange, wakeUserfault } from '../../core/mm/uffd_wake.ts'
import type { UserfaultWaiter } from '../../core/mm/userfaultfd.ts'
import { VM_UFFD_MISSING } from '../../core/mm/vma.ts'
import { at, failure, GEARS, P, seedsWhere } from './rig.ts'
import { UffdRig } from './uffd_rig.ts'

const asleep = ({ uffd }: UffdRig) => uffd.pending.length + uffd.fault.length

function waiterAt(rig: UffdRig, page: number): UserfaultWaiter {
  const { uffd } = rig
  const task = rig.machine.makeThread(`waiter ${page}`, rig.cpu(1))
  const message = { event: UFFD_EVENT_PAGEFAULT, flags: 0, address: at(page), ptid: 0 } as const
  return {
    task,
    uffd,
    page,
    store: false,
    reason: VM_UFFD_MISSING,
    message,
    woken: false,
    gone: false,
    answered: false,
    lineCpu: 0,
  }
}

describe('the choice', () => {
  it('is the pages of [start, end), and marks exactly those: every range over 5 pages, empty ones too', () => {
    const rig = new UffdRig()
    for (let start = 0; start <= 5; start++) {
      for (let end = 0; end <= 5; end++) {
        for (let page = 0; page < 5; page++) {
          const waiter = waiterAt(rig, page)
          const inside = start <= page && page < end
          expect(wakesRange(start, end)(waiter)).toBe(inside)
          expect(waiter.woken).toBe(inside)
        }
      }
    }
  })

  it('leaves the mark of one who was woken before', () => {
    const waiter = waiterAt(new UffdRig(), 3)
    wakesRange(3, 4)(waiter)
    wakesRange(4, 5)(waiter)
    expect(waiter.woken).toBe(true)
  })
})

describe('nobody waits', () => {
  it('is known in the clock gear without a lock, a generator or time', () => {
    const rig = new UffdRig()
    rig.act((k) => {
      const before = k.nowNs
      expect(wakeUserfault(k, rig.uffd, 0, 1000)).toBe(NOTHING)
      expect(k.nowNs).toBe(before)
    })
  })

  it('is known in the step gear while somebody else holds both locks', () => {
    const rig = new UffdRig({ gear: 'step' })
    rig.act((k) => {
      expect(rig.uffd.pendingLock.tryLock(k) && rig.uffd.faultLock.tryLock(k)).toBe(true)
    })
    const waker = rig.start('waker', 2, (k) => wakeUserfault(k, rig.uffd, 0, 1000))
    expect(waker.done).toBe(true)
  })

  it('is not believed while a reader is in between: the look waits until the count is even', () => {
    const rig = new UffdRig({ gear: 'step' })
    rig.uffd.refileSeq = 1
    const waker = rig.spawn('waker', 2, (k) => wakeUserfault(k, rig.uffd, 20, 21))
    expect(rig.run(500)).toBe('deadlock')
    expect(waker.done).toBe(false)
    rig.uffd.refileSeq = 2
    expect(rig.run(500)).toBe('done')
  })

  it('is believed at once without uffd-refile-seq', () => {
    const rig = new UffdRig({ gear: 'step', without: ['uffd-refile-seq'] })
    rig.uffd.refileSeq = 1
    rig.spawn('waker', 2, (k) => wakeUserfault(k, rig.uffd, 20, 21))
    expect(rig.run(500)).toBe('done')
  })
})

describe.each(GEARS)('a wake in the %s gear', (gear) => {
  it('takes each waiter off its queue, read or not, and leaves the others in their order', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 4)
    const pages = [22, 20, 23, 21]
    for (const [n, page] of pages.entries()) rig.reader(page, n + 1)
    rig.message()
    rig.message()
    const waiters = [...rig.uffd.fault.entries, ...rig.uffd.pending.entries]
    expect(waiters.map((w) => w.page)).toEqual(pages)
    // Looked at in the waker's own step, before anybody who was woken runs.
    const left = rig.do(function* (k) {
      yield* wakeUserfault(k, rig.uffd, 20, 22)
      return [rig.uffd.fault, rig.uffd.pending].map((queue) => queue.entries.map((w) => w.page))
    })
    expect(waiters.map((w) => w.woken)).toEqual([false, true, false, true])
    expect(left).toEqual([[22], [23]])
  })

  it('means "look again": who finds nothing sleeps again, as a new waiter, once', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 1)
    const reader = rig.reader(20)
    const [first] = rig.uffd.pending.entries
    for (let i = 0; i < 3; i++) {
      rig.wake(20)
      expect([reader.done, rig.uffd.pending.length, rig.uffd.fault.length]).toEqual([false, 1, 0])
    }
    expect(first?.woken).toBe(true)
    expect(rig.uffd.pending.entries[0]).not.toBe(first)
  })

  it('leaves both locks free', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 1)
    rig.reader(20)
    rig.do((k) => wakeUserfault(k, rig.uffd, 20, 21))
    expect([rig.uffd.pendingLock.holder, rig.uffd.faultLock.holder]).toEqual([null, null])
  })
})

describe('UFFDIO_WAKE', () => {
  it('takes the whole window, its first and its last page, and nothing that reaches beyond', () => {
    const rig = new UffdRig({ windowPages: 64 })
    const wake = (start: number, length: number) => rig.do((k) => userfaultfdWake(k, rig.uffd, start, length))
    expect([wake(at(0), 64 * P), wake(at(0), P), wake(at(63), P)]).toEqual([0, 0, 0])
    for (const [start, length] of [
      [at(0), 65 * P],
      [at(63), 2 * P],
      [at(64), P],
      [WINDOW_BASE - P, P],
      [WINDOW_BASE - P, 2 * P],
      [at(0), -P],
      [at(0), P + 1],
    ] as const) {
      expect(wake(start, length), `${start}, ${length}`).toBe(ERRNO.EINVAL)
    }
  })

  it('costs a system call, whatever it answers', () => {
    const rig = new UffdRig()
    const cost = (length: number) =>
      rig.do(function* (k) {
        const before = k.nowNs
        yield* userfaultfdWake(k, rig.uffd, at(0), length)
        return k.nowNs - before
      })
    expect([cost(P), cost(0)]).toEqual([rig.kernel.preset.syscallNs.value, rig.kernel.preset.syscallNs.value])
  })

  it('a woken thread goes on no earlier than the waker’s time and the cost of a wake-up', () => {
    const rig = new UffdRig()
    rig.watch(20, 1)
    const reader = rig.reader(20)
    rig.zero(20, 1, 1)
    const called = rig.do(function* (k) {
      const before = k.nowNs
      yield* userfaultfdWake(k, rig.uffd, at(20), P)
      return before
    })
    expect(reader.done).toBe(true)
    expect(rig.cpu(1).nowNs).toBeGreaterThanOrEqual(called + rig.kernel.preset.wakeupNs.value)
  })
})

/** Runs one schedule; what is wrong afterwards, or null. */
function race(seed: number, scenario: (rig: UffdRig) => () => boolean): string | null {
  const rig = new UffdRig({ gear: 'step', seed }, 0, 0)
  rig.watch(20, 2)
  let wrong: string | null = null
  const thrown = failure(() => {
    const holds = scenario(rig)
    const outcome = rig.run()
    if (outcome !== 'done') wrong = `${outcome}: ${rig.waits().join('; ')}`
    else if (!holds()) wrong = 'the claim does not hold'
    else if (asleep(rig) > 0) wrong = 'somebody is still on a queue'
    wrong ??= rig.audit()
  })
  return thrown ?? wrong
}

describe('in random schedules', () => {
  it('two wakers of one waiter, with a reader of messages beside them: it goes on, and is on no queue (500)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const why = race(seed, (rig) => {
        const toucher = rig.spawn('toucher', 1, (k) => sys.load(k, rig.process, at(20)))
        rig.daemon('reader', 2, (k) => sys.uffdRead(k, rig.uffd, 320))
        rig.spawn('placer', 3, (k) => sys.uffdioZeropage(k, rig.uffd, at(20), P, 1))
        for (const n of [4, 5]) {
          rig.spawn(`waker ${n}`, n, function* (k) {
            while (rig.pte(20) === 0) yield { kind: 'access', mode: 0, object: 20, label: 'the look of a waker' }
            yield* userfaultfdWake(k, rig.uffd, at(20), P)
          })
        }
        return () => toucher.value?.signal === null && toucher.value.value === 0
      })
      return why !== null
    })
    expect(wrong).toEqual([])
  })

  it('a fatal signal beside a wake of a page that never came: the thread ends once, and is on no queue (500)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const why = race(seed, (rig) => {
        const toucher = rig.spawn('toucher', 1, (k) => sys.load(k, rig.process, at(20)))
        rig.daemon('reader', 2, (k) => sys.uffdRead(k, rig.uffd, 320))
        rig.spawn('waker', 3, (k) => sys.uffdioWake(k, rig.uffd, at(20), P))
        rig.spawn('killer', 4, function* (k) {
          yield { kind: 'access', mode: 0, object: 20, label: 'the look of a killer' }
          sys.kill(k, toucher.thread)
        })
        return () => toucher.value?.signal === 'SIGKILL'
      })
      return why !== null
    })
    expect(wrong).toEqual([])
  })

  it('a wake of the neighbour never wakes: without one of its own the thread sleeps on (300)', () => {
    const wrong = seedsWhere(300, (seed) => {
      const rig = new UffdRig({ gear: 'step', seed })
      rig.watch(20, 2)
      const toucher = rig.spawn('toucher', 1, (k) => sys.load(k, rig.process, at(20)))
      rig.spawn('placer', 2, (k) => sys.uffdioZeropage(k, rig.uffd, at(21), P, 0))
      return rig.run() !== 'deadlock' || toucher.done || asleep(rig) !== 1
    })
    expect(wrong).toEqual([])
  })
})
