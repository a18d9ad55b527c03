/**
 * The checkpoint of `explore`: what was asked, what is answered so far and where the searches under way stand, in a file that a later
 * call goes on from.
 *
 * 1. After answers, every few seconds and on Ctrl-C the file is written anew, under a temporary name and renamed by the host, so
 *    it is never half of one.
 * 2. A later call with the same question reads it, asks only for what is missing, and begins each search where it stood. Each
 *    answer depends on its question alone, so a search that was interrupted and resumed says what one in a single go does.
 * 3. What is read is checked: size, JSON, schema, the version that wrote it, that the question is the same, and that each search
 *    can go on from where it stood.
 */
import { z } from 'zod'
import { asciiJson } from '../../base/ascii.ts'
import type { ExploreQuestion } from '../../litmus/explore.ts'
import { isProtection, type ProtectionName } from '../../mm/kconfig.ts'
import { VERSION } from '../../run/version.ts'
import { CommandError } from '../command.ts'
import type { BegunSearch, Host, TimedAnswer } from '../host.ts'
import { bound, explorationState, fits } from './explore_state.ts'
import { readText } from './text_file.ts'

const SCHEMA = 'pageferry.explore-checkpoint/1'
const LARGEST_BYTES = 64 * 2 ** 20

const count = z.number().int().nonnegative()
const answer = z.object({
  schema: z.literal('pageferry.explore/1'),
  litmus: z.string(),
  protections: z.array(z.custom<ProtectionName>((name) => typeof name === 'string' && isProtection(name), 'no protection')),
  memoryModel: z.enum(['sc', 'tso', 'pso', 'pso+rl']),
  strategy: z.enum(['dpor', 'dfs', 'random', 'pct', 'replay']),
  verdict: z.enum(['verified', 'violation', 'bounded']),
  invariant: z.string().nullable(),
  isWitness: z.boolean(),
  bound,
  schedules: count,
  traces: count,
  interleavings: z.string().regex(/^\d+$/).nullable(),
  steps: count,
  depth: count,
  preemptions: count.nullable(),
  schedule: z.string().nullable(),
  outcomes: z.array(z.string()),
  counterexample: z
    .object({
      invariant: z.string(),
      message: z.string(),
      expected: z.string().optional(),
      found: z.string().optional(),
      steps: count,
      preemptions: count,
    })
    .nullable(),
})
const checkpoint = z.object({
  schema: z.literal(SCHEMA),
  version: z.string(),
  questions: z.string(),
  answers: z.array(z.object({ answer, wallSeconds: z.number().nonnegative() })),
  begun: z.array(z.object({ litmus: z.string(), state: explorationState, wallSeconds: z.number().nonnegative() })),
})

interface Kept {
  readonly answers: readonly TimedAnswer[]
  readonly begun: readonly BegunSearch[]
}

export class Checkpoint {
  readonly #path: string
  readonly #host: Host
  readonly #questions: string
  readonly #answers: Map<string, TimedAnswer>
  #begun: readonly BegunSearch[]

  private constructor(path: string, host: Host, questions: string, { answers, begun }: Kept) {
    this.#path = path
    this.#host = host
    this.#questions = questions
    this.#answers = new Map(answers.map((one) => [one.answer.litmus, one]))
    this.#begun = begun
  }

  /** Reads the file if there is one; otherwise makes sure that it can be written. */
  static async open(path: string, questions: readonly ExploreQuestion[], host: Host): Promise<Checkpoint> {
    const asked = JSON.stringify(questions)
    const text = await readText(path, host, LARGEST_BYTES)
    await host.checkWritable?.(path)
    const kept = text === null ? { answers: [], begun: [] } : keptIn(text, path, asked)
    for (const { litmus, state } of kept.begun) {
      const question = questions.find((one) => one.litmus === litmus)
      if (question === undefined || !fits(question, state))
        throw new CommandError(
          `${path} does not fit this program: its search of ${litmus} cannot go on; start anew in another file`,
        )
    }
    return new Checkpoint(path, host, asked, kept)
  }

  /** The answer of an earlier call, or null. */
  answered(litmus: string): TimedAnswer | null {
    return this.#answers.get(litmus) ?? null
  }

  /** Where an earlier call's search stood, or null. */
  begun(litmus: string): BegunSearch | null {
    return this.#begun.find((one) => one.litmus === litmus) ?? null
  }

  async add(some: readonly TimedAnswer[]): Promise<void> {
    for (const timed of some) this.#answers.set(timed.answer.litmus, timed)
    this.#begun = this.#begun.filter(({ litmus }) => !this.#answers.has(litmus))
    await this.#write()
  }

  /** All searches that are under way. */
  async keep(begun: readonly BegunSearch[]): Promise<void> {
    this.#begun = begun.filter(({ litmus }) => !this.#answers.has(litmus))
    await this.#write()
  }

  async #write(): Promise<void> {
    const answers = [...this.#answers.values()]
    const file = { schema: SCHEMA, version: VERSION, questions: this.#questions, answers, begun: this.#begun }
    await this.#host.write(this.#path, [`${asciiJson(file)}\n`])
  }
}

function keptIn(text: string, path: string, asked: string): Kept {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new CommandError(`${path} is no checkpoint: it is not JSON; name another file, or delete it`)
  }
  const read = checkpoint.safeParse(value)
  if (!read.success) {
    const { path: at, message } = read.error.issues[0] ?? { path: [], message: 'of another kind' }
    throw new CommandError(`${path} is no checkpoint of explore: ${at.join('.') || 'the file'}: ${message}; name another file`)
  }
  if (read.data.version !== VERSION) {
    throw new CommandError(
      `${path} was written by version ${read.data.version}, and this is ${VERSION}; start anew in another file`,
    )
  }
  if (read.data.questions !== asked) {
    throw new CommandError(`${path} belongs to another search; give the options it was begun with, or name another file`)
  }
  return read.data
}
