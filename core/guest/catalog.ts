/**
 * The guests by name: what a user may write after --guest, and the workloads that it makes, one a vCPU.
 *
 *     kv          sweep:rate=500MB/s,set=64M          path/to/trace.lackey.gz          a.lackey.gz+b.lackey.gz:rate=5M/s
 *     process.pfguest
 *
 * Each guest documents its keys in its own file; help, completion and errors all come from the list here.
 */
import type { Prng } from '../base/prng.ts'
import { parseSize } from '../base/units.ts'
import type { CapturedMemory } from './capture.ts'
import { GUEST_FILE_ENDING } from './capture_file.ts'
import { CAPTURED } from './captured.ts'
import { COMPILE } from './compile.ts'
import { GC } from './gc.ts'
import { checkValue, type GuestKey } from './guest_key.ts'
import { GuestError, type GuestKind, GuestSetup } from './guest_kind.ts'
import { KV } from './kv.ts'
import { MEMCACHED } from './memcached.ts'
import { MM_DIRTY } from './mm_dirty.ts'
import { NETPERF } from './netperf.ts'
import { OLTP } from './oltp.ts'
import { PHASES } from './phases.ts'
import { QUICKSORT } from './quicksort.ts'
import { REDIS } from './redis.ts'
import { STREAM } from './stream.ts'
import { DIABOLICAL, STRESS, SWEEP } from './sweep.ts'
import { TRACE } from './trace.ts'
import { IDLE, UNIFORM } from './uniform.ts'
import { WEB } from './web.ts'
import type { Workload } from './workload.ts'

/** Of every guest that is made up: what a system that ran for a while has, and a fresh one has not. */
const FREED: GuestKey = {
  key: 'freed',
  unit: 'size',
  fallback: 'none',
  meaning: 'memory behind the set that was used and is free again, full of what it held',
}

const MADE_UP: readonly GuestKind[] = [
  ...[KV, SWEEP, UNIFORM, IDLE],
  ...[MM_DIRTY, STRESS, DIABOLICAL, PHASES],
  ...[REDIS, MEMCACHED, OLTP, WEB, NETPERF],
  ...[COMPILE, QUICKSORT, STREAM, GC],
]

/** Those that are named by their files. */
export const FILE_GUESTS: readonly GuestKind[] = [TRACE, CAPTURED]

export const GUESTS: readonly GuestKind[] = [...MADE_UP.map((kind) => ({ ...kind, keys: [...kind.keys, FREED] })), ...FILE_GUESTS]

export interface GuestChoice {
  readonly kind: string
  /** The trace files, one a vCPU; empty for all other guests. */
  readonly paths: readonly string[]
  /** The file of a captured process; null for all other guests. */
  readonly captured: string | null
  /** Keys as given. */
  readonly keys: Readonly<Record<string, string>>
}

export type GuestParse =
  | { readonly ok: true; readonly guest: GuestChoice }
  /** One sentence; `unknown` is the name, where it is the name that is wrong. */
  | { readonly ok: false; readonly message: string; readonly unknown?: string }

/** Whatever looks like a path is a file, unless it begins with a guest's name and a colon. */
function isPath(name: string): boolean {
  if (GUESTS.some((g) => !FILE_GUESTS.includes(g) && name.startsWith(`${g.name}:`))) return false
  return name.includes('/') || name.includes('\\') || name.includes('.')
}

/** A plus joins traces where it stands behind a trace's own ending; any other belongs to a file's name. */
const BETWEEN_TRACES = /(?<=\.(?:gz|lackey))\+/

export function parseGuest(text: string): GuestParse {
  const known = GUESTS.filter((g) => !FILE_GUESTS.includes(g)).map((g) => g.name)
  if (text === '')
    return {
      ok: false,
      message: `the guest has no name; known are ${known.join(', ')}, or the path of a trace or of a captured process`,
    }
  const colon = isPath(text) ? text.search(/:(?=[a-z]+=)/) : text.indexOf(':')
  const name = colon < 0 ? text : text.slice(0, colon)
  const rest = colon < 0 ? '' : text.slice(colon + 1)
  const captured = isPath(name) && name.endsWith(GUEST_FILE_ENDING) ? name : null
  const paths = isPath(name) && captured === null ? name.split(BETWEEN_TRACES) : []
  const kind =
    captured !== null
      ? CAPTURED
      : paths.length > 0
        ? TRACE
        : known.includes(name)
          ? GUESTS.find((g) => g.name === name)
          : undefined
  if (kind === undefined) {
    return {
      ok: false,
      message: `unknown guest "${name}"; known are ${known.join(', ')}, or the path of a trace or of a captured process`,
      unknown: name,
    }
  }
  if (paths.includes(''))
    return { ok: false, message: `"${name}" names no trace behind its last plus; write a.lackey.gz+b.lackey.gz` }
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
  return { ok: true, guest: { kind: kind.name, paths, captured, keys } }
}

/** A trace or a captured process. */
export function isFileGuest({ paths, captured }: GuestChoice): boolean {
  return paths.length > 0 || captured !== null
}

/** Pages behind the set that the guest used and gave back. Throws GuestError where they are more than its memory. */
export function freedPages(guest: GuestChoice, setPages: number, ramPages: number): number {
  const text = guest.keys.freed
  const size = text === undefined ? null : parseSize(text)
  const pages = size?.ok ? Math.floor(size.value / 4096) : 0
  if (setPages + pages > ramPages)
    throw new GuestError(
      `guest ${guest.kind}: freed=${text} is more than the ${(ramPages - setPages) * 4}k that its set leaves; take less, or a smaller set`,
    )
  return pages
}

/** One workload a vCPU (null: that vCPU idles). `ramPages` is guest memory, `capture` what guest.captured holds. Throws GuestError where keys and memory disagree. */
export function makeWorkloads(
  guest: GuestChoice,
  ramPages: number,
  vcpus: number,
  prng: Prng,
  capture: CapturedMemory | null = null,
): (Workload | null)[] {
  const kind = GUESTS.find((g) => g.name === guest.kind)
  if (kind === undefined) throw new Error(`no guest ${guest.kind}`)
  return kind.make(new GuestSetup(kind, guest.keys, guest.paths, ramPages, vcpus, prng, capture))
}
