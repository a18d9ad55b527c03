/**
 * Where a search stands, as it is read from a checkpoint: the shape of what core/explore and core/litmus hand out.
 *
 * Shape is all that can be checked without the program. Whether the state fits the program shows when the search is begun from
 * it: `fits` does that once, on trial.
 */
import { z } from 'zod'
import type { ConflictsState } from '../../explore/conflicts.ts'
import type { DfsState } from '../../explore/dfs.ts'
import type { DporState } from '../../explore/dpor.ts'
import type { PlainFootprint } from '../../explore/plain_footprint.ts'
import type { FoundVerdict, SimplestState } from '../../explore/simplest.ts'
import type { TallyState } from '../../explore/tally.ts'
import type { Counterexample } from '../../explore/verdict.ts'
import { Exploration, type ExplorationState, type ExploreQuestion } from '../../litmus/explore.ts'

const count = z.number().int().nonnegative()
const id = z.number().int()
const digits = z.string().regex(/^\d+$/)

export const bound = z.object({ preemptions: count.optional(), schedules: count.optional(), steps: count.optional() }).nullable()
const tally = z.object({
  schedules: count,
  traces: count,
  steps: count,
  depth: count,
  outcomes: z.array(z.string()),
}) satisfies z.ZodType<TallyState>
const footprint = z.array(z.tuple([id, z.string(), count])) satisfies z.ZodType<PlainFootprint>
const counterexample = z.object({
  violation: z.object({
    invariant: z.string(),
    message: z.string(),
    expected: z.string().optional(),
    found: z.string().optional(),
  }),
  schedule: z.array(count),
  preemptions: count,
}) satisfies z.ZodType<Counterexample>
const found = z.object({
  ...tally.shape,
  strategy: z.enum(['dpor', 'dfs', 'random', 'pct', 'replay']),
  verdict: z.enum(['verified', 'violation', 'bounded']),
  bound,
  interleavings: z.null(),
  counterexample: counterexample.nullable(),
}) satisfies z.ZodType<FoundVerdict>

const dfs = z.object({
  bound: count,
  choices: z.array(z.object({ tasks: z.array(count), at: count, preempts: z.boolean(), spent: count })),
  tally,
  conflicts: z.object({
    disproved: z.boolean(),
    touched: z.array(z.tuple([id, z.string(), z.array(id), z.boolean()])),
  }) satisfies z.ZodType<ConflictsState>,
  runs: count,
  beyond: z.boolean(),
  thinned: z.boolean(),
  cut: z.boolean(),
  taken: z.boolean(),
  footprints: z.array(footprint),
  looks: count,
  found: counterexample.nullable(),
  shorterRuns: count,
}) satisfies z.ZodType<DfsState>
const dpor = z.object({
  tally,
  interleavings: digits.nullable(),
  cuts: count,
  cut: z.boolean(),
  uncounted: z.boolean(),
  looks: count,
  ids: z.array(count),
  places: z.array(z.object({ task: count, choices: z.array(count), asleep: z.array(z.tuple([count, footprint])) })),
}) satisfies z.ZodType<DporState>
const chance = z.object({ tally, cut: z.boolean(), looks: count })

const searches = [
  z.object({ strategy: z.literal('dfs'), state: dfs }),
  z.object({ strategy: z.literal('dpor'), state: dpor }),
  z.object({ strategy: z.enum(['random', 'pct']), state: chance }),
] as const
const simplest = z.object({
  part: count.max(2),
  schedules: count,
  steps: count,
  search: z.discriminatedUnion('strategy', searches).nullable(),
  found: found.nullable(),
}) satisfies z.ZodType<SimplestState>

export const explorationState = z.object({
  part: count,
  whole: found.nullable(),
  search: z.discriminatedUnion('strategy', [...searches, z.object({ strategy: z.literal('simplest'), state: simplest })]),
}) satisfies z.ZodType<ExplorationState>

/** Whether the question's search can go on from there. */
export function fits(question: ExploreQuestion, state: ExplorationState): boolean {
  try {
    new Exploration(question, state)
    return true
  } catch {
    return false
  }
}
