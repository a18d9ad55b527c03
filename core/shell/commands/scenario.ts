/**
 * A scenario: a file in YAML that describes migrations, instead of a script that types them.
 *
 *     version: 1
 *     name: a link that breaks
 *     migrate: { guest: kv, mem: 64M, capability: { postcopy-preempt: on } }     the options of migrate, without their dashes
 *     inject: [ link-down@postcopy+10ms:500ms ]                                  as --inject has them
 *     steps:                                                                     one migration each; without: one
 *       - name: one channel
 *       - name: four
 *         migrate: { capability: { multifd: on }, parameter: { multifd-channels: 4 } }
 *
 * A step has the options of the file and its own: its own count where both say something, and are added to lists and maps. A flag is on with
 * true. Everything is checked before anything runs; whatever is wrong is one sentence with line, column and remedy.
 * Each step becomes the words of one migrate: what a key means is said in migrate_specs.ts alone.
 */
import { isMap, isScalar, isSeq, LineCounter, type Node, type ParsedNode, parseDocument } from 'yaml'
import { z } from 'zod'
import { checkValue, parseArguments } from '../arguments.ts'
import { CommandError, type OptionSpec } from '../command.ts'
import { ExitCode } from '../host.ts'
import { didYouMean } from '../suggestion.ts'
import { capabilitiesOf } from './capability_options.ts'
import { injectionOf } from './inject_option.ts'
import { migrateCommand } from './migrate.ts'
import { migrateOptions } from './migrate_options.ts'
import { MIGRATE_OPTIONS } from './migrate_specs.ts'
import { parametersOf } from './parameter_options.ts'

export interface ScenarioStep {
  readonly name: string
  readonly line: number
  /** Of the command line, from `migrate` on. */
  readonly words: readonly string[]
}

export interface Scenario {
  readonly name: string
  readonly steps: readonly ScenarioStep[]
}

type Value = string | number | boolean
type Options = Readonly<Record<string, Value | readonly Value[] | Readonly<Record<string, Value>>>>

const value = z.union([z.string(), z.number(), z.boolean()], 'write a word, a number, true or false here')
const options = z.record(z.string(), z.union([value, z.array(value), z.record(z.string(), value)]))
const inject = z.array(z.string('write it as --inject has it, for example link-down@postcopy+10ms:500ms'))
const step = z.strictObject({ name: z.string().min(1), migrate: options.default({}), inject: inject.default([]) })
const file = z.strictObject({
  version: z.literal(1, 'write version: 1'),
  name: z.string('give the scenario a name').min(1),
  migrate: options.default({}),
  inject: inject.default([]),
  steps: z.array(step).min(1, 'give at least one step, or leave steps out').optional(),
})

/** What options that are text to the command line are held against. */
const CHECKS: Readonly<Record<string, (text: string) => unknown>> = {
  inject: injectionOf,
  capability: (text) => capabilitiesOf([text]),
  parameter: (text) => parametersOf([text]),
}

type Path = readonly (string | number)[]

export function parseScenario(text: string, path: string): Scenario {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const fail = (offset: number, message: string): never => {
    const { line, col } = lines.linePos(offset)
    throw new CommandError(`${path}:${line}:${col}: ${message}`, ExitCode.usage)
  }
  const offsetOf = (at: Path) => startOf(document.contents, at)
  const [syntax] = document.errors
  if (syntax !== undefined) fail(syntax.pos[0], `${lower(syntax.message)}; mend the YAML there`)
  const read = file.safeParse(document.toJS())
  if (!read.success) {
    const [issue] = read.error.issues
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined
    const at = [...(issue.path as Path), ...(unknown === undefined ? [] : [unknown])]
    if (unknown === undefined) fail(offsetOf(at), `${at.length === 0 ? '' : `${at.join('.')}: `}${lower(issue.message)}`)
    const known = issue.path.length === 0 ? Object.keys(file.shape) : Object.keys(step.shape)
    fail(offsetOf(at), `there is no ${unknown}${didYouMean(String(unknown), known)}; keys here are ${known.join(', ')}`)
  }
  const scenario = file.parse(document.toJS())
  const whole = { options: scenario.migrate, inject: scenario.inject, at: [] as Path }
  const steps = scenario.steps ?? [{ name: scenario.name, migrate: {}, inject: [] }]
  return {
    name: scenario.name,
    steps: steps.map((one, n) => {
      const own = { options: one.migrate, inject: one.inject, at: ['steps', n] as Path }
      const words = ['migrate']
      const given = new Set(Object.keys(one.migrate))
      for (const part of [whole, own]) {
        for (const [name, of] of Object.entries(part.options)) {
          const at = [...part.at, 'migrate', name]
          const option = MIGRATE_OPTIONS.find((known) => known.name === name)
          const known = MIGRATE_OPTIONS.map((known) => known.name)
          if (option === undefined)
            return fail(offsetOf(at), `migrate has no option ${name}${didYouMean(name, known)}; see migrate --help`)
          const isReplaced = part === whole && given.has(name) && option.repeatable !== true
          if (!isReplaced) attempt(() => words.push(...wordsOf(option, of)), offsetOf(at), fail)
        }
        for (const [i, text] of part.inject.entries())
          attempt(() => words.push(...wordsOf(specOf('inject'), text)), offsetOf([...part.at, 'inject', i]), fail)
      }
      const offset = offsetOf(own.at)
      attempt(() => migrateOptions(parseArguments(migrateCommand, words.slice(1))), offset, fail)
      return { name: one.name, line: lines.linePos(offset).line, words }
    }),
  }
}

function specOf(name: string): OptionSpec {
  const option = MIGRATE_OPTIONS.find((known) => known.name === name)
  if (option === undefined) throw new Error(`migrate has no --${name}`)
  return option
}

/** The words of one key: `--mem 64M`; `--capability multifd=on` for each of a map. */
function wordsOf(option: OptionSpec, of: Options[string]): string[] {
  const name = `--${option.name}`
  if (option.kind === 'flag') {
    if (typeof of !== 'boolean') throw new CommandError(`${option.name} is either true or false`, ExitCode.usage)
    return of ? [name] : []
  }
  const texts =
    typeof of !== 'object'
      ? [String(of)]
      : Array.isArray(of)
        ? of.map(String)
        : Object.entries(of).map(([key, one]) => `${key}=${one === true ? 'on' : one === false ? 'off' : one}`)
  if (typeof of === 'object' && option.repeatable !== true)
    throw new CommandError(`${option.name} has one value; write ${option.name}: VALUE`, ExitCode.usage)
  for (const text of texts) {
    checkValue(option, text)
    CHECKS[option.name]?.(text)
  }
  return texts.flatMap((text) => [name, text])
}

function attempt(act: () => unknown, offset: number, fail: (offset: number, message: string) => never): void {
  try {
    act()
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    fail(offset, error.message)
  }
}

/** Where the node at `path` begins, its key if it has one; or the nearest around it. */
function startOf(root: ParsedNode | null, path: Path): number {
  let node: Node | null | undefined = root
  let offset = 0
  for (const key of path) {
    if (isMap(node)) {
      const pair: { key: unknown; value: unknown } | undefined = node.items.find(
        ({ key: one }) => isScalar(one) && one.value === key,
      )
      if (pair === undefined) break
      offset = (pair.key as Node).range?.[0] ?? offset
      node = pair.value as Node | null
    } else if (isSeq(node)) {
      node = node.items[Number(key)] as Node | undefined
      offset = node?.range?.[0] ?? offset
    } else break
  }
  return offset
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
