/**
 * Fuzz: no words and no line make the parsers do anything but answer or refuse in one sentence.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ArgumentError, parseArguments } from '../../core/shell/arguments.ts'
import { migrateCommand } from '../../core/shell/commands/migrate.ts'
import { migrateOptions } from '../../core/shell/commands/migrate_options.ts'
import { MIGRATE_OPTIONS } from '../../core/shell/commands/migrate_specs.ts'
import { completeLine, completionStart } from '../../core/shell/completion.ts'
import { LineError, parseLine, quoteWord } from '../../core/shell/line.ts'
import { Registry } from '../../core/shell/registry.ts'
import { Shell } from '../../core/shell/shell.ts'
import { MemoryHost, MemoryTerminal } from '../shell/memory_host.ts'
import { ferry, SAMPLE_COMMANDS } from '../shell/sample_commands.ts'

const optionLike = fc.constantFrom(
  '--mem',
  '--mem=',
  '--mem=64M',
  '-s',
  '-s9',
  '-n',
  '--',
  '-',
  '--dry',
  '--dry=1',
  '--mode',
  'fast',
  'flying',
  '64M',
  '-1',
  '1e99M',
  '--note',
  '--note=x',
  '--sail',
  'sheep',
  '--help ',
  '__proto__',
  '--constructor',
  '-5',
  '',
)
const anyWord = fc.oneof({ weight: 3, arbitrary: optionLike }, fc.string(), fc.string({ unit: 'binary' }))
const lineLike = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom(...'ab \'"\\|&;#$`<>()\n-=.'), maxLength: 40 }),
)

it('any words are read, or refused with one sentence', () => {
  fc.assert(
    fc.property(fc.array(anyWord, { maxLength: 8 }), (words) => {
      try {
        const given = parseArguments(ferry, words)
        if (!given.wantsHelp && given.has('mem')) expect(given.number('mem', 0)).toBeGreaterThanOrEqual(4096)
      } catch (error) {
        expect(error).toBeInstanceOf(ArgumentError)
        expect((error as Error).message).toMatch(/^[^\u0000-\u001f]+$/)
      }
    }),
    { numRuns: 2000 },
  )
})

it('any line is cut, or refused with one sentence and a column', () => {
  fc.assert(
    fc.property(lineLike, (line) => {
      try {
        for (const { pipeline } of parseLine(line)) for (const { words } of pipeline) expect(words.length).toBeGreaterThan(0)
      } catch (error) {
        expect(error).toBeInstanceOf(LineError)
        expect((error as Error).message).toMatch(/^column \d+: [^\n]+$/)
      }
    }),
    { numRuns: 3000 },
  )
})

it('quoted words come back as they were', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 5 }), (words) => {
      expect(parseLine(words.map(quoteWord).join(' '))[0]?.pipeline[0]?.words).toEqual(words)
    }),
  )
})

it('completion answers any line, and every offer continues what was typed', async () => {
  const registry = new Registry(SAMPLE_COMMANDS)
  const host = new MemoryHost()
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        lineLike,
        fc.array(anyWord).map((words) => `ferry ${words.join(' ')}`),
      ),
      async (line) => {
        const start = completionStart(line)
        expect(start).toBeLessThanOrEqual(line.length)
        for (const { word } of await completeLine(registry, 'terminal', line, host)) {
          // What replaces the word must itself be one word.
          expect(parseLine(word)[0]?.pipeline[0]?.words.length).toBe(1)
        }
      },
    ),
    { numRuns: 1000 },
  )
})

it('any line that a shell runs ends with an exit code of the contract', async () => {
  const commands = SAMPLE_COMMANDS.filter(({ name }) => name !== 'bug' && name !== 'leave')
  const shell = new Shell({
    host: new MemoryHost(),
    registry: new Registry(commands),
    place: 'terminal',
    program: '',
    keepEvents: false,
  })
  const wordy = fc.array(
    fc.oneof(fc.constantFrom('ferry', 'echo', 'grep', 'head', 'help', '|', '&&', '||', ';', '-3'), anyWord),
    { maxLength: 10 },
  )
  await fc.assert(
    fc.asyncProperty(wordy, async (words) => {
      const terminal = new MemoryTerminal()
      const code = await shell.run(words.join(' '), terminal, { aborted: false })
      expect([0, 1, 2, 127]).toContain(code)
      expect(code === 2 || code === 127 ? terminal.errors : 'x').not.toBe('')
    }),
    { numRuns: 1000 },
  )
})

it('any options of migrate become values that a run can hold, or one sentence', () => {
  const name = fc.constantFrom(...MIGRATE_OPTIONS.map((option) => `--${option.name}`))
  const value = fc.oneof(
    fc.constantFrom(
      '1M',
      '64G',
      '1025B',
      '0s',
      '10Gbps',
      '-1Gbps',
      '1e9',
      'NaN',
      'Infinity',
      '9007199254740993',
      'remap',
      'kv',
      'postcopy',
      'precopy',
      'hybrid',
      '2passes',
      '4k',
      'multifd=on',
      'release-ram=on',
      'background-snapshot=on',
      'max-bandwidth=1Gbps',
      'max-bandwidth=-1',
      'xbzrle-cache-size=3',
      'constructor=on',
      'loss=1%',
      'latency@postcopy+5ms:1s=50ms',
      'latency@postcopy+5ms:1s=',
      'cancel@@+',
      'cancel@precopy+1ns',
    ),
    fc.string(),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 6 }), (pairs) => {
      try {
        const options = migrateOptions(parseArguments(migrateCommand, pairs.flat()))
        expect(options.memBytes % 4096).toBe(0)
        const { memBytes, vcpus, bandwidthBitsPerSec, rttNs, downtimeLimitNs, durationNs, seed } = options
        for (const number of [memBytes, vcpus, bandwidthBitsPerSec, rttNs, downtimeLimitNs, durationNs, seed]) {
          expect(Number.isSafeInteger(number) && number >= 0).toBe(true)
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ArgumentError)
      }
    }),
    { numRuns: 2000 },
  )
})
