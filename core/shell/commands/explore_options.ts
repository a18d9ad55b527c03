/**
 * The options of `explore`: their specs for the registry, and the way from words to questions.
 *
 * Names of litmus tests and protections come from the museum and the list of protections, so help and completion know every one.
 */
import { type ExploreQuestion, SEARCH_STRATEGIES, type SearchStrategy } from '../../litmus/explore.ts'
import type { Litmus } from '../../litmus/litmus.ts'
import { MUSEUM } from '../../litmus/museum.ts'
import { isProtection, PROTECTIONS, type ProtectionName } from '../../mm/kconfig.ts'
import { isMemoryModel, MEMORY_MODELS, type MemoryModel } from '../../sync/weak_memory.ts'
import { ArgumentError, type Arguments } from '../arguments.ts'
import type { Choice, OptionSpec } from '../command.ts'
import { shown } from '../layout.ts'
import { didYouMean } from '../suggestion.ts'

const STRATEGY_MEANING: Record<SearchStrategy, string> = {
  dpor: 'one interleaving of each class: source-DPOR with sleep sets',
  dfs: 'depth first, bounded by --preemptions',
  random: 'by chance, from --seed',
  pct: 'by random priorities, from --seed',
}

const MODEL_MEANING: Record<MemoryModel, string> = {
  sc: 'no reordering',
  tso: 'store buffers, first in, first out',
  pso: 'a store buffer for each location',
  'pso+rl': 'and loads that are done early',
}

/** For the positional, and for completion. */
export const LITMUS_CHOICES: readonly Choice[] = [
  { word: 'all', meaning: 'every litmus test' },
  ...MUSEUM.map(({ name, title }) => ({ word: name, meaning: title })),
]

export const EXPLORE_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'without',
    kind: 'text',
    valueName: 'PROTECTION,...',
    common: true,
    repeatable: true,
    example: 'remap-tlb-flush',
    meaning: 'leave protections out; separate several by commas',
    complete: completeProtections,
  },
  { name: 'list', kind: 'flag', common: true, meaning: 'list the litmus tests and search none' },
  { name: 'json', kind: 'flag', common: true, meaning: 'print one JSON object a litmus test' },
  {
    name: 'strategy',
    kind: 'enum',
    meaning: 'how to search; without it, whatever answers best',
    choices: SEARCH_STRATEGIES.map((word) => ({ word, meaning: STRATEGY_MEANING[word] })),
  },
  { name: 'seed', kind: 'count', defaultText: '1', max: 2 ** 32 - 1, meaning: 'of random and pct' },
  { name: 'preemptions', kind: 'count', max: 100, example: '2', meaning: 'only schedules with so many preemptions or fewer' },
  { name: 'schedules', kind: 'count', min: 1, example: '100000', meaning: 'stop each search after so many schedules' },
  { name: 'steps', kind: 'count', min: 1, max: 1_000_000, example: '5000', meaning: 'cut a schedule after so many steps' },
  {
    name: 'model',
    kind: 'enum',
    meaning: "memory model; without it, the litmus test's own",
    choices: MEMORY_MODELS.map((word) => ({ word, meaning: MODEL_MEANING[word] })),
  },
  {
    name: 'jobs',
    kind: 'count',
    min: 1,
    max: 256,
    meaning: 'litmus tests that are searched at the same time; without it, as many as the host has cores',
  },
  { name: 'checkpoint', kind: 'file', meaning: 'keep in this file what is answered and how far searches are, and go on from it' },
  { name: 'perfetto', kind: 'file', meaning: 'write the counterexample for ui.perfetto.dev' },
  { name: 'quiet', kind: 'flag', meaning: 'print violations only' },
]

/** The litmus tests that words name: names, `all`, or entries of the race catalogue (R26). */
export function chosenLitmus(words: readonly string[]): readonly Litmus[] {
  const chosen = new Set<Litmus>()
  for (const word of words) {
    const ref = word.toUpperCase()
    const found = word === 'all' ? MUSEUM : MUSEUM.filter(({ name, refs }) => name === word || refs.includes(ref))
    if (found.length === 0) {
      const known = LITMUS_CHOICES.map((choice) => choice.word)
      throw new ArgumentError(
        `no litmus test is called ${shown(word)}${didYouMean(word, known) || '; explore --list names them all'}`,
      )
    }
    for (const litmus of found) chosen.add(litmus)
  }
  return MUSEUM.filter((litmus) => chosen.has(litmus))
}

export function chosenProtections(given: Arguments): readonly ProtectionName[] {
  const words = given.list('without').flatMap((text) => text.split(','))
  const names = PROTECTIONS.map(({ name }) => name)
  const chosen = words.map((word) => {
    if (!isProtection(word))
      throw new ArgumentError(`no protection is called ${shown(word)}${didYouMean(word, names) || '; explore --list names them'}`)
    return word
  })
  return [...new Set(chosen)].sort()
}

export function questionOf(litmus: Litmus, without: readonly ProtectionName[], given: Arguments): ExploreQuestion {
  const strategy = given.text('strategy')
  const model = given.text('model') ?? ''
  const orNull = (name: string) => (given.has(name) ? given.number(name, 0) : null)
  return {
    litmus: litmus.name,
    without,
    model: isMemoryModel(model) ? model : null,
    strategy: SEARCH_STRATEGIES.find((word) => word === strategy) ?? null,
    seed: given.number('seed', 1),
    preemptions: orNull('preemptions'),
    schedules: orNull('schedules'),
    steps: orNull('steps'),
  }
}

/** Behind a comma, another one. */
function completeProtections(partial: string): readonly Choice[] {
  const head = partial.slice(0, partial.lastIndexOf(',') + 1)
  const given = head.split(',')
  return PROTECTIONS.filter(({ name }) => !given.includes(name)).map(({ name, meaning }) => ({ word: head + name, meaning }))
}
