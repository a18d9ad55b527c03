/**
 * Threads on CPUs of a small make, for tests of hardware and of what is built on it, in either gear.
 *
 * SMALL is Zen 5 with TLBs that a test can fill by hand: 4 entries in L1, 16 entries of 4 ways in L2.
 */
import type { Scheduler } from '../../core/engine/execution.ts'
import { Execution } from '../../core/engine/execution.ts'
import type { Proc } from '../../core/engine/op.ts'
import { Timeline } from '../../core/engine/timeline.ts'
import { Cpu, Thread } from '../../core/hw/cpu.ts'
import type { CpuPreset, Sourced } from '../../core/hw/preset.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { nameOf } from '../engine/tasks.ts'

const ours = (value: number): Sourced => ({ value, kind: 'ours', source: 'small enough for a test' })

export const SMALL: CpuPreset = {
  ...ZEN5,
  id: 'small',
  l1Entries: ours(4),
  l1Ways: ours(4),
  l2Entries: ours(16),
  l2Ways: ours(4),
  pwcEntries: [ours(1), ours(2), ours(2)],
}

export const WINDOW_PAGES = 4096

export type ThreadBody = (k: Thread) => Proc<void>

export function makeThread(id: number, stepping: boolean, preset: CpuPreset = SMALL): Thread {
  return new Thread(id, nameOf(id), new Cpu(id, preset, WINDOW_PAGES), stepping, id)
}

/** One thread a CPU, in the clock gear. */
export function clockThreads(quantumNs: number, bodies: readonly ThreadBody[]): { timeline: Timeline; threads: Thread[] } {
  const timeline = new Timeline(quantumNs)
  const threads = bodies.map((body, id) => {
    const k = makeThread(id, false)
    k.proc = body(k)
    timeline.spawn(k)
    return k
  })
  return { timeline, threads }
}

/** One thread a CPU, in the step gear. */
export function stepThreads(scheduler: Scheduler, bodies: readonly ThreadBody[]): { execution: Execution; threads: Thread[] } {
  const execution = new Execution(scheduler)
  const threads = bodies.map((body, id) => {
    const k = makeThread(id, true)
    k.proc = body(k)
    execution.spawn(k)
    return k
  })
  return { execution, threads }
}
