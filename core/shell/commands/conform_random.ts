/**
 * `conform --random N`: random call sequences on the model and on the host's kernel, which must agree.
 *
 * 1. Sequences are drawn on the model, a few at a time, and run on the kernel; Ctrl-C stops at once, wherever it is.
 * 2. One that disagrees is shrunk to the shortest that still does, and told as a case file with the command that replays it.
 * 3. A summary, or the report as JSON. Something disagrees: exit 1.
 */
import type { CaseGroup, ConformCase } from '../../conform/case.ts'
import { judging } from '../../conform/judge.ts'
import { caseOfSequence, drawCase, type Sequence } from '../../conform/random_sequence.ts'
import { type CaseVerdict, type ReportedDisagreement, reportOf } from '../../conform/report.ts'
import { shrink } from '../../conform/shrink.ts'
import type { CommandContext } from '../command.ts'
import { ExitCode } from '../host.ts'
import { type HostKernel, hostKernelOf } from '../host_kernel.ts'
import { sentence } from '../layout.ts'
import { inSlices } from '../slices.ts'
import { reportText } from './conform_text.ts'

const SEQUENCES_AT_ONCE = 25
/** Shrinking takes a while, and the first few tell what is wrong. */
const MOST_SHRUNK = 3

export interface RandomRun {
  readonly count: number
  readonly seed: number
  /** The number of the first sequence. */
  readonly first: number
}

export async function conformRandom(context: CommandContext, { count, seed, first }: RandomRun): Promise<number> {
  const { arguments: given, terminal, stop, program } = context
  const kernel = hostKernelOf(context.host)
  const { release } = await kernel.info()
  const verdicts: CaseVerdict[] = []
  const shrunk: Shrunk[] = []
  const end = first + count
  for (let n = first; n < end && !stop.aborted; n += SEQUENCES_AT_ONCE) {
    // 1.
    const sequences: Sequence[] = []
    const cases: ConformCase[] = []
    for (let i = n; i < Math.min(end, n + SEQUENCES_AT_ONCE) && !stop.aborted; i++) {
      const { sequence, one } = drawCase(seed, i)
      sequences.push(sequence)
      cases.push(one)
      await context.host.breathe()
    }
    const runs = await kernel.conform(cases, stop)
    for (const [i, one] of cases.entries()) {
      const run = runs[i]
      const verdict = run === undefined ? null : await inSlices(judging(one, run), context)
      await context.host.breathe()
      if (verdict === null || stop.aborted) break
      verdicts.push(verdict)
      // 2.
      if (verdict.kind === 'disagreed' && shrunk.length < MOST_SHRUNK)
        shrunk.push(await shorten(context, kernel, sequences[i], { seed, n: n + i, found: verdict.disagreement }))
    }
    terminal.status?.(`${verdicts.length} of ${count} sequences`)
  }
  terminal.status?.('')
  if (stop.aborted) {
    terminal.err(sentence(`${program}conform: interrupted after ${verdicts.length} of ${count} sequences`))
    return ExitCode.interrupted
  }
  // 3.
  const report = reportOf('both', release, verdicts)
  const disagreed = report.disagreed.map((one) => ({ ...one, ...shrunk.find(({ found }) => found === one)?.more }))
  terminal.out(
    given.has('json')
      ? `${JSON.stringify({ ...report, seed, disagreed }, null, 2)}\n`
      : `${shrunk.map(shrunkText).join('')}${reportText(report, 'sequence')}`,
  )
  return report.disagreed.length === 0 ? ExitCode.good : ExitCode.failed
}

interface Shrunk {
  readonly found: ReportedDisagreement
  readonly more: {
    /** The shortest sequence that still disagrees, as a file of cases. */
    readonly shortest: CaseGroup
    readonly replay: string
  }
}

async function shorten(
  context: CommandContext,
  kernel: HostKernel,
  sequence: Sequence | undefined,
  { seed, n, found }: { seed: number; n: number; found: ReportedDisagreement },
): Promise<Shrunk> {
  const disagrees = async (candidates: readonly Sequence[]) => {
    const cases = candidates.map((candidate) => caseOfSequence(candidate))
    const runs = await kernel.conform(cases, context.stop)
    const found: boolean[] = []
    for (const [i, one] of cases.entries()) {
      const run = runs[i]
      const verdict = run === undefined ? null : await inSlices(judging(one, run), context)
      found.push(verdict?.kind === 'disagreed')
    }
    return found
  }
  const shortest = sequence === undefined ? [] : [caseOfSequence(await shrink(sequence, disagrees))]
  const title = 'a random sequence on which model and kernel disagree'
  return {
    found,
    more: {
      shortest: { group: 'random', title, cases: shortest },
      replay: `conform --random 1 --first ${n} --seed ${seed}`,
    },
  }
}

function shrunkText({ more }: Shrunk): string {
  return `${JSON.stringify(more.shortest)}\nreplay: ${more.replay}\n`
}
