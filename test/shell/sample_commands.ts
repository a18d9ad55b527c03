/**
 * Commands made for tests: they say what they were given, so that parsing can be seen from outside.
 */
import { type Command, CommandError } from '../../core/shell/command.ts'
import { FILTERS } from '../../core/shell/commands/filters.ts'
import { clearCommand, echoCommand, helpEntry, manCommand, versionCommand } from '../../core/shell/commands/words.ts'
import { ExitCode } from '../../core/shell/host.ts'

const plain = { group: 'Migration', description: '', positionals: [], options: [], examples: [] } as const

/** One option of every kind. */
export const ferry: Command = {
  ...plain,
  name: 'ferry',
  summary: 'carries something over',
  description: 'It goes there and comes back.',
  positionals: [
    {
      name: 'LOAD',
      meaning: 'what to carry',
      choices: [
        { word: 'sheep', meaning: 'wool' },
        { word: 'goats', meaning: 'milk' },
      ],
    },
  ],
  options: [
    { name: 'mem', kind: 'size', common: true, defaultText: '64M', example: '64M', meaning: 'memory', min: 4096, max: 2 ** 30 },
    { name: 'bandwidth', kind: 'rate', common: true, defaultText: '10Gbps', meaning: 'of the link', min: 1000 },
    { name: 'rtt', kind: 'time', defaultText: '150us', meaning: 'round trip' },
    { name: 'seed', short: 's', kind: 'count', defaultText: '1', meaning: 'chance', max: 1000 },
    {
      name: 'mode',
      kind: 'enum',
      defaultText: 'slow',
      meaning: 'how',
      choices: [
        { word: 'slow', meaning: 'safe' },
        { word: 'fast', meaning: 'wet' },
        { word: 'flying', meaning: 'in the air', notBuilt: 'slow and fast' },
      ],
    },
    { name: 'note', kind: 'text', repeatable: true, meaning: 'anything' },
    { name: 'log', kind: 'file', meaning: 'where to write' },
    { name: 'dry', short: 'n', kind: 'flag', meaning: 'only say it' },
    { name: 'sail', kind: 'flag', meaning: 'use the wind', notBuilt: 'oars' },
  ],
  examples: [{ line: 'ferry sheep --mode fast', meaning: 'sheep in a hurry' }],
  async run({ arguments: given, terminal }) {
    terminal.out(
      `${given.positionals.join(' ')} mem=${given.number('mem', 0)} notes=${given.list('note').join('|')} dry=${given.has('dry')}\n`,
    )
    return ExitCode.good
  },
}

/** Ends with the code it is told. */
export const leave: Command = {
  ...plain,
  name: 'leave',
  summary: 'ends with a code',
  positionals: [{ name: 'CODE', meaning: 'the code', required: true }],
  examples: [{ line: 'leave 3', meaning: 'three' }],
  async run({ arguments: given, terminal }) {
    terminal.out(`left with ${given.positionals[0]}\n`)
    return Number(given.positionals[0])
  },
}

export const sink: Command = {
  ...plain,
  name: 'sink',
  summary: 'always fails',
  async run() {
    throw new CommandError('there is a hole in the hull; bring a bucket')
  },
}

export const bug: Command = {
  ...plain,
  name: 'bug',
  summary: 'throws what no command may throw',
  async run() {
    throw new TypeError('not a user error')
  },
}

export const island: Command = {
  ...plain,
  name: 'island',
  summary: 'a program of its own',
  place: 'program',
  run: async () => ExitCode.good,
}

export const SAMPLE_COMMANDS: readonly Command[] = [
  ferry,
  leave,
  sink,
  bug,
  island,
  helpEntry,
  manCommand,
  versionCommand,
  echoCommand,
  clearCommand,
  ...FILTERS,
]
