/**
 * The prepaging policies by name: what a user may write after --prepaging, and the policy that it makes.
 *
 *     forward       multi-pivot:pivots=3,queue=64k       ./my_policy.mjs
 *
 * Each policy documents its keys here; help, completion and errors all come from this table.
 */
import { parseSize } from '../../base/units.ts'
import { DemandPolicy } from './demand.ts'
import { DualPolicy } from './dual.ts'
import { ForwardPolicy } from './forward.ts'
import { MultiPivotPolicy, PIVOTS } from './multi_pivot.ts'
import type { PrepagingPolicy } from './policy.ts'
import { PushOnlyPolicy } from './push_only.ts'
import { ReversePolicy } from './reverse.ts'
import { StridePolicy } from './stride.ts'

export interface PrepagingKey {
  readonly key: 'queue' | 'pivots'
  readonly unit: 'size' | 'count'
  readonly fallback: string
  readonly meaning: string
}

export interface PrepagingKind {
  readonly name: string
  readonly summary: string
  /** Who describes it. */
  readonly source: string
  readonly keys: readonly PrepagingKey[]
}

/**
 * The paper's policies throw away what is queued for transmission when a page is requested. What is in a socket cannot be thrown
 * away; the same is had by never queueing much.
 */
const QUEUE: PrepagingKey = {
  key: 'queue',
  unit: 'size',
  fallback: 'what the socket takes',
  meaning: 'bytes that pushed pages may take of the socket buffer, for a request to wait behind',
}
const PIVOTS_KEY: PrepagingKey = {
  key: 'pivots',
  unit: 'count',
  fallback: String(PIVOTS),
  meaning: 'requests that are remembered, each the centre of a bubble',
}
const HINES = 'Hines, Deshpande and Gopalan, OSR 43(3), 2009'

export const PREPAGING: readonly PrepagingKind[] = [
  { name: 'forward', summary: 'on behind the last request', source: `QEMU; ${HINES}`, keys: [QUEUE] },
  { name: 'qemu', summary: 'what QEMU does: the same as forward', source: 'QEMU, ram_find_and_save_block', keys: [QUEUE] },
  { name: 'push-only', summary: 'from the first page to the last, without hints', source: HINES, keys: [QUEUE] },
  { name: 'reverse', summary: 'back from the last request', source: HINES, keys: [QUEUE] },
  { name: 'dual', summary: 'both ways from the last request, nearest first', source: HINES, keys: [QUEUE] },
  {
    name: 'multi-pivot',
    summary: 'both ways from the last few requests, in turn',
    source: HINES,
    keys: [PIVOTS_KEY, QUEUE],
  },
  {
    name: 'forward-multi-pivot',
    summary: 'forward from the last few requests and from the start, in turn',
    source: HINES,
    keys: [PIVOTS_KEY, QUEUE],
  },
  {
    name: 'stride',
    summary: 'where streams of requests would come next, then forward',
    source: 'ours; cf. Leap, USENIX ATC 2020',
    keys: [QUEUE],
  },
  { name: 'demand', summary: 'nothing: pages on request only', source: HINES, keys: [] },
]

export interface PrepagingChoice {
  /** A policy's name, or 'file'. */
  readonly kind: string
  /** The user's own policy, or null. */
  readonly path: string | null
  /** Bytes of the socket buffer that pushed pages may take. */
  readonly queueBytes: number
  readonly pivots: number
}

export type PrepagingParse =
  | { readonly ok: true; readonly choice: PrepagingChoice }
  /** One sentence; `unknown` is the name, where it is the name that is wrong. */
  | { readonly ok: false; readonly message: string; readonly unknown?: string }

const EXAMPLE = 'multi-pivot:pivots=3,queue=64k'

export function parsePrepaging(text: string): PrepagingParse {
  const isPath = /[./\\]/.test(text.split(':')[0])
  const colon = isPath ? text.search(/:(?=[a-z]+=)/) : text.indexOf(':')
  const name = colon < 0 ? text : text.slice(0, colon)
  const kind = PREPAGING.find((p) => p.name === name)
  if (!isPath && kind === undefined) {
    const known = PREPAGING.map((p) => p.name).join(', ')
    return { ok: false, message: `unknown prepaging "${name}"; known are ${known}, or the path of a file`, unknown: name }
  }
  const keys = kind?.keys ?? [QUEUE]
  let queueBytes = Number.POSITIVE_INFINITY
  let pivots = PIVOTS
  const seen = new Set<string>()
  for (const part of colon < 0 ? [] : text.slice(colon + 1).split(',')) {
    const [key, value] = part.split('=', 2)
    const spec = keys.find((k) => k.key === key)
    if (spec === undefined || value === undefined) {
      const remedy = keys.length === 0 ? 'it has none' : `its keys are ${keys.map((k) => k.key).join(', ')}, as in ${EXAMPLE}`
      return { ok: false, message: `prepaging ${name} has no key "${part}"; ${remedy}` }
    }
    if (seen.has(key)) return { ok: false, message: `prepaging ${name}: key ${key} is given twice` }
    seen.add(key)
    if (spec.key === 'pivots') {
      pivots = Number(value)
      if (!/^\d+$/.test(value) || pivots < 1 || pivots > 64)
        return { ok: false, message: `prepaging ${name}: pivots=${value} must be a number from 1 to 64` }
    } else {
      const size = parseSize(value)
      if (!size.ok) return { ok: false, message: `prepaging ${name}: queue=${value} ${size.message}` }
      queueBytes = size.value
    }
  }
  return { ok: true, choice: { kind: isPath ? 'file' : name, path: isPath ? name : null, queueBytes, pivots } }
}

/** The policy of that name, new; null for a file, which only a host can load. */
export function makePolicy({ kind, pivots }: PrepagingChoice): PrepagingPolicy | null {
  switch (kind) {
    case 'forward':
    case 'qemu':
      return new ForwardPolicy(kind)
    case 'push-only':
      return new PushOnlyPolicy()
    case 'reverse':
      return new ReversePolicy()
    case 'dual':
      return new DualPolicy()
    case 'multi-pivot':
      return new MultiPivotPolicy(kind, 'dual', pivots)
    case 'forward-multi-pivot':
      return new MultiPivotPolicy(kind, 'forward', pivots)
    case 'stride':
      return new StridePolicy()
    case 'demand':
      return new DemandPolicy()
    default:
      return null
  }
}
