/**
 * `conform`: runs the conformance cases and says where the model disagrees with what Linux does.
 *
 * 1. Choose the cases: all, or those that the words name (an id, an assertion's number, a group).
 * 2. Run them one by one; the host breathes in between.
 * 3. Print one line a disagreement and a summary, or the report as JSON. Something disagrees: exit 1.
 */
import type { ConformCase } from '../../conform/case.ts'
import { caseGroups, casesNamed } from '../../conform/catalog.ts'
import { ModelWorld } from '../../conform/model_world.ts'
import { type ConformReport, conformOnModel } from '../../conform/report.ts'
import { ArgumentError } from '../arguments.ts'
import type { Command, CommandContext } from '../command.ts'
import { ExitCode } from '../host.ts'
import { columnsOf, sentence, shown } from '../layout.ts'
import { didYouMean } from '../suggestion.ts'

export const conformCommand: Command = {
  name: 'conform',
  group: 'Migration',
  summary: 'runs the conformance cases',
  description:
    'A case is data: a few steps of one to four threads and what Linux answers to each, measured on a real kernel or taken from ' +
    'the patches. CASE is a whole id (30-copy-one-page), the number of an assertion (30), or a group (move).\n\n' +
    'Exits 0 when all agree, 1 when something disagrees.',
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
        { word: 'kernel', meaning: "the host's own kernel", notBuilt: '--on model' },
        { word: 'both', meaning: 'both, compared step by step', notBuilt: '--on model' },
      ],
    },
    { name: 'list', kind: 'flag', common: true, meaning: 'list the cases and run none' },
    { name: 'json', kind: 'flag', common: true, meaning: 'print the report as JSON' },
    {
      name: 'random',
      kind: 'count',
      valueName: 'N',
      meaning: 'random call sequences on model and kernel',
      notBuilt: 'the cases of conform --list',
    },
    {
      name: 'seed',
      kind: 'count',
      defaultText: '1',
      meaning: 'seed of the random sequences',
      notBuilt: 'the cases of conform --list',
    },
  ],
  examples: [
    { line: 'conform', meaning: 'every case on the model' },
    { line: 'conform move 30', meaning: 'the cases of UFFDIO_MOVE, and assertion 30' },
    { line: 'conform --list | grep fork', meaning: 'cases about fork' },
  ],
  run: conform,
}

async function conform(context: CommandContext): Promise<number> {
  const { arguments: given, terminal, host, stop, program } = context
  // 1.
  const cases = chosen(given.positionals)
  if (given.has('list')) {
    list(cases, context)
    return ExitCode.good
  }
  // 2.
  const run = conformOnModel(cases, (one, round) => new ModelWorld(one, round))
  let breathedAt = host.wallSeconds()
  for (;;) {
    const { done, value } = run.next()
    if (done === true) {
      // 3.
      terminal.out(given.has('json') ? `${JSON.stringify(value, null, 2)}\n` : reportText(value))
      return value.disagreed.length === 0 ? ExitCode.good : ExitCode.failed
    }
    if (host.wallSeconds() - breathedAt > 0.01) {
      await host.breathe()
      breathedAt = host.wallSeconds()
    }
    if (stop.aborted) {
      terminal.err(sentence(`${program}conform: interrupted after ${value} of ${cases.length} cases`))
      return ExitCode.interrupted
    }
  }
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

function reportText({ cases, agreed, disagreed }: ConformReport): string {
  const lines = disagreed.map((one) => `${one.case} step ${one.step}: expected ${one.expected}; the model: ${one.model}\n`)
  const count = `${agreed} of ${cases} case${cases === 1 ? '' : 's'} agree`
  return `${lines.join('')}${count}${disagreed.length > 0 ? `, ${disagreed.length} disagree` : ''}.\n`
}
