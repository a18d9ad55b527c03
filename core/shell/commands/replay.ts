/**
 * `replay`: runs one schedule again, step by step, and tells it.
 *
 * The schedule is a word that explore printed, or a file: one such word, or what `explore --json` printed, of which the first
 * schedule counts. It holds all that the run depends on; the same invariant breaks again, and the exit code says so.
 * What a migration wrote has no schedule: options and seed make a simulated one again, and nothing a real one.
 */
import { asciiText } from '../../base/ascii.ts'
import { parseLitmusSchedule } from '../../litmus/schedule_text.ts'
import { type Story, StoryError, tellStory } from '../../litmus/story.ts'
import { writeStoryPerfetto } from '../../litmus/story_perfetto.ts'
import { storyText } from '../../litmus/story_text.ts'
import { ArgumentError } from '../arguments.ts'
import { type Command, type CommandContext, CommandError } from '../command.ts'
import { ExitCode, type Host, HostError } from '../host.ts'
import { shown } from '../layout.ts'
import { didYouMean } from '../suggestion.ts'
import { RaceReporter } from './race_news.ts'
import { readText } from './text_file.ts'

const LARGEST_BYTES = 2 ** 22
/** How files of a migration begin (core/trace, core/run/report.ts): as text, for Perfetto, a report. */
const OF_MIGRATION = /^# pageferry trace|"producer":"pageferry"(?:\}|,"machine")|^\{\s*"schema": ?"pageferry\.report\//
/** And where a real kernel ran it. */
const OF_REAL_MIGRATION = /^# a real run|"machine": ?"kernel"/m

export const replayCommand: Command = {
  name: 'replay',
  group: 'Races',
  summary: 'runs one printed schedule again, step by step',
  description:
    'Each step on one line: the access, the kernel function and the numbered step of its header, and below it what changed. ' +
    'Exits 3 when an invariant breaks, 0 when none does.',
  positionals: [{ name: 'SCHEDULE|FILE', meaning: 'a schedule as explore prints it, or a file with one', required: true }],
  options: [
    { name: 'json', kind: 'flag', common: true, meaning: 'print a JSON object a step, and last the verdict' },
    { name: 'perfetto', kind: 'file', meaning: 'write the story for ui.perfetto.dev' },
    { name: 'quiet', kind: 'flag', meaning: 'the exit code says it all' },
  ],
  examples: [
    { line: 'replay two-movers-one-destination:remap-pte-recheck:2x9.3x19.2x11.0.2x2', meaning: 'a schedule' },
    { line: 'replay found.json --perfetto found.perfetto.json', meaning: 'what explore --json wrote, to look at in Perfetto' },
  ],
  run: replay,
}

async function replay(context: CommandContext): Promise<number> {
  const { arguments: given, host, terminal, program } = context
  const text = await scheduleOf(given.positionals[0] ?? '', host)
  const parsed = parseLitmusSchedule(text)
  if (!parsed.ok) {
    const { message, unknown, known } = parsed
    throw new ArgumentError(`${shown(text)} ${message}${unknown === undefined ? '' : didYouMean(unknown, known ?? [])}`)
  }
  const perfetto = given.text('perfetto')
  if (perfetto !== null) await host.checkWritable?.(perfetto)
  const story = storyFor(text, () => tellStory(parsed.schedule, host.sourceAt))
  new RaceReporter(context).replayed(story)
  if (given.has('json')) for (const line of jsonLines(story)) terminal.out(`${JSON.stringify(line)}\n`)
  else if (!given.has('quiet')) terminal.out(storyText(story, { columns: terminal.columns, colour: terminal.colour, program }))
  if (perfetto !== null) await host.write(perfetto, writeStoryPerfetto(story))
  return story.violation === null ? ExitCode.good : ExitCode.broken
}

/** A word that is no schedule may name a file that holds one. */
async function scheduleOf(word: string, host: Host): Promise<string> {
  if (parseLitmusSchedule(word).ok) return word
  const start = await startOf(word, host)
  if (OF_MIGRATION.test(start)) throw new CommandError(`${word} is of a migration ${insteadOfReplay(start)}`)
  const text = await readText(word, host, LARGEST_BYTES)
  if (text === null) return word
  const lines = text.split('\n').map((line) => line.trim())
  for (const line of lines) {
    if (line === '') continue
    if (!line.startsWith('{')) return line
    const found = /"schedule":"([^"]+)"/.exec(line)
    if (found !== null) return found[1] ?? ''
  }
  throw new CommandError(`${word} holds no schedule; explore --json writes one where it finds a violation`)
}

/** Enough to know a file by; nothing where there is none. */
async function startOf(path: string, host: Host): Promise<string> {
  try {
    for await (const block of host.open(path)) return asciiText(block)
  } catch (error) {
    if (!(error instanceof HostError && error.isMissing)) throw error
  }
  return ''
}

function insteadOfReplay(start: string): string {
  return OF_REAL_MIGRATION.test(start)
    ? 'on the real kernel, which never runs the same way twice; kernel migrate with its options runs another'
    : 'and holds no schedule; migrate with the same options and seed makes the same run again'
}

/** A schedule that does not fit the code is the user's to mend. */
export function storyFor(text: string, tell: () => Story): Story {
  try {
    return tell()
  } catch (error) {
    if (error instanceof StoryError) throw new CommandError(`${shown(text)} ${error.message}`)
    throw error
  }
}

/** A line a step; the last one is the verdict. */
function* jsonLines({ lanes, steps, violation, ...story }: Story): Generator<object> {
  for (const { lane, ...step } of steps) yield { ...step, task: lanes[lane]?.task, name: lanes[lane]?.name }
  yield {
    ...story,
    lanes,
    steps: steps.length,
    verdict: violation === null ? 'no violation' : 'violation',
    invariant: violation?.invariant ?? null,
    message: violation?.message ?? null,
    expected: violation?.expected ?? null,
    found: violation?.found ?? null,
  }
}
