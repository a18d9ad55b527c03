/**
 * The guests by name: what a user may write after --guest, and the workloads that it makes, one a vCPU.
 *
 *     kv            sweep:rate=500MB/s,set=64M            path/to/trace.lackey.gz
 *
 * Each guest documents its keys here; help, completion and errors all come from this table.
 */
import type { Prng } from '../base/prng.ts'
import { parseOpsRate, parseRate, parseShare, parseSize } from '../base/units.ts'
import { LackeyWorkload } from './lackey.ts'
import { KvWorkload, SweepWorkload, type SyntheticOptions, UniformWorkload } from './synthetic.ts'
import type { Workload } from './workload.ts'

export interface GuestKey {
  readonly key: string
  readonly unit: 'size' | 'rate' | 'share' | 'number'
  readonly fallback: string
  readonly meaning: string
}

export interface GuestKind {
  readonly name: string
  readonly summary: string
  readonly keys: readonly GuestKey[]
  readonly example: string
}

const RATE_OPS = 'operations a second of all vCPUs together, or bytes written a second'
const RATE_BYTES = 'bytes written a second by all vCPUs together, or operations a second'

export const GUESTS: readonly GuestKind[] = [
  {
    name: 'kv',
    summary: 'a key-value store with zipfian reads and writes (YCSB A)',
    keys: [
      { key: 'set', unit: 'size', fallback: '3/4 of memory', meaning: 'memory that the store uses' },
      { key: 'rate', unit: 'rate', fallback: '400k/s', meaning: RATE_OPS },
      { key: 'writes', unit: 'share', fallback: '50%', meaning: 'share of operations that write' },
      { key: 'theta', unit: 'number', fallback: '0.99', meaning: 'skew of the keys: 0.01 is nearly uniform, 0.99 is YCSB' },
    ],
    example: 'kv:set=64M,writes=5%',
  },
  {
    name: 'sweep',
    summary: 'a sequential writer that goes over its set again and again',
    keys: [
      { key: 'set', unit: 'size', fallback: 'all memory', meaning: 'memory that it sweeps' },
      { key: 'rate', unit: 'rate', fallback: '1GB/s', meaning: RATE_BYTES },
    ],
    example: 'sweep:rate=500MB/s',
  },
  {
    name: 'uniform',
    summary: 'reads and writes of single pages, all equally likely',
    keys: [
      { key: 'set', unit: 'size', fallback: 'all memory', meaning: 'memory that it uses' },
      { key: 'rate', unit: 'rate', fallback: '1M/s', meaning: RATE_OPS },
      { key: 'writes', unit: 'share', fallback: '50%', meaning: 'share of accesses that write' },
    ],
    example: 'uniform:rate=200k/s,writes=10%',
  },
  {
    name: 'idle',
    summary: 'a booted system with nothing to do; three quarters of its memory are zero',
    keys: [
      { key: 'set', unit: 'size', fallback: '1/4 of memory', meaning: 'memory that is not zero' },
      { key: 'rate', unit: 'rate', fallback: '2k/s', meaning: RATE_OPS },
      { key: 'writes', unit: 'share', fallback: '2%', meaning: 'share of accesses that write' },
    ],
    example: 'idle',
  },
  {
    name: 'trace',
    summary: 'a real program: the file of valgrind --tool=lackey --trace-mem=yes, plain or gzip; runs on vCPU 0',
    keys: [{ key: 'rate', unit: 'rate', fallback: '10M/s', meaning: 'memory accesses a second' }],
    example: 'path/to/program.lackey.gz',
  },
]

export interface GuestChoice {
  readonly kind: string
  /** The trace file, or null. */
  readonly path: string | null
  /** Keys as given. */
  readonly keys: Readonly<Record<string, string>>
}

export type GuestParse =
  | { readonly ok: true; readonly guest: GuestChoice }
  /** One sentence; `unknown` is the name, where it is the name that is wrong. */
  | { readonly ok: false; readonly message: string; readonly unknown?: string }

/** Whatever looks like a path is a trace file, unless it begins with a guest's name and a colon. */
function isPath(name: string): boolean {
  if (GUESTS.some((g) => g.name !== 'trace' && name.startsWith(`${g.name}:`))) return false
  return name.includes('/') || name.includes('\\') || name.includes('.')
}

export function parseGuest(text: string): GuestParse {
  const known = GUESTS.filter((g) => g.name !== 'trace').map((g) => g.name)
  if (text === '')
    return { ok: false, message: `the guest has no name; known are ${known.join(', ')}, or the path of a trace file` }
  const colon = isPath(text) ? text.search(/:(?=[a-z]+=)/) : text.indexOf(':')
  const name = colon < 0 ? text : text.slice(0, colon)
  const rest = colon < 0 ? '' : text.slice(colon + 1)
  const path = isPath(name) ? name : null
  const kind = GUESTS.find((g) => g.name === (path === null ? name : 'trace'))
  if (kind === undefined || (kind.name === 'trace' && path === null)) {
    return {
      ok: false,
      message: `unknown guest "${name}"; known are ${known.join(', ')}, or the path of a trace file`,
      unknown: name,
    }
  }
  const keys: Record<string, string> = {}
  for (const part of rest === '' ? [] : rest.split(',')) {
    const equals = part.indexOf('=')
    const key = equals < 0 ? part : part.slice(0, equals)
    const spec = kind.keys.find((k) => k.key === key)
    if (equals < 0 || spec === undefined) {
      return {
        ok: false,
        message: `guest ${kind.name} has no key "${part}"; its keys are ${kind.keys.map((k) => k.key).join(', ')}, for example ${kind.example}`,
      }
    }
    if (key in keys) return { ok: false, message: `guest ${kind.name}: key ${key} is given twice` }
    const value = part.slice(equals + 1)
    const wrong = checkValue(spec, value)
    if (wrong !== '') return { ok: false, message: `guest ${kind.name}: ${key}=${value} ${wrong}` }
    keys[key] = value
  }
  return { ok: true, guest: { kind: kind.name, path, keys } }
}

function checkValue(spec: GuestKey, value: string): string {
  switch (spec.unit) {
    case 'size': {
      const p = parseSize(value)
      return p.ok ? (p.value >= 4096 ? '' : 'is less than a page of 4k') : p.message
    }
    case 'rate': {
      const rate = opsPerSec(value, 4096)
      return typeof rate === 'string' ? rate : rate > 0 ? '' : 'must be more than 0, for example 400k/s or 500MB/s'
    }
    case 'share': {
      const p = parseShare(value)
      return p.ok ? '' : p.message
    }
    case 'number': {
      const n = Number(value)
      return value.trim() !== '' && n >= 0.01 && n <= 0.999 ? '' : 'must be a number from 0.01 to 0.999'
    }
  }
}

/** A rate in operations a second; one given in bytes is divided by the bytes that an operation writes. */
function opsPerSec(text: string, bytesPerOp: number): number | string {
  const ops = parseOpsRate(text)
  if (ops.ok) return ops.value
  const bits = parseRate(text)
  return bits.ok ? bits.value / 8 / bytesPerOp : 'is no rate; write operations as 400k/s or bytes as 500MB/s'
}

export class GuestError extends Error {
  override readonly name = 'GuestError'
}

/** One workload a vCPU (null: that vCPU idles). `ramPages` is guest memory. Throws GuestError where keys and memory disagree. */
export function makeWorkloads(guest: GuestChoice, ramPages: number, vcpus: number, prng: Prng): (Workload | null)[] {
  const key = (name: string) => guest.keys[name]
  const share = (text: string | undefined, fallback: number): number => {
    const p = text === undefined ? null : parseShare(text)
    return p?.ok ? p.value : fallback
  }
  const set = (fallback: number): number => {
    const text = key('set')
    const p = text === undefined ? null : parseSize(text)
    const pages = p?.ok ? Math.floor(p.value / 4096) : Math.max(1, Math.floor(ramPages * fallback))
    if (pages > ramPages)
      throw new GuestError(`guest ${guest.kind}: set=${text} is more than its memory of ${ramPages * 4}k; give more with --mem`)
    return pages
  }
  const rate = (fallback: string, bytesPerOp: number): number => {
    const ops = opsPerSec(key('rate') ?? fallback, bytesPerOp)
    return typeof ops === 'number' ? ops : 1
  }
  const options = (setShare: number, fallback: string, writes: number): SyntheticOptions => {
    const w = share(key('writes'), writes)
    // A rate in bytes counts what is written: a page an operation, for the share of operations that write.
    const perVcpu = rate(fallback, 4096 * (guest.kind === 'sweep' ? 1 : Math.max(w, 0.001))) / vcpus
    return { setPages: set(setShare), opsPerSec: perVcpu, writes: w, theta: Number(key('theta') ?? '0.99') }
  }
  const all = Array.from({ length: vcpus }, (_, i) => i)
  const stream = (i: number) => prng.fork(`vcpu ${i}`)
  switch (guest.kind) {
    case 'kv': {
      const o = options(0.75, '400k/s', 0.5)
      return all.map((i) => new KvWorkload(o, stream(i)))
    }
    case 'sweep': {
      const o = options(1, '1GB/s', 1)
      const edge = (i: number) => Math.floor((o.setPages * i) / vcpus)
      return all.map((i) => (edge(i + 1) > edge(i) ? new SweepWorkload(o, edge(i), edge(i + 1)) : null))
    }
    case 'uniform': {
      const o = options(1, '1M/s', 0.5)
      return all.map((i) => new UniformWorkload(o, stream(i)))
    }
    case 'idle': {
      const o = options(0.25, '2k/s', 0.02)
      return all.map((i) => new UniformWorkload(o, stream(i)))
    }
    default:
      return all.map((i) => (i === 0 ? new LackeyWorkload(guest.path ?? '', 1e9 / rate('10M/s', 8), ramPages) : null))
  }
}
