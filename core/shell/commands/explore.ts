/**
 * `explore`: searches the interleavings of litmus tests, and tells the shortest counterexample of each as a story.
 *
 * 1. Check everything that can be checked: names, options, where files are to be written, what the checkpoint holds.
 * 2. Ask a question for each litmus test (explore_run.ts): on several threads where the host has them.
 * 3. Print each answer as it comes, in the order of the museum: a line of JSON, or a sentence and the story.
 * The exit code says the worst that happened: interrupted 130, a violation 3, else 0.
 */

import type { ExploreAnswer } from '../../litmus/explore.ts'
import type { Litmus } from '../../litmus/litmus.ts'
import { MUSEUM } from '../../litmus/museum.ts'
import { parseLitmusSchedule } from '../../litmus/schedule_text.ts'
import { type Story, tellStory } from '../../litmus/story.ts'
import { writeStoryPerfetto } from '../../litmus/story_perfetto.ts'
import { storyText } from '../../litmus/story_text.ts'
import { ArgumentError } from '../arguments.ts'
import type { Command, CommandContext } from '../command.ts'
import { ExitCode, type TimedAnswer } from '../host.ts'
import { sentence } from '../layout.ts'
import { Checkpoint } from './explore_checkpoint.ts'
import { historyText, labelText, nextText } from './explore_label.ts'
import { chosenLitmus, chosenProtections, EXPLORE_OPTIONS, LITMUS_CHOICES, questionOf } from './explore_options.ts'
import { askAll, type Under } from './explore_run.ts'
import { litmusTable, many, progressText, verdictText } from './explore_text.ts'
import { RaceReporter } from './race_news.ts'
import { storyFor } from './replay.ts'

export const exploreCommand: Command = {
  name: 'explore',
  group: 'Races',
  summary: 'searches the interleavings of a litmus test',
  description:
    'A litmus test is two to four actors on a tiny machine that call the very functions that migrate. With every protection on it is ' +
    'searched to its end and verified, or the bound is named at which the search stopped; with one left out, the shortest schedule ' +
    'that breaks an invariant is told step by step, and printed as a word that replay takes.\n\n' +
    'LITMUS is a name, an entry of the race catalogue (R26) or all; without one, they are listed. With --list a single one is told of at ' +
    'length: the start, what keeps the race away, and where it happened. Exits 0 when no invariant broke, 3 when ' +
    'one did, 2 for a wrong option, 130 when interrupted.',
  positionals: [
    { name: 'LITMUS', meaning: 'a name, an entry of the catalogue, or all', repeatable: true, offers: LITMUS_CHOICES },
  ],
  options: EXPLORE_OPTIONS,
  examples: [
    { line: 'explore', meaning: 'the litmus tests' },
    { line: 'explore R26 --list', meaning: 'what a litmus test is about' },
    { line: 'explore two-movers-one-destination', meaning: 'every interleaving, all protections on' },
    {
      line: 'explore two-movers-one-destination --without remap-pte-recheck',
      meaning: 'leave a protection out and see the race',
    },
    {
      line: 'explore all --json --checkpoint clean.json',
      meaning: 'all of them; after Ctrl-C the same words go on where this call stopped',
    },
    { line: 'explore R36 --strategy random --seed 5 --schedules 20000', meaning: 'by chance' },
  ],
  run: exploreLitmus,
}

async function exploreLitmus(context: CommandContext): Promise<number> {
  const { arguments: given, host, terminal, stop, program } = context
  // 1.
  const museum = given.positionals.length === 0 ? MUSEUM : chosenLitmus(given.positionals)
  if (given.has('list') || given.positionals.length === 0) return list(museum, context)
  const without = chosenProtections(given)
  const questions = museum.map((litmus) => questionOf(litmus, without, given))
  const perfetto = given.text('perfetto')
  if (perfetto !== null && museum.length > 1) throw new ArgumentError('--perfetto takes the story of one litmus test; name one')
  if (perfetto !== null) await host.checkWritable?.(perfetto)
  const path = given.text('checkpoint')
  if (path !== null && path === perfetto)
    throw new ArgumentError('--checkpoint and --perfetto name the same file; give each its own')
  const checkpoint = path === null ? null : await Checkpoint.open(path, questions, host)
  if (museum.length === 1 && !given.has('quiet')) sayUnlisted(museum, without, context)

  // 2. and 3.
  let violations = 0
  const answers = museum.map(({ name }) => checkpoint?.answered(name) ?? null)
  const asked = questions
    .filter((_, i) => answers[i] === null)
    .map((question) => ({ question, begun: checkpoint?.begun(question.litmus) ?? null }))
  let printed = 0
  const news = new RaceReporter(context)
  const print = async () => {
    for (let next = answers[printed]; next !== undefined && next !== null; next = answers[++printed])
      if (await show(next, perfetto, context)) violations++
  }
  let under: readonly Under[] = []
  await print()
  const threads = given.number('jobs', host.searchThreads ?? 1)
  const isComplete = await askAll(asked, threads, host, stop, {
    keep: checkpoint === null ? undefined : (begun) => checkpoint.keep(begun),
    async onAnswers(some) {
      await checkpoint?.add(some)
      for (const timed of some) {
        news.answer(timed.answer, () => storyOf(timed.answer, context))
        answers[questions.findIndex(({ litmus }) => litmus === timed.answer.litmus)] = timed
      }
      await print()
    },
    onSlice(now, answered) {
      under = now
      const [first] = now
      if (first !== undefined) news.progress(first.question, first.progress)
      terminal.status?.(statusLine(now, answered, asked.length))
    },
  })
  terminal.status?.('')
  if (!isComplete) {
    for (const late of answers.slice(printed)) if (late !== null) await show(late, perfetto, context)
    const done = answers.filter((one) => one !== null).length
    terminal.err(
      sentence(
        `${program}explore: interrupted after ${many(done, 'litmus test')} of ${museum.length}${underText(under)}${path === null ? '' : `; the same words go on from ${path}`}`,
      ),
    )
    return ExitCode.interrupted
  }
  if (museum.length > 1 && !given.has('json') && !given.has('quiet')) terminal.out(summary(answers))
  return violations > 0 ? ExitCode.broken : ExitCode.good
}

function list(museum: readonly Litmus[], { arguments: given, terminal, program }: CommandContext): number {
  const [only] = museum
  if (!given.has('json')) {
    if (only === undefined || museum.length > 1) terminal.out(litmusTable(museum, terminal.columns, program))
    else terminal.out(labelText(only, terminal.columns) + nextText(only, false, program))
  } else {
    for (const { name, title, result, refs, protections, memoryModel, start, history } of museum)
      terminal.out(
        `${JSON.stringify({ litmus: name, title, result, protections, memoryModel, refs, start, history: history ?? null })}\n`,
      )
  }
  return ExitCode.good
}

/** Any protection may be left out of any litmus test; one that it does not list need not matter there. */
function sayUnlisted([litmus]: readonly Litmus[], without: readonly string[], { terminal, program }: CommandContext): void {
  const unlisted = without.filter((name) => !litmus?.protections.some((own) => own === name))
  if (litmus === undefined || unlisted.length === 0) return
  terminal.err(
    sentence(
      `${program}explore: ${litmus.name} does not list ${unlisted.join(', ')}; searching all the same (it lists ${litmus.protections.join(', ')})`,
    ),
  )
}

/** True where an invariant broke. */
async function show({ answer, wallSeconds }: TimedAnswer, perfetto: string | null, context: CommandContext): Promise<boolean> {
  const { arguments: given, terminal, host, program } = context
  const isViolation = answer.verdict === 'violation'
  if (given.has('json')) {
    const replay = answer.schedule === null ? null : `${program}replay ${answer.schedule}`
    terminal.out(`${JSON.stringify({ ...answer, replay, wallSeconds: Math.round(wallSeconds * 1e4) / 1e4 })}\n`)
  } else if (isViolation || !given.has('quiet')) {
    const verdict = verdictText(answer, wallSeconds, terminal.columns, terminal.colour)
    const chosen = chosenLitmus(given.positionals)
    if (chosen.length > 1) terminal.out(verdict)
    else for (const litmus of chosen) tell(litmus, verdict, storyOf(answer, context), context)
  }
  if (perfetto !== null && isViolation) {
    const story = storyOf(answer, context)
    if (story !== null) await host.write(perfetto, writeStoryPerfetto(story))
  }
  return isViolation
}

/** One litmus test at length: the story of its counterexample, or else its label; and its history. */
function tell(
  litmus: Litmus,
  verdict: string,
  story: Story | null,
  { arguments: given, terminal, program }: CommandContext,
): void {
  const { columns, colour } = terminal
  if (story !== null) terminal.out(`${verdict}\n${storyText(story, { columns, colour, program })}${historyText(litmus, columns)}`)
  else if (given.has('quiet')) terminal.out(verdict)
  else terminal.out(`${labelText(litmus, columns)}\n${verdict}${nextText(litmus, true, program)}`)
}

function storyOf({ schedule }: ExploreAnswer, { host }: CommandContext): Story | null {
  const parsed = schedule === null ? null : parseLitmusSchedule(schedule)
  return parsed?.ok ? storyFor(schedule ?? '', () => tellStory(parsed.schedule, host.sourceAt)) : null
}

function statusLine(under: readonly Under[], answered: number, of: number): string {
  const [first] = under
  if (first?.progress == null) return ''
  const count = of > 1 ? `${answered}/${of}  ` : ''
  const names = under.map(({ question }) => question.litmus).join(', ')
  const sum = (of: (one: Under) => number) => under.reduce((total, one) => total + of(one), 0)
  const schedules = sum(({ progress }) => progress?.schedules ?? 0)
  const rate = sum(({ progress, seconds }) => (progress === null || seconds === 0 ? 0 : progress.schedules / seconds))
  return `${count}${progressText({ ...first.progress, schedules }, rate)}  ${names}`
}

function underText(under: readonly Under[]): string {
  const words = under.flatMap(({ question, progress }) =>
    progress === null ? [] : [`${question.litmus} after ${many(progress.schedules, 'schedule')} and no violation so far`],
  )
  return words.length === 0 ? '' : `; under way: ${words.join(', ')}`
}

function summary(answers: readonly (TimedAnswer | null)[]): string {
  const count = (verdict: ExploreAnswer['verdict']) => answers.filter((one) => one?.answer.verdict === verdict).length
  const parts = [`${count('verified')} verified`, `${count('bounded')} bounded`, `${count('violation')} with a violation`]
  return `${many(answers.length, 'litmus test')}: ${parts.join(', ')}.\n`
}
