/**
 * `advise`: which settings to migrate a guest with, found by migrating it with each of them in the simulator.
 *
 * 1. Check everything that can be checked, as `migrate` does.
 * 2. Run every candidate to its end or to the time limit, one after the other.
 * 3. Choose (core/run/advise.ts), and answer with the command, all figures and the reasons.
 * Ctrl-C ends it at once, with what is known by then.
 */
import { formatTime, spellTime } from '../../base/units.ts'
import type { Capture } from '../../guest/capture.ts'
import {
  type Advice,
  type Candidate,
  candidatesOf,
  choose,
  DEFAULT_PRIORITIES,
  figure,
  type Outcome,
  outcomeOf,
  PRIORITIES,
  type Priority,
  usualLimitNs,
} from '../../run/advise.ts'
import { driveRun } from '../../run/drive.ts'
import { DEFAULT_OPTIONS, type MigrateOptions } from '../../run/options.ts'
import { Recorder } from '../../trace/recorder.ts'
import { parseArguments } from '../arguments.ts'
import type { Choice, Command, CommandContext } from '../command.ts'
import { ownCpu } from '../cpu_file.ts'
import { ownGuest } from '../guest_file.ts'
import { ExitCode } from '../host.ts'
import { columnsOf, sentence, wrap } from '../layout.ts'
import { NO_SETTINGS } from '../shell_state.ts'
import { checkReadable, compressorOf, forUser, makeRun, migrateCommand, tracesOf } from './migrate.ts'
import { commandOf, migrateOptions } from './migrate_options.ts'
import { MIGRATE_OPTIONS } from './migrate_specs.ts'

/** Of the guest, the machines and the link, and how the work goes: as `migrate` has them. */
const SHARED = ['guest', 'mem', 'vcpus', 'devices', 'bandwidth', 'rtt', 'cpu', 'downtime-limit', 'seed'] as const

const PRIORITY_MEANING: Record<Priority, string> = {
  downtime: 'the guest stands still for the shortest time',
  'total-time': 'the source is free soonest',
  slowdown: 'the guest does most while it is migrated',
}

const PRIORITY_CHOICES: readonly Choice[] = PRIORITIES.map((word) => ({ word, meaning: PRIORITY_MEANING[word] }))

export const adviseCommand: Command = {
  name: 'advise',
  group: 'Migration',
  summary: 'which settings to migrate a guest with',
  description:
    'Migrates the guest in the simulator by pre-copy, hybrid and post-copy with the capabilities that change most, and answers with the ' +
    'settings that suit best, the command that makes that run, and what speaks against the others.\n\n' +
    'Priorities count in their order: what is within 5 % or 5 ms of the best counts as equal, and the next priority decides. What a terminal was told by ' +
    'migrate_set_capability and migrate_set_parameter does not count. Exits 0 with an answer, 1 when nothing completes or meets the deadline, ' +
    '3 when a check broke, 130 when interrupted.',
  positionals: [],
  options: [
    ...MIGRATE_OPTIONS.filter(({ name }) => SHARED.some((one) => one === name)),
    {
      name: 'priority',
      kind: 'enum',
      repeatable: true,
      common: true,
      defaultText: DEFAULT_PRIORITIES.join(', '),
      meaning: 'what matters most; then, given again, what matters next',
      choices: PRIORITY_CHOICES,
    },
    { name: 'deadline', kind: 'time', common: true, example: '2s', min: 1, meaning: 'total-time at most' },
    {
      name: 'time-limit',
      kind: 'time',
      example: '10s',
      min: 1,
      defaultText: '10 passes over memory, at least 10s',
      meaning: 'give a candidate up after this much simulated time',
    },
    { name: 'quick', kind: 'flag', common: true, meaning: 'one candidate of each kind only' },
    { name: 'json', kind: 'flag', common: true, meaning: 'print the answer as one JSON object' },
  ],
  examples: [
    { line: 'advise', meaning: 'for the key-value store that migrate takes, least downtime first' },
    {
      line: 'advise --guest sweep --mem 64M --bandwidth 1Gbps --quick',
      meaning: 'a guest that writes faster than the link sends',
    },
    {
      line: 'advise --guest oltp --priority slowdown --deadline 2s',
      meaning: 'least slowdown of those that are done in two seconds',
    },
  ],
  run: advise,
}

interface Question {
  readonly candidates: readonly Candidate[]
  readonly priorities: readonly Priority[]
  readonly deadlineNs: number
}

async function advise(context: CommandContext): Promise<number> {
  const { arguments: given, terminal, stop } = context
  // 1.
  const capture = await ownGuest(context.arguments.text('guest') ?? DEFAULT_OPTIONS.guest, context.host)
  const options = baseOf(context, capture)
  const deadlineNs = given.number('deadline', Number.POSITIVE_INFINITY)
  const asked = [...new Set(given.list('priority'))].flatMap((word) => PRIORITIES.filter((p) => p === word))
  const priorities = asked.length === 0 ? DEFAULT_PRIORITIES : asked
  const question = { candidates: candidatesOf(options, given.has('quick')), priorities, deadlineNs }
  for (const path of tracesOf(options)) await checkReadable(path, context.host)
  // 2.
  const outcomes: Outcome[] = []
  for (const [at, candidate] of question.candidates.entries()) {
    const outcome = stop.aborted ? null : await tryOut(context, candidate, capture, `${at + 1} of ${question.candidates.length}`)
    if (outcome === null) break
    outcomes.push(outcome)
  }
  terminal.status?.('')
  // 3.
  return answer(context, question, outcomes)
}

/** What all candidates share, checked by the same code that checks it for `migrate`. */
function baseOf({ arguments: given }: CommandContext, capture: Capture | null): MigrateOptions {
  const words = SHARED.flatMap((name) => {
    const text = given.text(name)
    return text === null ? [] : [`--${name}=${text}`]
  })
  const options = migrateOptions(parseArguments(migrateCommand, words), NO_SETTINGS, capture)
  return { ...options, timeLimitNs: given.number('time-limit', usualLimitNs(options)) }
}

/** Null: interrupted. */
async function tryOut(
  { host, stop, terminal }: CommandContext,
  candidate: Candidate,
  capture: Capture | null,
  which: string,
): Promise<Outcome | null> {
  const { name, options } = candidate
  const cpu = await ownCpu(options.cpu, host)
  const run = makeRun(options, new Recorder({ keep: false }), null, cpu, await compressorOf(options), capture)
  try {
    const end = await driveRun(run, tracesOf(options), host, stop, ({ nowNs }) =>
      terminal.status?.(`${which}: ${name}, ${formatTime(nowNs)} simulated`),
    )
    return end === 'interrupted' ? null : outcomeOf(candidate, run.report(), end === 'time-limit')
  } catch (error) {
    throw forUser(error, options)
  }
}

function answer(context: CommandContext, question: Question, outcomes: readonly Outcome[]): number {
  const { arguments: given, terminal, program } = context
  const { candidates, priorities, deadlineNs } = question
  const advice = choose(outcomes, priorities, deadlineNs)
  const isWhole = outcomes.length === candidates.length
  const commands = new Map(candidates.map(({ name, options }) => [name, commandAlone(options)]))
  if (given.has('json')) terminal.out(`${JSON.stringify(asJson(question, outcomes, advice, commands), null, 2)}\n`)
  else if (outcomes.length > 0) terminal.out(asText(outcomes, advice, commands, context))
  if (!isWhole) {
    terminal.err(`${program}advise: interrupted after ${outcomes.length} of ${candidates.length} candidates.\n`)
    return ExitCode.interrupted
  }
  if (outcomes.some(({ status }) => status === 'inconsistent')) return ExitCode.broken
  if (advice.winner !== null) return ExitCode.good
  terminal.err(sentence(`${program}advise: ${advice.reasons[0]}`))
  return ExitCode.failed
}

/** A run that completed is the same without its limit. */
function commandAlone(options: MigrateOptions): string {
  return commandOf({ ...options, timeLimitNs: Number.POSITIVE_INFINITY })
}

function asJson(
  { candidates, priorities, deadlineNs }: Question,
  outcomes: readonly Outcome[],
  { winner, runnerUp, reasons }: Advice,
  commands: ReadonlyMap<string, string>,
) {
  return {
    schema: 'pageferry.advise/1',
    guest: candidates[0].options.guest,
    priorities,
    deadline: Number.isFinite(deadlineNs) ? spellTime(deadlineNs) : null,
    /** Not so after Ctrl-C. */
    complete: outcomes.length === candidates.length,
    winner: winner?.name ?? null,
    'runner-up': runnerUp?.name ?? null,
    command: winner === null ? null : commands.get(winner.name),
    candidates: outcomes.map((outcome) => ({ ...outcome, command: commands.get(outcome.name) })),
    reasons,
  }
}

const HEADINGS = ['settings', 'status', 'total-time', 'downtime', 'slowdown', 'blocktime']

function asText(
  outcomes: readonly Outcome[],
  { winner, runnerUp, reasons }: Advice,
  commands: ReadonlyMap<string, string>,
  { terminal: { columns }, program }: CommandContext,
): string {
  const table = figuresText(outcomes, columns)
  const paragraph = (text: string) => `${wrap(sentence(text).trimEnd(), columns, '  ')}\n`
  if (winner === null) {
    const others = outcomes.filter(({ why }) => why !== '').map(({ name, why }) => paragraph(`${name} ${why}`))
    return [table, ...others].join('')
  }
  const second = runnerUp === null ? '' : `${wrap(`Runner-up: ${runnerUp.name}`, columns)}\n`
  // Not wrapped: it is there to be copied.
  const command = `  ${program}${commands.get(winner.name)}\n`
  const why = reasons.map(paragraph).join('')
  return `${wrap(`Take ${winner.name}:`, columns)}\n${command}${second}\n${table}\n${why}`
}

/** A table, or a paragraph for each candidate where the terminal is too narrow. */
function figuresText(outcomes: readonly Outcome[], columns: number): string {
  const rows = outcomes.map((one) => {
    const isDone = one.status === 'completed'
    const of = (what: Priority | 'blocktime') => (isDone ? figure(one, what) : '-')
    return [one.name, one.status, of('total-time'), of('downtime'), of('slowdown'), of('blocktime')]
  })
  const widths = HEADINGS.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i].length)))
  if (widths.reduce((sum, width) => sum + width + 2) <= columns) {
    const line = (cells: readonly string[]) => cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
    return [HEADINGS, ...rows].map((cells) => `  ${line(cells).join('  ')}\n`).join('')
  }
  return columnsOf(
    rows.map(([term, status, ...figures]) => ({
      term,
      meaning: `${status}${status === 'completed' ? figures.map((f, i) => `, ${HEADINGS[i + 2]} ${f}`).join('') : ''}`,
    })),
    columns,
  )
}
