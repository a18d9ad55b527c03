/**
 * The options of `migrate`: their specs for the registry, and the way from words to MigrateOptions and back.
 *
 * Names and order follow the command contract; defaults come from core/run/options.ts, so help cannot lie about them.
 * commandOf spells a run's options as the shortest command line that makes the same run again.
 */
import { spellRate, spellSize, spellTime } from '../../base/units.ts'
import { GUESTS } from '../../guest/catalog.ts'
import { CPU_PRESETS } from '../../hw/presets/zen5.ts'
import { PROTECTIONS } from '../../mm/kconfig.ts'
import {
  DEFAULT_OPTIONS,
  FAULT_PATHS,
  type FaultPathOption,
  type MigrateOptions,
  RESOLVERS,
  type Resolver,
} from '../../run/options.ts'
import { ArgumentError, type Arguments } from '../arguments.ts'
import type { Choice, OptionSpec } from '../command.ts'
import { quoteWord } from '../line.ts'

const HUGE_PAGE = 2 ** 21

const RESOLVER_MEANING: Record<Resolver, string> = {
  remap: 'remap_anon_pages into MADV_USERFAULT memory: the page moves, nothing is copied',
  move: 'UFFDIO_MOVE, what Linux has had since 6.8',
  copy: "UFFDIO_COPY, QEMU's way: one copy into a fresh page",
}

const FAULT_MEANING: Record<FaultPathOption, string> = {
  classic: 'under mmap_lock',
  speculative: 'without it, by sequence counts (v12 of 2019); what cannot goes under mmap_lock',
  'vma-lock': 'under a lock of the VMA, what Linux has had since 6.4',
}

/** Also for `bench faults`. */
export const FAULT_CHOICES: readonly Choice[] = FAULT_PATHS.map((word) => ({ word, meaning: FAULT_MEANING[word] }))

/** A trace is named by its file, not by its kind. */
const GUEST_CHOICES: readonly Choice[] = GUESTS.map(({ name, summary, keys }) => ({
  word: name === 'trace' ? 'FILE' : name,
  meaning: keys.length === 0 ? summary : `${summary}; keys ${keys.map(({ key }) => key).join(', ')}`,
}))

export const MIGRATE_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'guest',
    kind: 'text',
    valueName: 'NAME[:key=value,...]|FILE',
    common: true,
    defaultText: DEFAULT_OPTIONS.guest,
    example: 'kv:set=64M',
    meaning: 'what runs in the guest',
    choices: GUEST_CHOICES,
    complete: completeGuest,
  },
  {
    name: 'mem',
    kind: 'size',
    common: true,
    defaultText: spellSize(DEFAULT_OPTIONS.memBytes),
    example: '64M',
    min: 2 ** 20,
    max: 2 ** 36,
    meaning: 'memory of the guest',
  },
  {
    name: 'bandwidth',
    kind: 'rate',
    common: true,
    defaultText: spellRate(DEFAULT_OPTIONS.bandwidthBitsPerSec),
    example: '10Gbps or 200MiB/s',
    min: 1000,
    meaning: 'of the link, in bits (10Gbps) or bytes (200MiB/s)',
  },
  {
    name: 'seed',
    kind: 'count',
    common: true,
    defaultText: String(DEFAULT_OPTIONS.seed),
    example: '7',
    meaning: 'one seed makes one run, everywhere',
  },
  { name: 'json', kind: 'flag', common: true, meaning: 'print the report as one JSON object' },
  { name: 'quiet', short: 'q', kind: 'flag', meaning: 'print errors only, and JSON if it was asked for' },
  {
    name: 'vcpus',
    kind: 'count',
    defaultText: String(DEFAULT_OPTIONS.vcpus),
    example: '2',
    min: 1,
    max: 64,
    meaning: 'virtual CPUs of the guest',
  },
  {
    name: 'mode',
    kind: 'enum',
    defaultText: DEFAULT_OPTIONS.mode,
    meaning: 'when the guest switches to the destination',
    choices: [
      { word: 'postcopy', meaning: 'at once; pages follow on demand and in the background' },
      { word: 'precopy', meaning: 'when what is left fits the downtime limit', notBuilt: 'postcopy' },
      { word: 'hybrid', meaning: 'after passes of pre-copy', notBuilt: 'postcopy' },
    ],
  },
  {
    name: 'resolver',
    kind: 'enum',
    defaultText: DEFAULT_OPTIONS.resolver,
    meaning: 'how the destination puts a received page in place',
    choices: RESOLVERS.map((word) => ({ word, meaning: RESOLVER_MEANING[word] })),
  },
  {
    name: 'faults',
    kind: 'enum',
    defaultText: DEFAULT_OPTIONS.faults,
    meaning: 'how page faults find their VMA',
    choices: FAULT_CHOICES,
  },
  {
    name: 'cpu',
    kind: 'enum',
    defaultText: DEFAULT_OPTIONS.cpu,
    meaning: 'the CPU of both machines: TLB geometry and costs',
    choices: CPU_PRESETS.map(({ id, name }) => ({ word: id, meaning: name })),
  },
  {
    name: 'page-size',
    kind: 'enum',
    defaultText: '4k',
    meaning: 'size of the pages that back the guest',
    choices: [
      { word: '4k', meaning: 'base pages' },
      {
        word: '2m',
        meaning: 'huge pages, sent and placed whole: transparent ones, or of the hugetlb pool for the resolver copy',
      },
    ],
  },
  {
    name: 'rtt',
    kind: 'time',
    defaultText: spellTime(DEFAULT_OPTIONS.rttNs),
    example: '150us',
    max: 60e9,
    meaning: 'round trip of the link',
  },
  {
    name: 'downtime-limit',
    kind: 'time',
    defaultText: spellTime(DEFAULT_OPTIONS.downtimeLimitNs),
    example: '300ms',
    max: 2e12,
    meaning: 'longest stop of the guest that is wanted',
  },
  {
    name: 'without',
    kind: 'enum',
    valueName: 'PROTECTION',
    repeatable: true,
    meaning: 'leave a protection out, and see whether the checks notice',
    choices: PROTECTIONS.map(({ name, meaning }) => ({ word: name, meaning })),
  },
  {
    name: 'duration',
    kind: 'time',
    defaultText: spellTime(DEFAULT_OPTIONS.durationNs),
    example: '100ms',
    max: 3600e9,
    meaning: 'how long the guest runs on after completion',
  },
  { name: 'time-limit', kind: 'time', example: '10s', min: 1, meaning: 'give up after this much simulated time, and exit 124' },
  { name: 'trace', kind: 'file', example: 'run.trace', meaning: 'write every event as text' },
  { name: 'perfetto', kind: 'file', example: 'run.json', meaning: 'write every event for ui.perfetto.dev' },
  {
    name: 'postcopy-after',
    kind: 'text',
    valueName: 'TIME|Npasses',
    meaning: 'when a hybrid migration switches',
    notBuilt: '--mode postcopy, which switches at once',
  },
  {
    name: 'capability',
    kind: 'text',
    valueName: 'NAME=on|off',
    repeatable: true,
    meaning: "QEMU's migration capabilities",
    notBuilt: 'post-copy over one channel',
  },
  {
    name: 'parameter',
    kind: 'text',
    valueName: 'NAME=VALUE',
    repeatable: true,
    meaning: "QEMU's migration parameters",
    notBuilt: '--bandwidth and --downtime-limit',
  },
  {
    name: 'inject',
    kind: 'text',
    valueName: 'FAULT',
    repeatable: true,
    meaning: 'make something fail on the way',
    notBuilt: 'a link and machines that never fail',
  },
  { name: 'recover', kind: 'flag', meaning: 'recover a paused post-copy by itself', notBuilt: 'a link that never fails' },
]

/** Checked values of one call. Throws ArgumentError for what only shows when options are seen together. */
export function migrateOptions(given: Arguments): MigrateOptions {
  const usual = DEFAULT_OPTIONS
  const memBytes = given.number('mem', usual.memBytes)
  const pageSizeBytes = given.text('page-size') === '2m' ? HUGE_PAGE : usual.pageSizeBytes
  if (memBytes % pageSizeBytes !== 0) {
    const kind = pageSizeBytes === HUGE_PAGE ? '2 MiB' : '4 KiB'
    const next = spellSize(Math.ceil(memBytes / pageSizeBytes) * pageSizeBytes)
    throw new ArgumentError(
      `--mem ${given.text('mem') ?? ''} is not a whole number of ${kind} pages; the next that is, is ${next}`,
    )
  }
  const resolver = given.text('resolver')
  return {
    ...usual,
    guest: given.text('guest') ?? usual.guest,
    memBytes,
    vcpus: given.number('vcpus', usual.vcpus),
    mode: usual.mode,
    resolver: RESOLVERS.find((word) => word === resolver) ?? usual.resolver,
    faults: faultPath(given, usual.faults),
    cpu: given.text('cpu') ?? usual.cpu,
    pageSizeBytes,
    bandwidthBitsPerSec: given.number('bandwidth', usual.bandwidthBitsPerSec),
    rttNs: given.number('rtt', usual.rttNs),
    downtimeLimitNs: given.number('downtime-limit', usual.downtimeLimitNs),
    without: [...new Set(given.list('without'))].sort(),
    seed: given.number('seed', usual.seed),
    durationNs: given.number('duration', usual.durationNs),
    timeLimitNs: given.number('time-limit', usual.timeLimitNs),
  }
}

/** The value of --faults. */
export function faultPath(given: Arguments, usual: FaultPathOption): FaultPathOption {
  const word = given.text('faults')
  return FAULT_PATHS.find((path) => path === word) ?? usual
}

/** The shortest command line that makes the same run. */
export function commandOf(options: MigrateOptions): string {
  const usual = DEFAULT_OPTIONS
  const words = ['migrate', '--guest', quoteWord(options.guest)]
  const add = (name: string, value: number | string, fallback: number | string, word: string) => {
    if (value !== fallback) words.push(`--${name}`, word)
  }
  add('mem', options.memBytes, usual.memBytes, spellSize(options.memBytes))
  add('vcpus', options.vcpus, usual.vcpus, String(options.vcpus))
  add('resolver', options.resolver, usual.resolver, options.resolver)
  add('faults', options.faults, usual.faults, options.faults)
  add('cpu', options.cpu, usual.cpu, options.cpu)
  add('page-size', options.pageSizeBytes, usual.pageSizeBytes, spellSize(options.pageSizeBytes).toLowerCase())
  add('bandwidth', options.bandwidthBitsPerSec, usual.bandwidthBitsPerSec, spellRate(options.bandwidthBitsPerSec))
  add('rtt', options.rttNs, usual.rttNs, spellTime(options.rttNs))
  add('downtime-limit', options.downtimeLimitNs, usual.downtimeLimitNs, spellTime(options.downtimeLimitNs))
  for (const name of options.without) words.push('--without', name)
  add('duration', options.durationNs, usual.durationNs, spellTime(options.durationNs))
  if (Number.isFinite(options.timeLimitNs)) words.push('--time-limit', spellTime(options.timeLimitNs))
  words.push('--seed', String(options.seed))
  return words.join(' ')
}

/** Guests, and behind `kv:` or `kv:set=64M,` the guest's keys. */
function completeGuest(partial: string): readonly Choice[] {
  const colon = partial.indexOf(':')
  if (colon < 0) return GUEST_CHOICES.filter(({ word }) => word !== 'FILE')
  const guest = GUESTS.find(({ name }) => name === partial.slice(0, colon))
  const head = partial.slice(0, Math.max(colon, partial.lastIndexOf(',')) + 1)
  return (guest?.keys ?? [])
    .filter(({ key }) => !head.includes(`:${key}=`) && !head.includes(`,${key}=`))
    .map(({ key, meaning, fallback }) => ({ word: `${head}${key}=`, meaning: `${meaning} [${fallback}]` }))
}
