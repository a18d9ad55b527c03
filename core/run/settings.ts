/**
 * Do a run's settings go together? QEMU's rules for capabilities and parameters, applied to what somebody asked for.
 *
 * settleCapabilities, from what was asked for to what is on:
 *  1. Nothing that is not modelled is switched on.
 *  2. A mode that ends in post-copy has postcopy-ram and return-path on.
 *  3. What a capability requires is switched on with it; postcopy-ram is not, because the mode says that.
 *  4. No two that conflict are on; dirty-limit has the dirty ring.
 *  5. Parameters fit each other and the capabilities.
 * Whatever somebody switched off by name stays off, and is refused where it is needed. A refusal is half a sentence with its remedy.
 *
 * Source: QEMU, migration/options.c. Where QEMU refuses what lacks a companion, 3. brings the companion; the report shows it.
 * @qemu migrate_caps_check, migrate_params_check
 */

import { spellSize } from '../base/units.ts'
import {
  CAPABILITIES,
  CAPABILITY_NAMES,
  type Capabilities,
  type CapabilityName,
  DEFAULT_CAPABILITIES,
} from '../migration/capabilities.ts'
import type { MigrationParameters } from '../migration/migration_parameters.ts'
import { spellInjection } from './injection.ts'
import { DEFAULT_OPTIONS, type DirtyTracking, type MigrateOptions, type Mode } from './options.ts'

export interface Asked {
  readonly mode: Mode
  /** Only those that somebody named. */
  readonly capabilities: Partial<Capabilities>
  readonly parameters: MigrationParameters
  /** null: nobody said. */
  readonly dirtyTracking: DirtyTracking | null
}

export type Settlement =
  | { readonly ok: true; readonly capabilities: Capabilities; readonly dirtyTracking: DirtyTracking }
  | { readonly ok: false; readonly message: string }

const OF_POSTCOPY: readonly CapabilityName[] = ['postcopy-ram', 'return-path']

export function settleCapabilities(asked: Asked): Settlement {
  const { mode, capabilities: named } = asked
  const on: Record<CapabilityName, boolean> = { ...DEFAULT_CAPABILITIES, ...named }
  /** Why it is on, where nobody named it. */
  const because = new Map<CapabilityName, string>()
  // 1.
  for (const name of CAPABILITY_NAMES) {
    const why = CAPABILITIES[name].notModelled
    if (on[name] && why !== undefined) return refused(`${name} is not modelled, since ${why}; leave it out`)
  }
  // 2.
  if (mode !== 'precopy') {
    for (const name of OF_POSTCOPY) {
      if (named[name] === false) return refused(`mode ${mode} needs ${name}; leave ${name}=off out, or take mode precopy`)
      if (named[name] === undefined) because.set(name, `mode ${mode}`)
      on[name] = true
    }
  }
  // 3.
  for (const name of CAPABILITY_NAMES) {
    for (const companion of on[name] ? (CAPABILITIES[name].requires ?? []) : []) {
      if (on[companion]) continue
      if (companion === 'postcopy-ram') return refused(`${name} needs postcopy-ram; take mode postcopy or hybrid`)
      if (named[companion] === false) return refused(`${name} needs ${companion}; leave ${companion}=off out`)
      because.set(companion, name)
      on[companion] = true
    }
  }
  // 4.
  for (const name of CAPABILITY_NAMES) {
    for (const other of on[name] ? (CAPABILITIES[name].conflicts ?? []) : []) {
      if (on[other]) return refused(conflict(name, other, because))
    }
  }
  if (on['dirty-limit'] && (asked.dirtyTracking ?? 'ring') !== 'ring')
    return refused('dirty-limit needs the dirty ring; take dirty-tracking ring')
  // 5.
  const problem = parameterProblem(on, asked.parameters)
  if (problem !== null) return refused(problem)
  return { ok: true, capabilities: on, dirtyTracking: asked.dirtyTracking ?? (on['dirty-limit'] ? 'ring' : 'bitmap') }
}

function conflict(one: CapabilityName, other: CapabilityName, because: ReadonlyMap<CapabilityName, string>): string {
  const [hidden, why] = [other, one].map((name) => [name, because.get(name)] as const).find(([, why]) => why !== undefined) ?? []
  const together = `${one} and ${other} cannot be on together`
  if (hidden === undefined || why === undefined) return `${together}; leave one of them out`
  if (why.startsWith('mode')) return `${together}, and ${why} has ${hidden} on; take mode precopy`
  return `${together}, and ${why} needs ${hidden}; leave ${why} or ${hidden === one ? other : one} out`
}

function parameterProblem(on: Capabilities, parameters: MigrationParameters): string | null {
  const compression = parameters['multifd-compression']
  if (on['zero-copy-send'] && compression !== 'none')
    return `zero-copy-send and multifd-compression=${compression} cannot go together; leave one of them out`
  // QEMU takes the parameter and compresses nothing; that it needs multifd is our rule.
  if (compression !== 'none' && !on.multifd) return `multifd-compression=${compression} needs multifd; add capability multifd=on`
  const { 'cpu-throttle-initial': initial, 'max-cpu-throttle': max, 'xbzrle-cache-size': cache } = parameters
  if (max < initial) return `max-cpu-throttle=${max} is less than cpu-throttle-initial=${initial}; make it at least that`
  if (!Number.isInteger(Math.log2(cache)))
    return `xbzrle-cache-size=${cache} is not a power of two; take ${nextPowerOfTwo(cache)}`
  return null
}

function nextPowerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value))
}

/** What a page takes in the reverse index of a vCPU's TLB (core/hw/tlb.ts), on each machine; and how much there may be of it. */
const TLB_INDEX_BYTES = 4
const MOST_TLB_BYTES = 4 * 2 ** 30

/** What else cannot go together, or null; half a sentence with its remedy. */
export function contradiction(options: MigrateOptions): string | null {
  const { memBytes, vcpus, balloonBytes, mode, capabilities, inject, recover, pageSizeBytes } = options
  const tlbBytes = 2 * vcpus * (memBytes / 4096) * TLB_INDEX_BYTES
  if (tlbBytes > MOST_TLB_BYTES)
    return `the TLBs of ${vcpus} vCPUs over ${memBytes / 2 ** 30} GiB take ${Math.ceil(tlbBytes / 2 ** 30)} GiB of this host; take fewer vCPUs or less memory`
  if (balloonBytes >= memBytes) return 'a balloon as large as all memory leaves the guest nothing; take a smaller one'
  if (balloonBytes % 4096 !== 0) return 'a balloon is made of whole pages of 4 KiB; take 4k or a multiple'
  // @qemu "Postcopy recovery cannot work when release-ram capability is set"
  if (recover && capabilities['release-ram'])
    return 'recover and release-ram cannot go together: what was sent is gone; leave one of them out'
  if (capabilities['background-snapshot']) {
    // @qemu virtio_balloon_free_page_hint_notify: hints are for pre-copy
    if (options.freePageHints)
      return 'background-snapshot saves all memory, so that nobody asks for free-page-hints; leave them out'
    if (options.pageSizeBytes > 4096 && options.resolver === 'copy')
      return 'background-snapshot cannot write-protect memory of the hugetlb pool; take page-size 4k, or another resolver'
  }
  const guestTables = guestTablesProblem(options)
  if (guestTables !== null) return guestTables
  const shares = new Set<string>()
  for (const injection of inject) {
    if ('share' in injection) {
      if (shares.has(injection.what)) return `${injection.what} is injected twice; keep one of the two`
      shares.add(injection.what)
    } else if (injection.what === 'poison' && !injection.state.startsWith('postcopy')) {
      // QEMU does not begin to migrate a guest with such a page, and does not survive one in pre-copy.
      return `${spellInjection(injection)} would end the source, since pre-copy cannot go round it; take poison@postcopy`
    } else if (injection.what === 'poison' && pageSizeBytes !== 4096) {
      return `${spellInjection(injection)} would take 2 MiB at once, which is not modelled; take page-size 4k`
    } else if (injection.state.startsWith('postcopy') && !capabilities['postcopy-ram']) {
      return `${spellInjection(injection)} would never happen in mode ${mode}; take mode postcopy or hybrid`
    } else if (injection.state === 'pre-switchover' && !capabilities['pause-before-switchover']) {
      return `${spellInjection(injection)} would never happen; add capability pause-before-switchover=on`
    }
  }
  return null
}

function guestTablesProblem({ nested, guestPageSizeBytes, memBytes }: MigrateOptions): string | null {
  if (guestPageSizeBytes === DEFAULT_OPTIONS.guestPageSizeBytes) return null
  const size = spellSize(guestPageSizeBytes).toLowerCase()
  if (!nested) return `guest-page-size ${size} is of tables that only a nested guest has; add nested on`
  if (memBytes % guestPageSizeBytes === 0) return null
  const next = spellSize(Math.ceil(memBytes / guestPageSizeBytes) * guestPageSizeBytes)
  return `guest-page-size ${size} needs a memory of whole pages of that size; the next is mem ${next}`
}

function refused(message: string): Settlement {
  return { ok: false, message }
}
