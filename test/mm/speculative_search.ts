/**
 * What the searches for broken fault paths have in common: a scenario is set up, two or three threads race under a random
 * schedule, and the books are audited. The answer is what was wrong, or null.
 */
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import type { FaultPath } from '../../core/mm/kernel.ts'
import { failure, firstSeed, Rig } from './rig.ts'

export interface Scenario {
  readonly path: FaultPath
  /** Sets up, spawns; the answer says after the run what is wrong beyond the books. */
  set(rig: Rig): () => string | null
  /** A thread may sleep for ever here. */
  readonly maySleep?: boolean
  /** There is a second process, whose part of the books is not at hand. */
  readonly skipsAudit?: boolean
}

/** One schedule: what went wrong, or null. */
export function race(scenario: Scenario, without: readonly ProtectionName[], seed: number): string | null {
  const rig = new Rig({ gear: 'step', seed, windowPages: 64, frames: 64, without })
  rig.kernel.faultPath = scenario.path
  let wrong: string | null = null
  const thrown = failure(() => {
    const verdict = scenario.set(rig)
    const outcome = rig.run(20_000)
    if (outcome !== 'done' && scenario.maySleep !== true) wrong = `${outcome}: ${rig.waits().join('; ')}`
    wrong ??= verdict() ?? (scenario.skipsAudit === true ? null : rig.audit()) ?? rig.mm.tree.validate()
  })
  return thrown ?? wrong
}

/** The first seed that breaks without the protection, or -1. */
export function breaks(scenario: Scenario, without: ProtectionName, seeds = 4000): number {
  return firstSeed(seeds, (seed) => race(scenario, [without], seed) !== null)
}

/** What goes wrong with every protection on, over `seeds` schedules; null: nothing. */
export function holds(scenario: Scenario, seeds = 1000): string | null {
  for (let seed = 1; seed <= seeds; seed++) {
    const wrong = race(scenario, [], seed)
    if (wrong !== null) return `seed ${seed}: ${wrong}`
  }
  return null
}
