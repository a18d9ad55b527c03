/**
 * QEMU's migration parameters: name, kind, default, bounds and meaning; and why some are not modelled.
 *
 * Units are QEMU's: bytes a second, bytes, milliseconds, percent, MB a second. Two differ on purpose: max-bandwidth is 0 here,
 * all that the link carries, as libvirt sets it (QEMU: 128 MiB a second); and downtime-limit is MigrateOptions.downtimeLimitNs,
 * for which the parameter is another spelling. Pairs with capabilities.ts.
 * Source: QEMU, qapi/migration.json (MigrationParameters) and migration/options.c (defaults, migrate_params_check).
 */

/** What a number counts; 'flag' is on or off, 'word' one of a few, 'text' free. */
export type ParameterKind = 'bytes/s' | 'bytes' | 'ms' | 'percent' | 'MB/s' | 'count' | 'flag' | 'word' | 'text'

export interface Parameter {
  readonly kind: ParameterKind
  readonly default: number | boolean | string
  /** Of a number. */
  readonly min?: number
  readonly max?: number
  /** Of a 'word'. */
  readonly words?: readonly string[]
  readonly meaning: string
  /** Set where another value than the default would change nothing here: why, as half a sentence. */
  readonly notModelled?: string
}

const NO_NETWORK = 'there is no network here that would have to learn where the guest is'
const NO_TLS = 'the link here is not encrypted'
const NO_SIZE_LIMIT = Number.MAX_SAFE_INTEGER

/** In the order of qapi/migration.json. */
export const PARAMETERS = {
  'announce-initial': {
    kind: 'ms',
    default: 50,
    min: 0,
    max: 100_000,
    meaning: 'before the first announcement',
    notModelled: NO_NETWORK,
  },
  'announce-max': {
    kind: 'ms',
    default: 550,
    min: 0,
    max: 100_000,
    meaning: 'longest time between two',
    notModelled: NO_NETWORK,
  },
  'announce-rounds': {
    kind: 'count',
    default: 5,
    min: 0,
    max: 1000,
    meaning: 'announcements after the migration',
    notModelled: NO_NETWORK,
  },
  'announce-step': {
    kind: 'ms',
    default: 100,
    min: 1,
    max: 10_000,
    meaning: 'by which that time grows',
    notModelled: NO_NETWORK,
  },
  'throttle-trigger-threshold': {
    kind: 'percent',
    default: 50,
    min: 1,
    max: 100,
    meaning: 'auto-converge: bytes dirtied in a period for bytes sent in it, from which vCPUs are slowed',
  },
  'cpu-throttle-initial': {
    kind: 'percent',
    default: 20,
    min: 1,
    max: 99,
    meaning: 'auto-converge: time taken from the vCPUs at first',
  },
  'cpu-throttle-increment': { kind: 'percent', default: 10, min: 1, max: 99, meaning: 'auto-converge: more of it each time' },
  'cpu-throttle-tailslow': { kind: 'flag', default: false, meaning: 'auto-converge: smaller steps towards the end' },
  'tls-creds': { kind: 'text', default: '', meaning: 'TLS credentials', notModelled: NO_TLS },
  'tls-hostname': { kind: 'text', default: '', meaning: 'host name in the certificate', notModelled: NO_TLS },
  'tls-authz': { kind: 'text', default: '', meaning: 'who may connect', notModelled: NO_TLS },
  'max-bandwidth': {
    kind: 'bytes/s',
    default: 0,
    min: 0,
    max: NO_SIZE_LIMIT,
    meaning: 'most that is sent in pre-copy; 0: all that the link carries',
  },
  'avail-switchover-bandwidth': {
    kind: 'bytes/s',
    default: 0,
    min: 0,
    max: NO_SIZE_LIMIT,
    meaning: 'what the decision to switch takes the bandwidth for; 0: what was measured',
  },
  'x-checkpoint-delay': {
    kind: 'ms',
    default: 20_000,
    min: 0,
    max: 2 ** 32 - 1,
    meaning: 'between two checkpoints of COLO',
    notModelled: 'there is no COLO here',
  },
  'multifd-channels': { kind: 'count', default: 2, min: 1, max: 255, meaning: 'channels of multifd' },
  'xbzrle-cache-size': {
    kind: 'bytes',
    default: 64 * 2 ** 20,
    min: 4096,
    max: 2 ** 52,
    meaning: 'what xbzrle remembers; a power of two',
  },
  'max-postcopy-bandwidth': {
    kind: 'bytes/s',
    default: 0,
    min: 0,
    max: NO_SIZE_LIMIT,
    meaning: 'most that is sent in post-copy; what postcopy-preempt sends goes beyond it; 0: no limit',
  },
  'max-cpu-throttle': {
    kind: 'percent',
    default: 99,
    min: 1,
    max: 99,
    meaning: 'auto-converge: most that is taken from the vCPUs',
  },
  'multifd-compression': {
    kind: 'word',
    default: 'none',
    words: ['none', 'zlib', 'zstd'],
    meaning: 'how multifd compresses pages',
  },
  'multifd-zlib-level': { kind: 'count', default: 1, min: 0, max: 9, meaning: 'from 0, none, and 1, fast, to 9, small' },
  'multifd-zstd-level': { kind: 'count', default: 1, min: 0, max: 20, meaning: 'from 1, fast, to 20, small' },
  'block-bitmap-mapping': {
    kind: 'text',
    default: '',
    meaning: 'names of dirty bitmaps',
    notModelled: 'there are no block devices here',
  },
  'x-vcpu-dirty-limit-period': {
    kind: 'ms',
    default: 1000,
    min: 1,
    max: 1000,
    meaning: 'dirty-limit: between two looks at the dirty rates',
  },
  'vcpu-dirty-limit': {
    kind: 'MB/s',
    default: 1,
    min: 1,
    max: NO_SIZE_LIMIT,
    meaning: 'dirty-limit: most that a vCPU may dirty',
  },
  mode: { kind: 'word', default: 'normal', words: ['normal'], meaning: 'the other modes restart QEMU on one machine' },
  'zero-page-detection': {
    kind: 'word',
    default: 'multifd',
    words: ['none', 'legacy', 'multifd'],
    meaning: 'who looks for zero pages: nobody, the migration thread, the threads of multifd if it is on',
  },
  'direct-io': {
    kind: 'flag',
    default: false,
    meaning: 'past the page cache',
    notModelled: 'the link here is a stream, not a file',
  },
} as const satisfies Readonly<Record<string, Parameter>>

type Parameters = typeof PARAMETERS
export type ParameterName = keyof Parameters

/** What a parameter holds: a number, on or off, or one of its words. */
export type ParameterValue<P extends Parameter> = P extends { words: readonly (infer W)[] }
  ? W
  : P['kind'] extends 'flag'
    ? boolean
    : P['kind'] extends 'text'
      ? string
      : number

export type MigrationParameters = { readonly [N in ParameterName]: ParameterValue<Parameters[N]> }

export const PARAMETER_NAMES = Object.keys(PARAMETERS) as ParameterName[]

export const DEFAULT_PARAMETERS = Object.fromEntries(
  Object.entries(PARAMETERS).map(([name, parameter]) => [name, parameter.default]),
) as MigrationParameters

export function isParameter(name: string): name is ParameterName {
  return Object.hasOwn(PARAMETERS, name)
}
