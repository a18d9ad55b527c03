/**
 * epoll with EPOLLEXCLUSIVE on a userfault descriptor: a fault wakes one idle reader, and no fault is left unread.
 *
 * Readers wait, read one message and zero the page; faults come from threads on other CPUs.
 */
import { describe, expect, it } from 'vitest'
import type { Thread } from '../../core/hw/cpu.ts'
import { POLLIN, sys, UFFD_MSG_BYTES } from '../../core/machine/syscall.ts'
import { at, GEARS, P } from './rig.ts'
import { UffdRig } from './uffd_rig.ts'

describe.each(GEARS)('in the %s gear', (gear) => {
  it('of three idle readers one wakes for one fault; the next fault wakes the next', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 2)
    const woken: string[] = []
    for (const name of ['a', 'b', 'c']) {
      rig.daemon(name, name.charCodeAt(0) - 90, function* (k: Thread) {
        const epoll = yield* sys.epollAdd(k, rig.uffd)
        woken.push(`${name} ${yield* sys.epollWait(k, epoll)}`)
      })
    }
    rig.wake(20)
    expect(woken).toEqual([])
    rig.reader(20, 1)
    expect(woken).toHaveLength(1)
    rig.reader(21, 2)
    expect(woken).toHaveLength(2)
    expect(new Set(woken.map((w) => w.slice(2)))).toEqual(new Set([String(POLLIN)]))
  })

  it('what was pending before is reported at once', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 1)
    rig.reader(20)
    const events = rig.do(function* (k) {
      return yield* sys.epollWait(k, yield* sys.epollAdd(k, rig.uffd))
    })
    expect(events).toBe(POLLIN)
  })

  it('two readers serve four threads that touch eight pages, and nobody is left asleep', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const rig = new UffdRig({ gear, seed })
      rig.watch(20, 8)
      for (const n of [1, 2]) {
        rig.daemon(`reader ${n}`, n, function* (k) {
          const epoll = yield* sys.epollAdd(k, rig.uffd)
          for (;;) {
            yield* sys.epollWait(k, epoll)
            const { messages } = yield* sys.uffdRead(k, rig.uffd, UFFD_MSG_BYTES)
            for (const m of messages) if ('address' in m) yield* sys.uffdioZeropage(k, rig.uffd, m.address, P, 0)
          }
        })
      }
      const done = [3, 4, 5, 6].map((n) =>
        rig.spawn(`vcpu ${n}`, n, function* (k) {
          for (const page of [0, 1]) yield* sys.load(k, rig.process, at(20 + 2 * (n - 3) + page))
        }),
      )
      rig.run()
      expect(done.map((d) => d.done)).toEqual([true, true, true, true])
    }
  })
})
