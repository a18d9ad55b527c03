/**
 * The options of migrate: defaults are the run's own, words and values go back and forth, and combinations are checked.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FILE_GUESTS, GUESTS } from '../../core/guest/catalog.ts'
import { GUEST_PAGE_SIZES } from '../../core/hw/nested_paging.ts'
import { CAPABILITIES, CAPABILITY_NAMES } from '../../core/migration/capabilities.ts'
import { DEFAULT_PARAMETERS, type MigrationParameters, PARAMETERS } from '../../core/migration/migration_parameters.ts'
import { PROTECTIONS } from '../../core/mm/kconfig.ts'
import { INJECTION_STATES, type Injection, LINK_SHARES } from '../../core/run/injection.ts'
import { DEFAULT_OPTIONS, DIRTY_TRACKING, FAULT_PATHS, type MigrateOptions, MODES, RESOLVERS } from '../../core/run/options.ts'
import { contradiction, settleCapabilities } from '../../core/run/settings.ts'
import { parseArguments } from '../../core/shell/arguments.ts'
import { migrateCommand } from '../../core/shell/commands/migrate.ts'
import { commandOf, migrateOptions } from '../../core/shell/commands/migrate_options.ts'
import { MIGRATE_OPTIONS } from '../../core/shell/commands/migrate_specs.ts'
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
      if (defaultText === undefined) continue
      const mode = name === 'postcopy-after' ? 'hybrid' : DEFAULT_OPTIONS.mode
      const found = optionsOf(`migrate ${name === 'mode' ? '' : `--mode ${mode}`} --${name} ${defaultText}`)
      expect(found).toEqual({ ...DEFAULT_OPTIONS, mode })
    }
  })

  it('every example that an error shows is accepted', () => {
    for (const { name, example } of MIGRATE_OPTIONS) {
      if (example === undefined) continue
      expect(() => optionsOf(`migrate --mode hybrid --${name} ${example.split(' ')[0]}`)).not.toThrow()
    }
  })

  it('every example of the help page is a line that runs', () => {
    for (const { examples, place } of CORE_COMMANDS) {
      expect(examples.length).toBeGreaterThan(0)
      for (const { line } of examples) {
        for (const { pipeline } of parseLine(line)) {
          for (const { words } of pipeline) {
            const found = new Registry(CORE_COMMANDS).match(words, place ?? 'terminal')
            if (found === null) throw new Error(`${line}: no command ${words[0]}`)
            expect(() => parseArguments(found.command, words.slice(found.length))).not.toThrow()
          }
        }
      }
    }
  })

  it('the command of a run makes the same run', () => {
    const number = (name: keyof typeof PARAMETERS, min: number, max: number) =>
      fc.option(fc.integer({ min, max }), { nil: PARAMETERS[name].default as number })
    const parameters = fc
      .record({
        'max-bandwidth': number('max-bandwidth', 0, 1e12),
        'multifd-channels': number('multifd-channels', 1, 255),
        'cpu-throttle-initial': number('cpu-throttle-initial', 1, 99),
        'cpu-throttle-tailslow': fc.boolean(),
        'zero-page-detection': fc.constantFrom(...PARAMETERS['zero-page-detection'].words),
      })
      .map((some): MigrationParameters => ({ ...DEFAULT_PARAMETERS, ...some }))
    const times = { state: fc.constantFrom(...INJECTION_STATES), afterNs: fc.nat(1e9) }
    const durationNs = fc.option(fc.nat(1e10), { nil: null })
    const injection: fc.Arbitrary<Injection> = fc.oneof(
      fc.record({ what: fc.constantFrom(...LINK_SHARES), share: fc.nat(100).map((n) => n / 100) }),
      fc.record({ what: fc.constant('link-down' as const), ...times, durationNs }),
      fc.record({ what: fc.constant('poison' as const), ...times, durationNs: fc.constant(null) }),
      fc.record({ what: fc.constant('latency' as const), ...times, durationNs, value: fc.nat(1e9) }),
      fc.record({ what: fc.constant('rate' as const), ...times, durationNs, value: fc.integer({ min: 1, max: 1e12 }) }),
    )
    const options: fc.Arbitrary<MigrateOptions> = fc
      .record({
        guest: fc.constantFrom('kv', 'sweep:set=64M,rate=500MB/s', "a trace's file.gz"),
        memBytes: fc.integer({ min: 256, max: 2 ** 24 }).map((pages) => pages * 4096),
        vcpus: fc.integer({ min: 1, max: 64 }),
        mode: fc.constantFrom(...MODES),
        postcopyAfter: fc.oneof(
          fc.record({ passes: fc.integer({ min: 1, max: 99 }) }),
          fc.record({ ns: fc.integer({ min: 0, max: 1e12 }) }),
        ),
        capabilities: fc.dictionary(fc.constantFrom(...CAPABILITY_NAMES), fc.boolean()),
        parameters,
        prepaging: fc.constantFrom(DEFAULT_OPTIONS.prepaging, 'dual', 'multi-pivot:pivots=3,queue=64k', './mine.js'),
        inject: fc.array(injection, { maxLength: 3 }),
        recover: fc.boolean(),
        dirtyTracking: fc.constantFrom(...DIRTY_TRACKING),
        freePageHints: fc.boolean(),
        balloonBytes: fc.nat(255).map((pages) => pages * 4096),
        resolver: fc.constantFrom(...RESOLVERS),
        faults: fc.constantFrom(...FAULT_PATHS),
        cpu: fc.constant(DEFAULT_OPTIONS.cpu),
        pageSizeBytes: fc.constant(4096),
        nested: fc.boolean(),
        guestPageSizeBytes: fc.constantFrom(...GUEST_PAGE_SIZES),
        bandwidthBitsPerSec: fc.integer({ min: 1000, max: 1e12 }),
        devices: fc.integer({ min: 0, max: 1024 }),
        rttNs: fc.integer({ min: 0, max: 60e9 }),
        downtimeLimitNs: fc.integer({ min: 0, max: 2e12 }),
        without: fc.subarray(PROTECTIONS.map(({ name }) => name)).map((names) => [...names].sort()),
        seed: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
        durationNs: fc.integer({ min: 0, max: 3600e9 }),
        timeLimitNs: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 1, max: 1e15 })),
      })
      .map((wanted) => {
        const settled = settleCapabilities(wanted)
        const postcopyAfter = wanted.mode === 'hybrid' ? wanted.postcopyAfter : DEFAULT_OPTIONS.postcopyAfter
        return settled.ok ? { ...wanted, ...settled, postcopyAfter } : null
      })
      .filter((wanted) => wanted !== null && contradiction(wanted) === null)
      .map((wanted) => {
        const { ok: _, ...options } = wanted as MigrateOptions & { ok: true }
        return options
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
    ['--guest-page-size 2m', 'guest-page-size 2m is of tables that only a nested guest has; add nested on'],
    ['--nested on --guest-page-size 1g', 'guest-page-size 1g needs a memory of whole pages of that size; the next is mem 1G'],
    ['--page-size 2m --mem 3M', '--mem 3M is not a whole number of 2 MiB pages; the next that is, is 4M'],
    [
      '--prepaging foward',
      'unknown prepaging "foward"; known are forward, qemu, push-only, reverse, dual, multi-pivot, forward-multi-pivot, stride, demand, or the path of a file; did you mean forward?',
    ],
    ['--without remap-tlb-flsh', 'did you mean remap-tlb-flush?'],
  ])('%s is refused in one sentence', (words, message) => {
    expect(() => optionsOf(`migrate ${words}`)).toThrow(message)
  })
})

describe('what is known', () => {
  it.each([
    ['--mode hybrid --postcopy-after 3passes', { mode: 'hybrid', postcopyAfter: { passes: 3 } }],
    ['--mode hybrid --postcopy-after 500ms', { mode: 'hybrid', postcopyAfter: { ns: 5e8 } }],
    ['--inject loss=1%', { inject: [{ what: 'loss', share: 0.01 }] }],
    [
      '--inject link-down@postcopy+10ms:2s --recover',
      { recover: true, inject: [{ what: 'link-down', state: 'postcopy', afterNs: 1e7, durationNs: 2e9 }] },
    ],
    [
      '--inject latency@active+10ms:1s=50ms',
      { inject: [{ what: 'latency', state: 'active', afterNs: 1e7, durationNs: 1e9, value: 5e7 }] },
    ],
    [
      '--inject rate@postcopy+5ms=100Mbps',
      { inject: [{ what: 'rate', state: 'postcopy', afterNs: 5e6, durationNs: null, value: 1e8 }] },
    ],
    ['--parameter downtime-limit=50', { downtimeLimitNs: 5e7 }],
    [
      '--balloon 64M --free-page-hints --dirty-tracking ring',
      { balloonBytes: 2 ** 26, freePageHints: true, dirtyTracking: 'ring' },
    ],
  ])('%s is read', (words, found) => {
    expect(optionsOf(`migrate ${words}`)).toMatchObject(found)
  })

  it.each([
    ['max-bandwidth=1Gbps', 125e6],
    ['max-bandwidth=100M', 100 * 2 ** 20],
    ['max-bandwidth=125000000', 125e6],
    ['xbzrle-cache-size=64M', 2 ** 26],
    ['cpu-throttle-initial=30%', 30],
    ['cpu-throttle-tailslow=on', true],
    ['x-vcpu-dirty-limit-period=500ms', 500],
    ['zero-page-detection=legacy', 'legacy'],
  ])('--parameter %s is read in the unit of QEMU', (word, value) => {
    const name = word.slice(0, word.indexOf('=')) as keyof MigrationParameters
    expect(optionsOf(`migrate --parameter ${word}`).parameters[name]).toBe(value)
  })

  it.each([
    ['--capability multifd', '--capability multifd needs on or off, for example --capability multifd=on'],
    ['--capability multfd=on', "--capability multfd is none of QEMU's capabilities; did you mean multifd?"],
    ['--capability multifd=1', '--capability multifd=1 is neither on nor off'],
    ['--capability multifd=on --capability multifd=off', '--capability multifd is given twice; keep one of the two'],
    ['--parameter max-bandwith=1', "--parameter max-bandwith is none of QEMU's parameters; did you mean max-bandwidth?"],
    ['--parameter max-bandwidth', '--parameter max-bandwidth needs a value, for example --parameter max-bandwidth=0'],
    ['--parameter multifd-channels=0', '--parameter multifd-channels=0 must be from 1 to 255'],
    ['--parameter multifd-channels=two', '--parameter multifd-channels=two is not a whole number; write for example 2'],
    [
      '--parameter multifd-compression=zst',
      '--parameter multifd-compression=zst is not one of none, zlib, zstd; did you mean zstd?',
    ],
    [
      '--parameter tls-creds=tls0',
      '--parameter tls-creds=tls0 is not modelled, since the link here is not encrypted; leave it out',
    ],
    [
      '--parameter downtime-limit=1 --downtime-limit 1ms',
      '--downtime-limit and --parameter downtime-limit say the same; keep one',
    ],
    ['--postcopy-after 2passes', '--postcopy-after is for --mode hybrid, and this is postcopy; leave it out'],
    [
      '--mode hybrid --postcopy-after 2',
      '--postcopy-after 2 needs a unit, for example 150us, 300ms or 2s; passes are written as 2passes',
    ],
    ['--inject flood=1%', '--inject flood is not one of loss, duplicate'],
    ['--inject los=1%', 'did you mean loss?'],
    ['--inject loss=200%', '--inject loss=200% is more than the whole'],
    ['--inject loss', '--inject loss needs a share, for example --inject loss=1%'],
    ['--inject cancel', '--inject cancel is not WHAT@STATE+TIME[:DURATION], for example link-down@postcopy+10ms:2s'],
    ['--inject cancel@postcpy+1ms', 'did you mean postcopy?'],
    ['--inject cancel@precopy+1ms:1s', '--inject cancel takes no duration; leave :1s out'],
    ['--inject handler-stall@postcopy+5ms', '--inject handler-stall needs a duration, for example'],
    ['--inject latency@postcopy+5ms:1s', '--inject latency needs a value, for example --inject latency@postcopy+5ms:1s=50ms'],
    ['--inject poison@postcopy+5=3', '--inject poison takes no value; leave =3 out'],
    ['--inject poison@postcopy+5', '--inject poison@postcopy+5 needs a unit, for example 150us, 300ms or 2s'],
    ['--inject loss=1% --inject loss=2%', 'loss is injected twice; keep one of the two'],
    ['--balloon 1G', 'a balloon as large as all memory leaves the guest nothing; take a smaller one'],
  ])('%s is refused in one sentence', (words, message) => {
    expect(() => optionsOf(`migrate ${words}`)).toThrow(message)
  })

  it('a line adds to what the terminal was told, and its own word stands', () => {
    const told = { capabilities: { multifd: true }, parameters: { 'multifd-channels': 4 }, downtimeLimitNs: 1e6 }
    const read = (words: string[]) => migrateOptions(parseArguments(migrateCommand, words), told)
    expect(read([])).toMatchObject({
      capabilities: { multifd: true },
      parameters: { 'multifd-channels': 4 },
      downtimeLimitNs: 1e6,
    })
    expect(read(['--capability', 'multifd=off', '--downtime-limit', '2ms'])).toMatchObject({
      capabilities: { multifd: false },
      downtimeLimitNs: 2e6,
    })
  })
})

describe('completion of the guest', () => {
  async function words(line: string): Promise<string[]> {
    const found = await completeLine(new Registry(CORE_COMMANDS), 'terminal', line, new MemoryHost({ 'traces/sort.gz': '' }))
    return found.map(({ word }) => word)
  }

  it('offers the guests, then the keys that are left', async () => {
    const named = GUESTS.filter((g) => !FILE_GUESTS.includes(g)).map((g) => g.name)
    expect(await words('migrate --guest ')).toEqual(named)
    expect(await words('migrate --guest kv:s')).toEqual(['kv:set='])
    expect(await words('migrate --guest=kv:set=64M,')).not.toContain('--guest=kv:set=64M,set=')
    expect(await words('migrate --guest kv:set=64M,wr')).toEqual(['kv:set=64M,writes='])
  })

  it('offers files where a path begins', async () => {
    expect(await words('migrate --guest traces/')).toEqual(['traces/sort.gz'])
  })

  it('offers capabilities with both switches, and the words of a parameter', async () => {
    const modelled = CAPABILITY_NAMES.filter((name) => CAPABILITIES[name].notModelled === undefined)
    expect(await words('migrate --capability ')).toEqual(modelled.flatMap((name) => [`${name}=on`, `${name}=off`]))
    expect(await words('migrate --parameter downtime')).toEqual(['downtime-limit='])
    expect(await words('migrate --parameter multifd-compression=z')).toEqual([
      'multifd-compression=zlib',
      'multifd-compression=zstd',
    ])
  })

  it('offers every protection with its meaning', async () => {
    expect(await words('migrate --without ')).toEqual(PROTECTIONS.map(({ name }) => name))
  })
})
