/**
 * `conform`: runs the conformance cases and says where the model, or the host's own kernel, disagrees with them.
 *
 * 1. Choose the cases: all, or those that the words name (an id, an assertion's number, a group).
 * 2. Run them; the host breathes in between, and Ctrl-C stops at once, wherever it is.
 * 3. Print one line a disagreement and a summary, or the report as JSON. Something disagrees: exit 1.
 */
import type { ConformCase } from '../../conform/case.ts'
import { caseGroups, casesNamed } from '../../conform/catalog.ts'
import { ModelWorld } from '../../conform/model_world.ts'
import { type CaseVerdict, reportOf, runningOnModel, type Side, verdictOf } from '../../conform/report.ts'
import { ArgumentError } from '../arguments.ts'
import type { Command, CommandContext } from '../command.ts'
import { ExitCode } from '../host.ts'
import { hostKernelOf } from '../host_kernel.ts'
import { columnsOf, sentence, shown } from '../layout.ts'
import { inSlices } from '../slices.ts'
import { didYouMean } from '../suggestion.ts'
import { conformRandom } from './conform_random.ts'
import { reportText } from './conform_text.ts'

/** Cases that a kernel is given in one go: what is told of it comes after so many. */
const CASES_AT_ONCE = 20

export const conformCommand: Command = {
  name: 'conform',
  group: 'Migration',
  summary: 'runs the conformance cases',
  description:
    'A case is data: a few steps of one to four threads and what Linux answers to each, measured on a real kernel or taken from ' +
    'the patches. CASE is a whole id (30-copy-one-page), the number of an assertion (30), or a group (move).\n\n' +
    'On a kernel each case runs in a process of its own, whose threads do nothing but the calls of the case.\n\n' +
    'Exits 0 when all agree, 1 when something disagrees, 126 where this host cannot.',
  positionals: [{ name: 'CASE', meaning: 'an id, an assertion or a group; all without one', repeatable: true }],
  options: [
    {
      name: 'on',
      kind: 'enum',
      defaultText: 'model',
      common: true,
      meaning: 'what runs the cases',
      choices: [
        { word: 'model', meaning: 'the simulated kernel' },
        { word: 'kernel', meaning: "the host's own kernel" },
        { word: 'both', meaning: 'both, compared step by step' },
      ],
    },
    { name: 'list', kind: 'flag', common: true, meaning: 'list the cases and run none' },
    { name: 'json', kind: 'flag', common: true, meaning: 'print the report as JSON' },
    {
      name: 'random',
      kind: 'count',
      valueName: 'N',
      common: true,
      min: 1,
      meaning: "random call sequences on the model and on this host's kernel, instead of cases",
    },
    { name: 'seed', kind: 'count', valueName: 'S', defaultText: '1', meaning: 'seed of the random sequences' },
    {
      name: 'first',
      kind: 'count',
      valueName: 'N',
      defaultText: '0',
      meaning: 'number of the first random sequence: to replay one',
    },
  ],
  examples: [
    { line: 'conform', meaning: 'every case on the model' },
    { line: 'conform move 30', meaning: 'the cases of UFFDIO_MOVE, and assertion 30' },
    { line: 'conform --on both', meaning: 'the model and this kernel, held against the same cases' },
    { line: 'conform --random 2000 --seed 11', meaning: 'any calls in any order; what disagrees is told as a case' },
    { line: 'conform --list | grep fork', meaning: 'cases about fork' },
  ],
  run: conform,
}

async function conform(context: CommandContext): Promise<number> {
  const { arguments: given, terminal } = context
  // 1.
  const cases = chosen(given.positionals)
  if (given.has('list')) {
    list(cases, context)
    return ExitCode.good
  }
  const count = given.number('random', 0)
  if (count > 0) {
    if (given.positionals.length > 0) throw new ArgumentError('--random makes its own sequences; leave out the names of cases')
    if (given.has('on') && given.text('on') !== 'both') throw new ArgumentError('--random compares both; leave out --on')
    return conformRandom(context, { count, seed: given.number('seed', 1), first: given.number('first', 0) })
  }
  // 2.
  const on = (given.text('on') ?? 'model') as Side
  const kernel = on === 'model' ? null : hostKernelOf(context.host)
  const release = kernel === null ? null : (await kernel.info()).release
  const verdicts: CaseVerdict[] = []
  for (let first = 0; first < cases.length; first += CASES_AT_ONCE) {
    const some = cases.slice(first, first + CASES_AT_ONCE)
    const runs = (await kernel?.conform(some, context.stop)) ?? []
    for (const [i, one] of some.entries()) {
      const running = runningOnModel(one, (each, round) => new ModelWorld(each, round))
      const model = on === 'kernel' ? null : await inSlices(running, context)
      await context.host.breathe()
      if (context.stop.aborted) break
      verdicts.push(verdictOf(one, model, runs[i] ?? null))
    }
    terminal.status?.(`${verdicts.length} of ${cases.length} cases`)
    if (context.stop.aborted) return interrupted(context, `${verdicts.length} of ${cases.length} cases`)
  }
  terminal.status?.('')
  // 3.
  const report = reportOf(on, release, verdicts)
  terminal.out(given.has('json') ? `${JSON.stringify(report, null, 2)}\n` : reportText(report))
  return report.disagreed.length === 0 ? ExitCode.good : ExitCode.failed
}

function interrupted({ terminal, program }: CommandContext, done: string): number {
  terminal.status?.('')
  terminal.err(sentence(`${program}conform: interrupted after ${done}`))
  return ExitCode.interrupted
}

function chosen(words: readonly string[]): readonly ConformCase[] {
  if (words.length === 0) return caseGroups().flatMap(({ cases }) => cases)
  const found = new Set<ConformCase>()
  for (const word of words) {
    const named = casesNamed(word)
    if (named.length === 0) {
      const known = caseGroups().flatMap(({ group, cases }) => [group, ...cases.map(({ id }) => id)])
      throw new ArgumentError(`no case is called ${shown(word)}${didYouMean(word, known) || '; conform --list names them all'}`)
    }
    for (const one of named) found.add(one)
  }
  return [...found]
}

function list(cases: readonly ConformCase[], { terminal, arguments: given }: CommandContext): void {
  if (given.has('json')) {
    for (const { id, title, source, only, needs, kernel } of cases)
      terminal.out(`${JSON.stringify({ case: id, title, source, on: only ?? 'any', needs, kernel: kernel ?? null })}\n`)
    return
  }
  for (const group of caseGroups()) {
    const entries = group.cases.filter((one) => cases.includes(one)).map(({ id, title }) => ({ term: id, meaning: title }))
    if (entries.length > 0) terminal.out(`${group.group}: ${group.title}\n${columnsOf(entries, terminal.columns, '  ', 36)}`)
  }
}
