/**
 * The options of `migrate`: the way from words to MigrateOptions and back.
 *
 * migrateOptions takes what a terminal was told before (migrate_set_capability and its like) and what this line says, lets
 * settings.ts decide what that switches on, and refuses what cannot go together or is not built. commandOf spells a run's
 * options as the shortest command line that makes the same run again, whatever the terminal was told.
 */
import { parseCount, parseTime, spellRate, spellSize, spellTime } from '../../base/units.ts'
import type { Capture } from '../../guest/capture.ts'
import { GUEST_PAGE_SIZES } from '../../hw/nested_paging.ts'
import { DEFAULT_PARAMETERS } from '../../migration/migration_parameters.ts'
import { spellInjection } from '../../run/injection.ts'
import {
  DEFAULT_OPTIONS,
  DIRTY_TRACKING,
  FAULT_PATHS,
  type FaultPathOption,
  type MigrateOptions,
  MODES,
  type Mode,
  type PostcopyAfter,
  RESOLVERS,
  spellPostcopyAfter,
} from '../../run/options.ts'
import { contradiction, settleCapabilities } from '../../run/settings.ts'
import { ArgumentError, type Arguments } from '../arguments.ts'
import { cpuOf } from '../cpu_file.ts'
import { shown } from '../layout.ts'
import { quoteWord } from '../line.ts'
import { NO_SETTINGS, type Settings } from '../shell_state.ts'
import { capabilitiesOf, spellCapabilities } from './capability_options.ts'
import { injectionOf } from './inject_option.ts'
import { parametersOf, type SetParameters, spellParameters } from './parameter_options.ts'
import { prepagingOf } from './prepaging_option.ts'

const HUGE_PAGE = 2 ** 21

/** Checked values of one call. Throws ArgumentError for what only shows when options are seen together. */
export function migrateOptions(
  given: Arguments,
  settings: Settings = NO_SETTINGS,
  /** What the guest's file holds, where it names one. */
  capture: Capture | null = null,
): MigrateOptions {
  const usual = DEFAULT_OPTIONS
  const pageSizeBytes = given.text('page-size') === '2m' ? HUGE_PAGE : usual.pageSizeBytes
  const resolver = given.text('resolver')
  const mode = MODES.find((word) => word === given.text('mode')) ?? usual.mode
  const set = parametersOf(given.list('parameter'))
  const parameters = { ...DEFAULT_PARAMETERS, ...settings.parameters, ...set.parameters }
  const settled = settleCapabilities({
    mode,
    capabilities: { ...settings.capabilities, ...capabilitiesOf(given.list('capability')) },
    parameters,
    dirtyTracking: DIRTY_TRACKING.find((word) => word === given.text('dirty-tracking')) ?? null,
  })
  if (!settled.ok) throw new ArgumentError(settled.message)
  const options: MigrateOptions = {
    guest: given.text('guest') ?? usual.guest,
    memBytes: memoryOf(given, pageSizeBytes, capture),
    vcpus: given.number('vcpus', usual.vcpus),
    mode,
    postcopyAfter: postcopyAfter(given, mode),
    capabilities: settled.capabilities,
    parameters,
    prepaging: prepagingOf(given.text('prepaging') ?? usual.prepaging),
    inject: given.list('inject').map(injectionOf),
    recover: given.has('recover'),
    dirtyTracking: settled.dirtyTracking,
    freePageHints: given.has('free-page-hints'),
    balloonBytes: given.number('balloon', usual.balloonBytes),
    resolver: RESOLVERS.find((word) => word === resolver) ?? usual.resolver,
    faults: faultPath(given, usual.faults),
    cpu: cpuOf(given.text('cpu') ?? usual.cpu),
    pageSizeBytes,
    nested: given.text('nested') === 'on',
    guestPageSizeBytes:
      GUEST_PAGE_SIZES.find((bytes) => spelled(bytes) === given.text('guest-page-size')) ?? usual.guestPageSizeBytes,
    devices: given.number('devices', usual.devices),
    bandwidthBitsPerSec: given.number('bandwidth', usual.bandwidthBitsPerSec),
    rttNs: given.number('rtt', usual.rttNs),
    downtimeLimitNs: downtimeLimit(given, set, settings),
    without: [...new Set(given.list('without'))].sort(),
    seed: given.number('seed', usual.seed),
    durationNs: given.number('duration', usual.durationNs),
    timeLimitNs: given.number('time-limit', usual.timeLimitNs),
  }
  const problem = contradiction(options)
  if (problem !== null) throw new ArgumentError(problem)
  return options
}

/** As asked for; or what a captured process needs, in whole huge pages; or the usual. */
function memoryOf(given: Arguments, pageSizeBytes: number, capture: Capture | null): number {
  if (capture !== null && !given.has('mem')) return Math.ceil((capture.contentOf.length * 4096) / HUGE_PAGE) * HUGE_PAGE
  const memBytes = given.number('mem', DEFAULT_OPTIONS.memBytes)
  if (memBytes % pageSizeBytes === 0) return memBytes
  const kind = pageSizeBytes === HUGE_PAGE ? '2 MiB' : '4 KiB'
  const next = spellSize(Math.ceil(memBytes / pageSizeBytes) * pageSizeBytes)
  throw new ArgumentError(`--mem ${given.text('mem') ?? ''} is not a whole number of ${kind} pages; the next that is, is ${next}`)
}

function postcopyAfter(given: Arguments, mode: Mode): PostcopyAfter {
  const text = given.text('postcopy-after')
  if (text === null) return DEFAULT_OPTIONS.postcopyAfter
  if (mode !== 'hybrid') throw new ArgumentError(`--postcopy-after is for --mode hybrid, and this is ${mode}; leave it out`)
  const passes = /^(.*?)(?:passes|pass)$/.exec(text)?.[1]
  const parsed = passes === undefined ? parseTime(text) : parseCount(passes, 1)
  if (!parsed.ok) throw new ArgumentError(`--postcopy-after ${shown(text)} ${parsed.message}; passes are written as 2passes`)
  return passes === undefined ? { ns: parsed.value } : { passes: parsed.value }
}

function downtimeLimit(given: Arguments, set: SetParameters, settings: Settings): number {
  if (given.has('downtime-limit') && set.downtimeLimitNs !== null)
    throw new ArgumentError('--downtime-limit and --parameter downtime-limit say the same; keep one of the two')
  const before = set.downtimeLimitNs ?? settings.downtimeLimitNs ?? DEFAULT_OPTIONS.downtimeLimitNs
  return given.number('downtime-limit', before)
}

/** The value of --faults. */
export function faultPath(given: Arguments, usual: FaultPathOption): FaultPathOption {
  const word = given.text('faults')
  return FAULT_PATHS.find((path) => path === word) ?? usual
}

/** Of a page: 2m. */
function spelled(bytes: number): string {
  return spellSize(bytes).toLowerCase()
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
  add('mode', options.mode, usual.mode, options.mode)
  if (options.mode === 'hybrid') {
    const [after, fallback] = [options.postcopyAfter, usual.postcopyAfter].map(spellPostcopyAfter)
    add('postcopy-after', after, fallback, after)
  }
  for (const word of spellCapabilities(options)) words.push('--capability', word)
  for (const word of spellParameters(options.parameters)) words.push('--parameter', word)
  add('prepaging', options.prepaging, usual.prepaging, quoteWord(options.prepaging))
  const tracking = options.capabilities['dirty-limit'] ? 'ring' : usual.dirtyTracking
  add('dirty-tracking', options.dirtyTracking, tracking, options.dirtyTracking)
  if (options.freePageHints) words.push('--free-page-hints')
  add('balloon', options.balloonBytes, usual.balloonBytes, spellSize(options.balloonBytes))
  for (const injection of options.inject) words.push('--inject', spellInjection(injection))
  if (options.recover) words.push('--recover')
  add('resolver', options.resolver, usual.resolver, options.resolver)
  add('faults', options.faults, usual.faults, options.faults)
  add('cpu', options.cpu, usual.cpu, quoteWord(options.cpu))
  add('page-size', options.pageSizeBytes, usual.pageSizeBytes, spelled(options.pageSizeBytes))
  if (options.nested) words.push('--nested', 'on')
  add('guest-page-size', options.guestPageSizeBytes, usual.guestPageSizeBytes, spelled(options.guestPageSizeBytes))
  add('devices', options.devices, usual.devices, String(options.devices))
  add('bandwidth', options.bandwidthBitsPerSec, usual.bandwidthBitsPerSec, spellRate(options.bandwidthBitsPerSec))
  add('rtt', options.rttNs, usual.rttNs, spellTime(options.rttNs))
  add('downtime-limit', options.downtimeLimitNs, usual.downtimeLimitNs, spellTime(options.downtimeLimitNs))
  for (const name of options.without) words.push('--without', name)
  add('duration', options.durationNs, usual.durationNs, spellTime(options.durationNs))
  if (Number.isFinite(options.timeLimitNs)) words.push('--time-limit', spellTime(options.timeLimitNs))
  words.push('--seed', String(options.seed))
  return words.join(' ')
}
