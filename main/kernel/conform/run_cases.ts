/**
 * Runs conformance cases on the host's kernel, one after the other, each in a process of its own.
 *
 * Between two cases, and while one takes long, the program's other affairs get their turn. Whatever the host cannot do at all is
 * NotPermitted; what one case asks beyond this kernel is a reason to skip that case.
 */
import { setImmediate } from 'node:timers/promises'
import { whyNotOnKernel } from '../../../core/conform/applies.ts'
import type { ConformCase } from '../../../core/conform/case.ts'
import type { KernelRun } from '../../../core/conform/report.ts'
import { type CaseResult, runningCase } from '../../../core/conform/runner.ts'
import { kernelInfo } from '../info.ts'
import { NotPermitted } from '../sys/errors.ts'
import { framesOf } from './kernel_observers.ts'
import { CASE_LIMIT_MS, KernelWorld } from './kernel_world.ts'
import { CODE_ADDRESS } from './puppet_code.ts'
import { Puppets } from './puppets.ts'

export async function runCasesOnKernel(cases: readonly ConformCase[], limitMs = CASE_LIMIT_MS): Promise<readonly KernelRun[]> {
  const info = kernelInfo()
  if (info.why !== null) throw new NotPermitted(info.why)
  const puppets = new Puppets()
  try {
    // The page of its code that a puppet executes is present.
    const traits = {
      release: info.release,
      features: info.features,
      tellsFrames: (framesOf(puppets.pid, CODE_ADDRESS, 1)[0] ?? 0) > 0,
    }
    const runs: KernelRun[] = []
    for (const one of cases) {
      const why = whyNotOnKernel(one, traits)
      if (why !== null) {
        runs.push({ case: one.id, skipped: why, disagreement: null, told: [] })
        continue
      }
      runs.push({ case: one.id, skipped: null, ...(await resultOf(one, puppets, limitMs)) })
      await setImmediate()
    }
    return runs
  } finally {
    puppets.close()
  }
}

async function resultOf(one: ConformCase, puppets: Puppets, limitMs: number): Promise<CaseResult> {
  const running = runningCase(one, (each, round) => new KernelWorld(puppets, each, round, limitMs))
  for (;;) {
    const { done, value } = running.next()
    if (done === true) return value
    await setImmediate()
  }
}
