/**
 * QEMU's migration capabilities: what each is, what it needs, what it cannot stand beside, and why some are not modelled.
 *
 * All are off until somebody switches them on, as in QEMU. `requires` and `conflicts` are the rules of migrate_caps_check;
 * where a rule is ours, its line says so. Pairs with migration_parameters.ts (numbers and words).
 * Source: QEMU, qapi/migration.json (MigrationCapability) and migration/options.c, 10.1: multifd
 * and postcopy-ram go together since then.
 */

/** In the order of qapi/migration.json. */
export const CAPABILITY_NAMES = [
  'xbzrle',
  'rdma-pin-all',
  'auto-converge',
  'zero-blocks',
  'events',
  'postcopy-ram',
  'x-colo',
  'release-ram',
  'return-path',
  'pause-before-switchover',
  'multifd',
  'dirty-bitmaps',
  'postcopy-blocktime',
  'late-block-activate',
  'x-ignore-shared',
  'validate-uuid',
  'background-snapshot',
  'zero-copy-send',
  'postcopy-preempt',
  'switchover-ack',
  'dirty-limit',
  'mapped-ram',
] as const
export type CapabilityName = (typeof CAPABILITY_NAMES)[number]

export type Capabilities = Readonly<Record<CapabilityName, boolean>>

export interface Capability {
  readonly summary: string
  /** Must be on beside it. */
  readonly requires?: readonly CapabilityName[]
  /** Cannot be on beside it; named on one side of the pair only. */
  readonly conflicts?: readonly CapabilityName[]
  /** Set where switching it on would change nothing here: why, as half a sentence. */
  readonly notModelled?: string
}

export const CAPABILITIES: Readonly<Record<CapabilityName, Capability>> = {
  xbzrle: { summary: 'a page that is sent again goes as its difference from what was sent last' },
  'rdma-pin-all': {
    summary: 'all of RAM is pinned before an RDMA migration',
    notModelled: 'the link here is a stream of bytes, not RDMA',
  },
  'auto-converge': { summary: 'slows the vCPUs, by and by, when they dirty memory faster than it is sent' },
  'zero-blocks': { summary: 'blocks of zeroes are sent short in a storage migration', notModelled: 'there is no storage here' },
  events: {
    summary: 'each change of state is an event',
    notModelled: 'every change of state is an event of the trace anyway',
  },
  'postcopy-ram': { summary: 'the guest may run at the destination before all of RAM is there', conflicts: ['x-ignore-shared'] },
  'x-colo': {
    summary: 'two machines run in lock step, for ever',
    notModelled: 'here one guest runs, on one machine at a time',
  },
  // QEMU takes it without postcopy-ram, too, and frees nothing then; that the two go together is our rule.
  'release-ram': { summary: 'the source frees a page once it was sent in post-copy', requires: ['postcopy-ram'] },
  'return-path': { summary: 'the destination can talk to the source in pre-copy, too' },
  'pause-before-switchover': { summary: 'waits in pre-switchover until migrate_continue' },
  multifd: { summary: 'several channels with a thread each carry the pages', conflicts: ['xbzrle'] },
  'dirty-bitmaps': { summary: 'the dirty bitmaps of block devices move, too', notModelled: 'there are no block devices here' },
  'postcopy-blocktime': {
    summary: 'tells the mean latency of each vCPU, too; how long they sleep on missing pages is always counted',
  },
  'late-block-activate': {
    summary: 'block devices are activated when the guest starts, not when it has arrived',
    notModelled: 'there are no block devices here',
  },
  'x-ignore-shared': { summary: 'shared memory is not sent', notModelled: 'RAM is anonymous memory here' },
  'validate-uuid': {
    summary: 'the destination compares the UUID of the machine',
    notModelled: 'there is one guest, and nothing it could be confused with',
  },
  'background-snapshot': {
    summary: 'what is sent is RAM as it was at the start, while the guest runs on and waits where it would write first',
    conflicts: [
      'postcopy-ram',
      'dirty-bitmaps',
      'postcopy-blocktime',
      'late-block-activate',
      'return-path',
      'multifd',
      'pause-before-switchover',
      'auto-converge',
      'release-ram',
      'rdma-pin-all',
      'xbzrle',
      'x-colo',
      'validate-uuid',
      'zero-copy-send',
    ],
  },
  'zero-copy-send': {
    summary: 'pages go to the network card without a copy, from locked memory',
    requires: ['multifd'],
    conflicts: ['xbzrle'],
  },
  'postcopy-preempt': { summary: 'requested pages have a channel of their own', requires: ['postcopy-ram'] },
  'switchover-ack': {
    summary: 'the destination must agree to the switch',
    requires: ['return-path'],
    notModelled: 'no device here loads anything that it would have to wait for',
  },
  'dirty-limit': {
    summary: 'slows only those vCPUs that dirty memory faster than vcpu-dirty-limit; needs the dirty ring',
    conflicts: ['auto-converge'],
  },
  'mapped-ram': { summary: 'each page has its own place in a file', notModelled: 'the link here is a stream, not a file' },
}

/** QEMU's: all off. */
export const DEFAULT_CAPABILITIES = Object.fromEntries(CAPABILITY_NAMES.map((name) => [name, false])) as Capabilities

export function isCapability(name: string): name is CapabilityName {
  return (CAPABILITY_NAMES as readonly string[]).includes(name)
}
