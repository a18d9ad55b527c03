/**
 * The prepaging of a run: from the option's text to the policy that its source asks.
 *
 * A policy of the user's own is handed in by the host, which alone can run it; core has no interpreter.
 */
import { CheckedPolicy, type ForeignPolicy } from '../migration/prepaging/checked.ts'
import { PrepagingError, type PrepagingPolicy } from '../migration/prepaging/policy.ts'
import { makePolicy, type PrepagingChoice, parsePrepaging } from '../migration/prepaging/registry.ts'
import type { MigrateOptions } from './options.ts'

export interface RunPrepaging {
  readonly policy: PrepagingPolicy
  readonly queueBytes: number
}

/** Why a migration is not begun with that policy and limit, simulated or real; null: it is. */
export function endlessRefusal({ kind }: PrepagingChoice, timeLimitNs: number): string | null {
  return kind === 'demand' && !Number.isFinite(timeLimitNs)
    ? 'prepaging demand sends nothing that the guest does not ask for, so the migration may never end; give it a --time-limit, for example 10s'
    : null
}

/** For a guest of so many host pages. Throws PrepagingError. */
export function runPrepaging(
  { prepaging, timeLimitNs }: MigrateOptions,
  pages: number,
  foreign: ForeignPolicy | null,
): RunPrepaging {
  const parsed = parsePrepaging(prepaging)
  if (!parsed.ok) throw new PrepagingError(parsed.message)
  const refusal = endlessRefusal(parsed.choice, timeLimitNs)
  if (refusal !== null) throw new PrepagingError(refusal)
  const { path, queueBytes } = parsed.choice
  const own = makePolicy(parsed.choice)
  if (own !== null) return { policy: own, queueBytes }
  if (foreign === null) throw new PrepagingError(`the prepaging policy ${path} cannot be loaded here; name one that is built in`)
  return { policy: new CheckedPolicy(foreign, pages), queueBytes }
}
