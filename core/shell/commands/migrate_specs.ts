/**
 * The options of `migrate` as specs for the registry: names, kinds, defaults, bounds, and one line of meaning each.
 *
 * Names and order follow the command contract; defaults come from core/run/options.ts, so help cannot lie about them.
 * Pairs with migrate_options.ts, which turns the words into checked values.
 */
import { spellRate, spellSize, spellTime } from '../../base/units.ts'
import { GUESTS } from '../../guest/catalog.ts'
import { CPU_PRESETS } from '../../hw/presets/catalog.ts'
import { PROTECTIONS } from '../../mm/kconfig.ts'
import {
  DEFAULT_OPTIONS,
  DIRTY_TRACKING,
  type DirtyTracking,
  FAULT_PATHS,
  type FaultPathOption,
  MODES,
  type Mode,
  RESOLVERS,
  type Resolver,
  spellPostcopyAfter,
} from '../../run/options.ts'
import type { Choice, OptionSpec } from '../command.ts'
import { CAPABILITY_CHOICES, completeCapability } from './capability_options.ts'
import { INJECT_CHOICES } from './inject_option.ts'
import { completeParameter, PARAMETER_CHOICES } from './parameter_options.ts'
import { completePrepaging, PREPAGING_CHOICES } from './prepaging_option.ts'

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

const MODE_MEANING: Record<Mode, string> = {
  precopy: 'when what is left fits the downtime limit',
  postcopy: 'at once; pages follow on demand and in the background',
  hybrid: 'after passes of pre-copy (--postcopy-after)',
}

const TRACKING_MEANING: Record<DirtyTracking, string> = {
  bitmap: 'write protection and a bitmap of RAM',
  ring: 'a ring for each vCPU, which stops when it is full',
  pagemap: 'PAGEMAP_SCAN and asynchronous write protection, without KVM: what kernel migrate does',
}

/** Also for `bench faults`. */
export const FAULT_CHOICES: readonly Choice[] = FAULT_PATHS.map((word) => ({ word, meaning: FAULT_MEANING[word] }))

const OF_FILES: Readonly<Record<string, string>> = { trace: 'FILE', captured: 'FILE.pfguest' }

/** A trace and a captured process are named by their files, not by their kinds. */
const GUEST_CHOICES: readonly Choice[] = GUESTS.map(({ name, summary, keys }) => ({
  word: OF_FILES[name] ?? name,
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
    max: 256,
    meaning: 'virtual CPUs of the guest',
  },
  {
    name: 'mode',
    kind: 'enum',
    defaultText: DEFAULT_OPTIONS.mode,
    meaning: 'when the guest switches to the destination',
    choices: MODES.map((word) => ({ word, meaning: MODE_MEANING[word] })),
  },
  {
    name: 'postcopy-after',
    kind: 'text',
    valueName: 'TIME|Npasses',
    defaultText: spellPostcopyAfter(DEFAULT_OPTIONS.postcopyAfter),
    example: '2passes',
    meaning: 'when a hybrid migration switches: after so many passes over memory, or so long after it began to send',
  },
  {
    name: 'capability',
    kind: 'text',
    valueName: 'NAME=on|off',
    repeatable: true,
    example: 'postcopy-ram=on',
    meaning: "QEMU's migration capabilities; what one of them needs is switched on with it",
    choices: CAPABILITY_CHOICES,
    complete: completeCapability,
  },
  {
    name: 'parameter',
    kind: 'text',
    valueName: 'NAME=VALUE',
    repeatable: true,
    example: 'downtime-limit=300',
    meaning: "QEMU's migration parameters, in its units; 1Gbps, 64M and 300ms are taken, too",
    choices: PARAMETER_CHOICES,
    complete: completeParameter,
  },
  {
    name: 'prepaging',
    kind: 'text',
    valueName: 'NAME[:key=value,...]|FILE',
    defaultText: DEFAULT_OPTIONS.prepaging,
    example: 'multi-pivot:pivots=3',
    meaning: 'in which order pages are pushed that nobody has asked for',
    choices: PREPAGING_CHOICES,
    complete: completePrepaging,
  },
  {
    name: 'dirty-tracking',
    kind: 'enum',
    defaultText: DEFAULT_OPTIONS.dirtyTracking,
    meaning: 'how pre-copy learns which pages were written',
    choices: DIRTY_TRACKING.map((word) => ({ word, meaning: TRACKING_MEANING[word] })),
  },
  {
    name: 'free-page-hints',
    kind: 'flag',
    meaning: 'the guest tells which pages are free, and pre-copy does not send them',
  },
  {
    name: 'balloon',
    kind: 'size',
    example: '64M',
    meaning: 'memory that a balloon takes from the guest before it is migrated',
  },
  {
    name: 'inject',
    kind: 'text',
    valueName: 'FAULT',
    repeatable: true,
    example: 'link-down@postcopy+10ms:2s',
    meaning: 'make something fail on the way: SHARE=PERCENT, or WHAT@STATE+TIME[:DURATION][=VALUE]',
    choices: INJECT_CHOICES,
  },
  { name: 'recover', kind: 'flag', meaning: 'recover a paused post-copy by itself' },
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
    kind: 'text',
    valueName: 'PRESET|FILE',
    example: 'zen5 or ./mine.json',
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
    name: 'nested',
    kind: 'enum',
    defaultText: 'off',
    meaning: 'whether the guest has page tables of its own, which makes its walks two-dimensional',
    choices: [
      { word: 'off', meaning: 'walks are of the host tables alone' },
      { word: 'on', meaning: 'each guest table is found through the host tables: up to 24 references a walk' },
    ],
  },
  {
    name: 'guest-page-size',
    kind: 'enum',
    defaultText: '4k',
    meaning: 'size of the pages of a nested guest; a TLB entry covers the smaller of it and --page-size',
    choices: [
      { word: '4k', meaning: 'four levels of guest tables' },
      { word: '2m', meaning: 'three' },
      { word: '1g', meaning: 'two' },
    ],
  },
  {
    name: 'devices',
    kind: 'count',
    defaultText: String(DEFAULT_OPTIONS.devices),
    example: '1',
    min: 0,
    max: 1024,
    meaning: 'devices on the PCI bus; their state is sent while the guest stands, about 0.7 ms each',
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
  { name: 'detach', short: 'd', kind: 'flag', meaning: 'of a terminal: go on in the background; wait waits for its end' },
  { name: 'resume', short: 'r', kind: 'flag', meaning: 'of a terminal: recover the paused migration, as migrate_recover does' },
  { name: 'trace', kind: 'file', example: 'run.trace', meaning: 'write every event as text' },
  { name: 'perfetto', kind: 'file', example: 'run.json', meaning: 'write every event for ui.perfetto.dev' },
]

/** Guests, and behind `kv:` or `kv:set=64M,` the guest's keys. */
function completeGuest(partial: string): readonly Choice[] {
  const colon = partial.indexOf(':')
  if (colon < 0) return GUEST_CHOICES.filter(({ word }) => !word.startsWith('FILE'))
  const guest = GUESTS.find(({ name }) => name === partial.slice(0, colon))
  const head = partial.slice(0, Math.max(colon, partial.lastIndexOf(',')) + 1)
  return (guest?.keys ?? [])
    .filter(({ key }) => !head.includes(`:${key}=`) && !head.includes(`,${key}=`))
    .map(({ key, meaning, fallback }) => ({ word: `${head}${key}=`, meaning: `${meaning} [${fallback}]` }))
}
