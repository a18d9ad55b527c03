/**
 * The options of migrate: defaults are the run's own, words and values go back and forth, and combinations are checked.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GUESTS } from '../../core/guest/catalog.ts'
import { PROTECTIONS } from '../../core/mm/kconfig.ts'
import { DEFAULT_OPTIONS, FAULT_PATHS, type MigrateOptions, RESOLVERS } from '../../core/run/options.ts'
import { parseArguments } from '../../core/shell/arguments.ts'
import { migrateCommand } from '../../core/shell/commands/migrate.ts'
import { commandOf, MIGRATE_OPTIONS, migrateOptions } from '../../core/shell/commands/migrate_options.ts'
import { completeLine } from '../../core/shell/completion.ts'
import { CORE_COMMANDS } from '../../core/shell/core_commands.ts'
import { parseLine } from '../../core/shell/line.ts'
import { Registry } from '../../core/shell/registry.ts'
import { MemoryHost } from './memory_host.ts'

function optionsOf(line: string): MigrateOptions {
  const [, ...words] = parseLine(line)[0]?.pipeline[0]?.words ?? []
  return migrateOptions(parseArguments(migrateCommand, words))
}

describe('options', () => {
  it('without any, a run has the defaults', () => {
    expect(optionsOf('migrate')).toEqual(DEFAULT_OPTIONS)
  })

  it('every default that help shows is accepted and changes nothing', () => {
    for (const { name, defaultText } of MIGRATE_OPTIONS) {
      if (defaultText !== undefined) expect(optionsOf(`migrate --${name} ${defaultText}`)).toEqual(DEFAULT_OPTIONS)
    }
  })

  it('every example that an error shows is accepted', () => {
    for (const { name, example, notBuilt } of MIGRATE_OPTIONS) {
      if (example === undefined || notBuilt !== undefined) continue
      expect(() => optionsOf(`migrate --${name} ${example.split(' ')[0]}`)).not.toThrow()
    }
  })

  it('every example of the help page is a line that runs', () => {
    for (const { examples, place } of CORE_COMMANDS) {
      expect(examples.length).toBeGreaterThan(0)
      for (const { line } of examples) {
        for (const { pipeline } of parseLine(line)) {
          for (const { words } of pipeline) {
            const command = new Registry(CORE_COMMANDS).find(words[0] ?? '', place ?? 'terminal')
            if (command === null) throw new Error(`${line}: no command ${words[0]}`)
            expect(() => parseArguments(command, words.slice(1))).not.toThrow()
          }
        }
      }
    }
  })

  it('the command of a run makes the same run', () => {
    const options: fc.Arbitrary<MigrateOptions> = fc.record({
      guest: fc.constantFrom('kv', 'sweep:set=64M,rate=500MB/s', "a trace's file.gz"),
      memBytes: fc.integer({ min: 256, max: 2 ** 24 }).map((pages) => pages * 4096),
      vcpus: fc.integer({ min: 1, max: 64 }),
      mode: fc.constant(DEFAULT_OPTIONS.mode),
      postcopyAfter: fc.constant(DEFAULT_OPTIONS.postcopyAfter),
      capabilities: fc.constant(DEFAULT_OPTIONS.capabilities),
      parameters: fc.constant(DEFAULT_OPTIONS.parameters),
      prepaging: fc.constant(DEFAULT_OPTIONS.prepaging),
      inject: fc.constant(DEFAULT_OPTIONS.inject),
      recover: fc.constant(DEFAULT_OPTIONS.recover),
      dirtyTracking: fc.constant(DEFAULT_OPTIONS.dirtyTracking),
      freePageHints: fc.constant(DEFAULT_OPTIONS.freePageHints),
      balloonBytes: fc.constant(DEFAULT_OPTIONS.balloonBytes),
      resolver: fc.constantFrom(...RESOLVERS),
      faults: fc.constantFrom(...FAULT_PATHS),
      cpu: fc.constant(DEFAULT_OPTIONS.cpu),
      pageSizeBytes: fc.constant(4096),
      bandwidthBitsPerSec: fc.integer({ min: 1000, max: 1e12 }),
      rttNs: fc.integer({ min: 0, max: 60e9 }),
      downtimeLimitNs: fc.integer({ min: 0, max: 2e12 }),
      without: fc.subarray(PROTECTIONS.map(({ name }) => name)).map((names) => [...names].sort()),
      seed: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      durationNs: fc.integer({ min: 0, max: 3600e9 }),
      timeLimitNs: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 1, max: 1e15 })),
    })
    fc.assert(
      fc.property(options, (wanted) => {
        expect(optionsOf(commandOf(wanted))).toEqual(wanted)
      }),
    )
  })

  it.each([
    ['--mem 1025B', '--mem 1025B is too small; it must be at least 1M'],
    ['--mem 1048577B', '--mem 1048577B is not a whole number of 4 KiB pages; the next that is, is 1028k'],
    ['--mem 1000T', '--mem 1000T is too large; it must be at most 64G'],
    ['--vcpus 0', '--vcpus 0 must be at least 1'],
    ['--bandwidth 1bps', '--bandwidth 1bps is too small; it must be at least 1kbps'],
    ['--mode precopy', '--mode precopy is not built yet; this version has postcopy'],
    ['--mode hybrid', '--mode hybrid is not built yet; this version has postcopy'],
    ['--page-size 2m --mem 3M', '--mem 3M is not a whole number of 2 MiB pages; the next that is, is 4M'],
    ['--postcopy-after 1passes', '--postcopy-after is not built yet; this version has --mode postcopy, which switches at once'],
    ['--capability postcopy-ram=on', '--capability is not built yet; this version has post-copy over one channel'],
    ['--parameter max-bandwidth=1', '--parameter is not built yet; this version has --bandwidth and --downtime-limit'],
    ['--inject loss=1%', '--inject is not built yet; this version has a link and machines that never fail'],
    ['--recover', '--recover is not built yet; this version has a link that never fails'],
    ['--without remap-tlb-flsh', 'did you mean remap-tlb-flush?'],
  ])('%s is refused in one sentence', (words, message) => {
    expect(() => optionsOf(`migrate ${words}`)).toThrow(message)
  })
})

describe('completion of the guest', () => {
  async function words(line: string): Promise<string[]> {
    const found = await completeLine(new Registry(CORE_COMMANDS), 'terminal', line, new MemoryHost({ 'traces/sort.gz': '' }))
    return found.map(({ word }) => word)
  }

  it('offers the guests, then the keys that are left', async () => {
    const named = GUESTS.map(({ name }) => name).filter((name) => name !== 'trace')
    expect(await words('migrate --guest ')).toEqual(named)
    expect(await words('migrate --guest kv:s')).toEqual(['kv:set='])
    expect(await words('migrate --guest=kv:set=64M,')).not.toContain('--guest=kv:set=64M,set=')
    expect(await words('migrate --guest kv:set=64M,wr')).toEqual(['kv:set=64M,writes='])
  })

  it('offers files where a path begins', async () => {
    expect(await words('migrate --guest traces/')).toEqual(['traces/sort.gz'])
  })

  it('offers every protection with its meaning', async () => {
    expect(await words('migrate --without ')).toEqual(PROTECTIONS.map(({ name }) => name))
  })
})
