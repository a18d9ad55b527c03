/**
 * A process and its machine: user code reads what it wrote through any CPU, gets signals as errors, and starts where its CPU
 * is in time. System calls pass through to what core/mm answers.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Proc, QUANTUM } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { SignalError } from '../../core/machine/process.ts'
import { addressOf, ERRNO, errnoName, MADV_DONTNEED, sys } from '../../core/machine/syscall.ts'
import { EventKind } from '../../core/trace/event.ts'
import { GEARS, P, Rig } from '../mm/rig.ts'

describe.each(GEARS)('user code in the %s gear', (gear) => {
  it('reads what was last written, page by page, through any of 3 CPUs', () => {
    const step = fc.record({ cpu: fc.nat(2), page: fc.nat(5), value: fc.option(fc.integer({ min: 1, max: 1e6 })) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const rig = new Rig({ gear })
        const a = rig.map(6)
        const model = new Array<number>(6).fill(0)
        for (const { cpu, page, value } of steps) {
          if (value === null) expect(rig.load(a + page, cpu)).toBe(model[page])
          else {
            model[page] = value
            rig.store(a + page, value, cpu)
          }
        }
      }),
      { numRuns: 100 },
    )
  })

  it('carries both words and the version of a page', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    const out = { word0: 0, word1: 0, version: 0 }
    rig.call((k) => rig.process.writePage(k, a, { word0: 1, word1: 2, version: 3 }))
    rig.call((k) => rig.process.readPage(k, a, out), 1)
    expect(out).toEqual({ word0: 1, word1: 2, version: 3 })
  })

  it('gets a signal as an error with signal, page and thread', () => {
    const rig = new Rig({ gear })
    let caught: unknown
    try {
      rig.load(9)
    } catch (e) {
      caught = e
    }
    expect(caught).toBeInstanceOf(SignalError)
    expect(caught).toMatchObject({ signal: 'sigsegv', page: 9, message: 'caller got SIGSEGV at page 9' })
  })
})

describe('a machine', () => {
  it('gives each CPU and thread a number of its own, and each thread a lane', () => {
    const rig = new Rig({ gear: 'step' })
    const threads = [0, 1, 2].map((i) => rig.machine.makeThread(`t${i}`))
    expect(new Set(threads.map((k) => k.id)).size).toBe(3)
    expect(new Set(threads.map((k) => k.cpu.id)).size).toBe(3)
    for (const k of threads) expect(rig.recorder.lanes[k.lane]).toEqual({ name: k.name, machine: 'destination' })
  })

  it('has an interrupt task a CPU in the step gear only', () => {
    for (const gear of GEARS) {
      const rig = new Rig({ gear })
      rig.cpu(1)
      expect(rig.machine.threads.filter((k) => k.name.startsWith('irq') && k.daemon)).toHaveLength(gear === 'step' ? 2 : 0)
    }
  })

  it('starts a thread no earlier than asked, and never turns a clock back', () => {
    const rig = new Rig()
    const seen: number[] = []
    function* life(k: Thread): Proc<void> {
      seen.push(k.nowNs)
      yield QUANTUM
    }
    for (const atNs of [500, 100]) {
      const k = rig.machine.makeThread('t', rig.cpu(0))
      rig.machine.start(k, life(k), atNs)
    }
    rig.run()
    expect(seen).toEqual([500, 500])
  })

  it('tells of each page whose dirty bit hardware set, once until it is cleared', () => {
    const rig = new Rig()
    const a = rig.map(2)
    const dirtied: number[] = []
    rig.machine.onDirty = (_k, page) => dirtied.push(page)
    rig.load(a)
    expect(dirtied).toEqual([])
    rig.store(a, 1)
    rig.store(a, 2)
    const slot = rig.mm.table.walk(a)
    rig.kernel.tables.set(slot, rig.kernel.tables.get(slot) - 64)
    rig.cpu(0).mmu.flushAll()
    rig.store(a, 3)
    expect(dirtied).toEqual([a])
    expect(rig.recorder.rows).toBe(0)
    expect(EventKind.Dirty).toBe(2)
  })
})

describe('system calls', () => {
  it('answer addresses, bytes and errnos of core/mm, and cost time', () => {
    const rig = new Rig()
    const p = rig.process
    const address = rig.call((k) => sys.mmap(k, p, 2 * P))
    expect(address).toBe(addressOf(1))
    rig.store(1, 5)
    const before = rig.cpu(0).nowNs
    expect(rig.call((k) => sys.remapAnonPages(k, p, addressOf(2), addressOf(1), P, 0))).toBe(P)
    expect(rig.cpu(0).nowNs).toBeGreaterThan(before)
    expect(errnoName(rig.call((k) => sys.remapAnonPages(k, p, addressOf(2), addressOf(1), P, 0)))).toBe('EEXIST')
    expect(rig.call((k) => sys.madvise(k, p, addressOf(2), P, MADV_DONTNEED))).toBe(0)
    expect(rig.load(2)).toBe(0)
    expect(rig.call((k) => sys.munmap(k, p, address, 2 * P))).toBe(0)
    expect(rig.call((k) => sys.madvise(k, p, address, P, MADV_DONTNEED))).toBe(ERRNO.ENOMEM)
  })
})
