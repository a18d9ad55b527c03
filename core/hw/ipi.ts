/**
 * Inter-processor interrupts with acknowledgement: run a function on other CPUs and wait until each has done it.
 *
 * Step gear: the interrupt is queued on its target, whose interrupt task (irqTask) takes it when scheduled and interrupts
 * are on; the sender waits at a gate until all have acknowledged. So a stale TLB entry lives exactly as long as a scheduler wants.
 * Clock gear: the function runs at once; the sender pays for sending and for the slowest acknowledgement, each target pays
 * for handling, on its own clock.
 *
 * Source: kernel/smp.c.
 * @kernel smp_call_function_many_cond
 */
import { fail } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, type AccessOp, type Gate, type Proc, write } from '../engine/op.ts'
import type { Cpu, Thread } from './cpu.ts'

/** Clock gear: the target has run the handler, and pays for that. */
export function takeIpi(cpu: Cpu): void {
  cpu.ipisTaken++
  cpu.nowNs += cpu.preset.ipiHandleNs.value
}

/** Clock gear: whoever has interrupted `sent` other CPUs pays for each send and for the last acknowledgement. */
export function chargeIpis(k: Thread, sent: number): void {
  if (sent === 0) return
  if (k.lockdep !== null) k.lockdep.waitsForInterrupts(k)
  const { ipiSendNs, ipiClusterCpus, ipiHandleNs } = k.cpu.preset
  k.cpu.nowNs += Math.ceil(sent / ipiClusterCpus.value) * ipiSendNs.value + ipiHandleNs.value
}

/**
 * Step gear: runs `handle(cpu)` on every CPU of `targets` but the caller's and waits for all; returns the number sent.
 */
export function* callOnCpus(k: Thread, targets: readonly Cpu[], handle: (cpu: Cpu) => void): Proc<number> {
  let sent = 0
  const waiting: Cpu[] = []
  if (k.lockdep !== null && targets.some((cpu) => cpu !== k.cpu)) k.lockdep.waitsForInterrupts(k)
  for (const cpu of targets) {
    if (cpu === k.cpu) continue
    sent++
    waiting.push(cpu)
    yield write(cpu.id, 'cpu.ipi')
    cpu.pending.push({
      handle: () => handle(cpu),
      acknowledge: () => {
        touch(k.id, 'ipi.waiting', AccessMode.releaseShared)
        waiting.splice(waiting.indexOf(cpu), 1)
      },
    })
  }
  if (sent > 0) yield acknowledged(k, waiting)
  return sent
}

/** Waits, busily, until no CPU is left: each holds the sender up until it has acknowledged, in whatever order. */
function acknowledged(k: Thread, waiting: readonly Cpu[]): AccessOp {
  const gate: Gate = {
    opens: () => waiting.length === 0,
    describe: () => 'acknowledgement of an IPI',
    // Whoever has disabled the interrupts of a target has to go on first.
    holder: () => waiting.find((cpu) => cpu.irqOffBy !== null)?.irqOffBy ?? null,
  }
  return { kind: 'access', mode: AccessMode.acquire, object: k.id, label: 'ipi.waiting', gate }
}

/** The interrupt task of a CPU for the step gear: takes pending interrupts while they are enabled. */
export function* irqTask(k: Thread): Proc<void> {
  const { cpu } = k
  const gate: Gate = {
    opens: () => cpu.pending.length > 0 && cpu.irqOff === 0,
    describe: () => (cpu.pending.length === 0 ? 'an interrupt' : 'interrupts to be enabled'),
    holder: () => null,
  }
  const arrival: AccessOp = { kind: 'access', mode: AccessMode.write, object: cpu.id, label: 'cpu.ipi', gate }
  for (;;) {
    yield arrival
    const ipi = cpu.pending.shift()
    if (ipi === undefined) fail(`an interrupt of CPU ${cpu.id} that nobody sent`)
    ipi.handle()
    cpu.ipisTaken++
    ipi.acknowledge()
  }
}

/** @kernel local_irq_disable */
export function irqDisable(cpu: Cpu, by: Thread | null = null): void {
  touch(cpu.id, 'cpu.ipi', AccessMode.write)
  cpu.irqOff++
  cpu.irqOffBy = by
}

/** @kernel local_irq_enable */
export function irqEnable(cpu: Cpu): void {
  touch(cpu.id, 'cpu.ipi', AccessMode.write)
  cpu.irqOff--
  if (cpu.irqOff === 0) cpu.irqOffBy = null
}
