/**
 * The options of a run as its report tells them: as a user would write them, so that the same command with these asks for the same run.
 *
 * One on a real kernel has those of the model that mean something there, and its own.
 */
import { spellRate, spellSize, spellTime } from '../base/units.ts'
import { spellInjection } from './injection.ts'
import type { KernelMigrateOptions } from './kernel_report.ts'
import { type MigrateOptions, spellPostcopyAfter } from './options.ts'

export function optionsAsUsed(o: MigrateOptions) {
  return {
    guest: o.guest,
    mem: spellSize(o.memBytes),
    vcpus: o.vcpus,
    mode: o.mode,
    'postcopy-after': spellPostcopyAfter(o.postcopyAfter),
    capability: { ...o.capabilities },
    parameter: { ...o.parameters },
    prepaging: o.prepaging,
    'dirty-tracking': o.dirtyTracking,
    'free-page-hints': o.freePageHints,
    balloon: spellSize(o.balloonBytes),
    inject: o.inject.map(spellInjection),
    recover: o.recover,
    resolver: o.resolver,
    faults: o.faults,
    cpu: o.cpu,
    'page-size': spellSize(o.pageSizeBytes).toLowerCase(),
    nested: o.nested ? 'on' : 'off',
    'guest-page-size': spellSize(o.guestPageSizeBytes).toLowerCase(),
    devices: o.devices,
    bandwidth: spellRate(o.bandwidthBitsPerSec),
    rtt: spellTime(o.rttNs),
    'downtime-limit': spellTime(o.downtimeLimitNs),
    without: [...o.without],
    seed: o.seed,
    duration: spellTime(o.durationNs),
    'time-limit': Number.isFinite(o.timeLimitNs) ? spellTime(o.timeLimitNs) : null,
  }
}

/** What a real kernel cannot be told; core/shell/commands/kernel_migrate.ts says of each why. */
const OF_THE_MODEL_ALONE = [
  'dirty-tracking',
  'free-page-hints',
  'balloon',
  'faults',
  'cpu',
  'page-size',
  'nested',
  'guest-page-size',
  'devices',
  'rtt',
  'without',
] as const satisfies readonly (keyof ReturnType<typeof optionsAsUsed>)[]
export type OfTheModelAlone = (typeof OF_THE_MODEL_ALONE)[number]

export function kernelOptionsAsUsed({ options, isPaced, wire, watchdogNs }: KernelMigrateOptions): Record<string, unknown> {
  const all = optionsAsUsed(options)
  const left: readonly string[] = OF_THE_MODEL_ALONE
  const told = Object.fromEntries(Object.entries(all).filter(([name]) => !left.includes(name)))
  return { ...told, bandwidth: isPaced ? all.bandwidth : null, wire, watchdog: spellTime(watchdogNs) }
}
