/**
 * Interrupts between CPUs: the function runs on every target, the sender goes on only when all have acknowledged.
 *
 * In the step gear a target may be as late as the scheduler likes; in the clock gear it has a price on both sides.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import type { Scheduler } from '../../core/engine/execution.ts'
import { read } from '../../core/engine/op.ts'
import { random, roundRobin } from '../../core/explore/schedulers.ts'
import type { Cpu, Thread } from '../../core/hw/cpu.ts'
import { callOnCpus, chargeIpis, irqDisable, irqEnable, irqTask, takeIpi } from '../../core/hw/ipi.ts'
import { makeThread, SMALL, stepThreads, type ThreadBody } from './threads.ts'

const SEND_NS = SMALL.ipiSendNs.value
const HANDLE_NS = SMALL.ipiHandleNs.value

/** Thread 0 sends to all; threads 1 to n take interrupts. */
function stepping(scheduler: Scheduler, targets: number, sends: (k: Thread, cpus: Cpu[]) => ReturnType<ThreadBody>) {
  const cpus: Cpu[] = []
  const takes: ThreadBody = function* (k) {
    k.daemon = true
    yield* irqTask(k)
  }
  const set = stepThreads(scheduler, [(k) => sends(k, cpus), ...new Array<ThreadBody>(targets).fill(takes)])
  cpus.push(...set.threads.map((t) => t.cpu))
  for (const k of set.threads.slice(1)) k.daemon = true
  return { ...set, cpus }
}

describe('in the step gear', () => {
  it('the sender goes on after every target has run the function once, under any schedule', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 4 }), (seed, targets) => {
        const ran: number[] = []
        let atReturn = -1
        const { execution, cpus } = stepping(random(new Prng(seed)), targets, function* (k, all) {
          const sent = yield* callOnCpus(k, all, (cpu) => ran.push(cpu.id))
          atReturn = ran.length
          expect(sent).toBe(targets)
        })
        expect(execution.run(1000)).toBe('done')
        expect(atReturn).toBe(targets)
        expect(ran.toSorted((a, b) => a - b)).toEqual(Array.from({ length: targets }, (_, i) => i + 1))
        expect(cpus.map((c) => c.ipisTaken)).toEqual([0, ...new Array<number>(targets).fill(1)])
      }),
    )
  })

  it('a target is as late as the scheduler wants: until it is chosen, its function has not run', () => {
    let ran = false
    const { execution, threads } = stepping(
      {
        pick: (ready) =>
          Math.max(
            0,
            ready.findIndex((t) => t.id === 0),
          ),
      },
      1,
      function* (k, all) {
        yield* callOnCpus(k, all, () => {
          ran = true
        })
      },
    )
    const [sender] = threads
    do execution.advance()
    while (sender !== undefined && execution.isReady(sender))
    expect([ran, sender?.waitsFor]).toEqual([false, 'acknowledgement of an IPI'])
    expect(execution.run(100)).toBe('done')
    expect(ran).toBe(true)
  })

  it('a target with interrupts off takes it after it has enabled them', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 6 }), (seed, work) => {
        const story: string[] = []
        const { execution, threads } = stepThreads(random(new Prng(seed)), [
          function* (k) {
            yield* callOnCpus(k, [victim().cpu], () => story.push('handled'))
          },
          function* (k) {
            k.daemon = true
            yield* irqTask(k)
          },
          function* () {
            yield read(0, 'x')
            irqDisable(victim().cpu)
            story.push('off')
            for (let i = 0; i < work; i++) yield read(0, 'x')
            story.push('on')
            irqEnable(victim().cpu)
          },
        ])
        const victim = (): Thread => threads[1] as Thread
        victim().daemon = true
        expect(execution.run(1000)).toBe('done')
        expect(story).toHaveLength(3)
        // Before or after the section, never inside it.
        expect(story.slice(story.indexOf('off'), story.indexOf('on') + 1)).toEqual(['off', 'on'])
      }),
    )
  })

  it('nested sections keep interrupts off until the outer one ends', () => {
    const { execution, threads } = stepping(roundRobin(), 1, function* (k, all) {
      const target = all[1] as Cpu
      irqDisable(target)
      irqDisable(target)
      irqEnable(target)
      yield* callOnCpus(k, all, () => {})
    })
    expect(execution.run(100)).toBe('deadlock')
    expect(execution.deadlock().waits).toEqual(['A waits for acknowledgement of an IPI', 'B waits for interrupts to be enabled'])
    irqEnable((threads[1] as Thread).cpu)
    expect(execution.run(100)).toBe('done')
  })

  it('two senders at once both get their acknowledgements', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const ran: string[] = []
        const cpus: Cpu[] = []
        const sends: ThreadBody = function* (k) {
          yield* callOnCpus(k, cpus, (cpu) => ran.push(`${k.name}${cpu.id}`))
        }
        const takes: ThreadBody = function* (k) {
          yield* irqTask(k)
        }
        const { execution, threads } = stepThreads(random(new Prng(seed)), [sends, sends, takes, takes])
        for (const k of threads.slice(2)) {
          k.daemon = true
          cpus.push(k.cpu)
        }
        expect(execution.run(1000)).toBe('done')
        expect(ran.toSorted()).toEqual(['A2', 'A3', 'B2', 'B3'])
      }),
    )
  })
})

describe('in the clock gear', () => {
  it('the sender pays for one sending a cluster of CPUs and for the last acknowledgement, each target for handling', () => {
    const threads = [0, 1, 2, 3].map((id) => makeThread(id, false))
    const [sender] = threads as [Thread]
    const cpus = threads.map((t) => t.cpu)
    for (const cpu of cpus.slice(1)) takeIpi(cpu)
    chargeIpis(sender, 3)
    expect(threads.map((t) => t.nowNs)).toEqual([SEND_NS + HANDLE_NS, HANDLE_NS, HANDLE_NS, HANDLE_NS])
    expect(cpus.map((c) => c.ipisTaken)).toEqual([0, 1, 1, 1])
  })

  it('costs nothing where nobody else has to be told', () => {
    const k = makeThread(0, false)
    chargeIpis(k, 0)
    expect(k.nowNs).toBe(0)
  })
})
