/**
 * Looks after every single step: silent while the kernel is sound, whatever the schedule; and with a protection left out, one of
 * them says what broke while the run still goes on.
 */
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { DEADLOCK } from '../../core/checkers/deadlock.ts'
import { brokenInFlight } from '../../core/checkers/invariants.ts'
import { WAKE_UPS } from '../../core/checkers/wake_ups.ts'
import { type Proc, read } from '../../core/engine/op.ts'
import { random } from '../../core/explore/schedulers.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { callOnCpus, irqDisable } from '../../core/hw/ipi.ts'
import { LITMUS_CPU } from '../../core/litmus/litmus_cpu.ts'
import { litmusNamed, MUSEUM } from '../../core/litmus/museum.ts'
import { programOf } from '../../core/litmus/program.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import type { FaultPath } from '../../core/mm/kernel.ts'
import { uffdCopy } from '../../core/mm/mfill_atomic.ts'
import { Spinlock } from '../../core/sync/spinlock.ts'
import { PATHS, sequence } from '../mm/random_sequence.ts'
import { at, P, Rig } from '../mm/rig.ts'
import { UffdRig } from '../mm/uffd_rig.ts'

const SEQUENCES = Number(process.env.PAGEFERRY_SEQUENCES ?? 150)

describe('a sound kernel', () => {
  it.each(PATHS)(
    `breaks nothing after any step of ${SEQUENCES} random sequences on the fault path %s`,
    { timeout: 600_000 },
    (path) => {
      const wrong: string[] = []
      for (let seed = 1; seed <= SEQUENCES; seed++) {
        const what = sequence('step', path, seed, true, { preset: LITMUS_CPU })
        if (what !== null) wrong.push(`seed ${seed}: ${what}`)
      }
      expect(wrong).toEqual([])
    },
  )

  it('breaks nothing after any step of any litmus test, 30 schedules each', { timeout: 120_000 }, () => {
    const wrong = MUSEUM.flatMap(({ name }) => {
      const finding = firstInFlight(name, [], 30)
      return finding === null ? [] : [`${name}: ${finding}`]
    })
    expect(wrong).toEqual([])
  })
})

/** What a look after a step says first, over random schedules of a litmus test; null if no look says anything. */
function firstInFlight(name: string, without: readonly ProtectionName[], schedules: number): string | null {
  const litmus = litmusNamed(name)
  if (litmus === null) throw new Error(`no litmus test ${name}`)
  for (let seed = 1; seed <= schedules; seed++) {
    const run = programOf(litmus, new Set(without))(random(new Prng(seed)))
    while (run.execution.step < 3000 && run.execution.advance() === 'running') {
      const broken = run.check()
      if (broken !== null) return broken.invariant
    }
  }
  return null
}

describe('with a protection left out', () => {
  it.each<[ProtectionName, string, string]>([
    ['remap-pte-recheck', 'two-movers-one-destination', 'I-CNT'],
    ['remap-tlb-flush', 'remap-and-another-tlb', 'I-TLB'],
    ['remap-mapcount', 'remap-against-fork', 'I-RMAP'],
    ['remap-index', 'remap-under-a-walk', 'I-RMAP'],
    ['remap-table-order', 'remap-there-and-back', 'I-DEAD'],
    ['anon-vma-root-ref', 'root-of-a-family', 'I-UAF'],
    ['uffd-must-wait', 'fault-against-placing', 'I-WAIT'],
    ['uffd-place-before-wake', 'fault-against-placing', 'I-WAIT'],
    ['uffd-waiter-removal', 'fault-against-placing', 'I-UAF'],
  ])('%s: a look during %s finds %s', (protection, name, invariant) => {
    expect(firstInFlight(name, [protection], 300)).toBe(invariant)
  })

  it.each<[ProtectionName, FaultPath, RegExp]>([
    ['zap-flush-before-free', 'classic', /^I-UAF at step/],
    ['vma-seq-init-early', 'speculative', /^I-SEQ at step/],
    ['vma-lock-recheck', 'vma-lock', /^I-VMA at step/],
  ])('%s: a look during random calls on the path %s finds it', { timeout: 120_000 }, (protection, path, message) => {
    let found: string | null = null
    for (let seed = 1; seed <= 200 && found === null; seed++)
      found = sequence('step', path, seed, true, { preset: LITMUS_CPU, without: [protection] })
    expect(found).toMatch(message)
  })
})

describe('I-WAIT', () => {
  /** A thread asleep on a missing page, which is then put there behind everybody's back. */
  function asleep(): { rig: UffdRig; page: number } {
    const rig = new UffdRig({ gear: 'step' })
    const page = 20
    rig.map(1)
    rig.watch(page, 2)
    rig.spawn('toucher', 0, (k) => rig.process.touch(k, page, false))
    expect(rig.run()).toBe('deadlock')
    return { rig, page }
  }

  it('is silent about a thread that sleeps on what is missing, and finds one that sleeps on what is there', () => {
    const { rig, page } = asleep()
    expect([WAKE_UPS.inFlight?.(rig.state), WAKE_UPS.atRest?.(rig.state)]).toEqual([null, null])
    rig.kernel.tables.set(rig.mm.table.walkAllocate(page), P + 1)
    const message = `toucher sleeps on page ${page}, which is there`
    expect([WAKE_UPS.inFlight?.(rig.state), WAKE_UPS.atRest?.(rig.state)]).toEqual([message, message])
  })

  it('lets it sleep while somebody may still wake it, and not after the call that should have', () => {
    const { rig, page } = asleep()
    rig.spawn('other', 1, (k) => rig.process.touch(k, page, false))
    rig.kernel.tables.set(rig.mm.table.walkAllocate(page), P + 1)
    expect(WAKE_UPS.inFlight?.(rig.state)).toBeNull()
    for (const waiter of rig.kernel.userfaults) waiter.answered = true
    expect(WAKE_UPS.inFlight?.(rig.state)).toMatch(/toucher sleeps/)
  })

  it('is silent after a call that wakes', () => {
    const { rig, page } = asleep()
    rig.store(1, 5, 1)
    rig.call((k) => uffdCopy(k, rig.uffd, at(page), at(1), P, 0), 1)
    expect(rig.kernel.userfaults.size).toBe(0)
    expect(brokenInFlight(rig.state)).toBeNull()
  })
})

describe('I-DEAD', () => {
  /** Two threads that take two locks in opposite orders, and a third that just runs: what the looks say first. */
  function opposite(seed: number): { found: string | null; outcome: string; runnerDone: boolean } {
    const rig = new Rig({ gear: 'step', seed })
    const [a, b] = [new Spinlock(1, 'a', 0), new Spinlock(2, 'b', 0)]
    const take = (outer: Spinlock, inner: Spinlock) =>
      function* (k: Thread): Proc<void> {
        k.lockdep = null
        yield* outer.lock(k)
        yield read(0, 'x')
        yield* inner.lock(k)
        inner.unlock(k)
        outer.unlock(k)
      }
    rig.spawn('one', 0, take(a, b))
    rig.spawn('two', 1, take(b, a))
    const runner = rig.spawn('runner', 2, function* () {
      for (let i = 0; i < 50; i++) yield read(i, 'y')
    })
    let found: string | null = null
    let runnerDone = false
    const outcome = rig.run(200, () => {
      if (found !== null) return
      found = DEADLOCK.inFlight?.(rig.state) ?? null
      runnerDone = runner.done
    })
    return { found, outcome, runnerDone }
  }

  it('is found exactly where a run ends in a deadlock, while a third thread still runs', () => {
    const runs = Array.from({ length: 40 }, (_, seed) => opposite(seed + 1))
    for (const { found, outcome } of runs) expect(found !== null).toBe(outcome === 'deadlock')
    const deadlocks = runs.filter(({ found }) => found !== null)
    expect(deadlocks.length).toBeGreaterThan(0)
    expect(deadlocks.length).toBeLessThan(40)
    expect(deadlocks.some(({ runnerDone }) => !runnerDone)).toBe(true)
    expect(deadlocks[0]?.found).toBe("one waits for b 2, two waits for a 1, which is one's to give")
  })

  it('knows who keeps the interrupts of a CPU off that somebody waits for', () => {
    const rig = new Rig({ gear: 'step', seed: 1 })
    const [lock, { kernel }] = [new Spinlock(1, 'pte_lock', 0), rig]
    kernel.lockdep = null
    const holder = rig.spawn('holder', 0, function* (k) {
      k.lockdep = null
      yield* lock.lock(k)
      yield* callOnCpus(k, [rig.cpu(1)], () => {})
      lock.unlock(k)
    })
    while (lock.holder === null) rig.run(1)
    rig.spawn('spinner', 1, function* (k) {
      k.lockdep = null
      irqDisable(k.cpu, k)
      yield* lock.lock(k)
    })
    expect(rig.run(500)).toBe('deadlock')
    expect(holder.done).toBe(false)
    expect(DEADLOCK.inFlight?.(rig.state)).toBe(
      "holder waits for acknowledgement of an IPI, spinner waits for pte_lock 1, which is holder's to give",
    )
  })
})
