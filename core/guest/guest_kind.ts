/**
 * A guest of the catalog: its name, its keys, what one of its operations is, what its memory holds, and how it is made.
 *
 * GuestSetup is what a guest is made from: the keys as given (checked by the catalog before), guest memory, vCPUs and chance.
 * Each vCPU gets a workload of its own, or null: it idles. Pairs with catalog.ts, which lists the guests.
 */
import type { Prng } from '../base/prng.ts'
import { parseCount, parseShare, parseSize, parseTime, spellSize } from '../base/units.ts'
import type { ContentKind } from '../hw/page_bytes.ts'
import type { CapturedMemory } from './capture.ts'
import { type GuestKey, opsPerSec } from './guest_key.ts'
import type { Workload } from './workload.ts'

export interface GuestKind {
  readonly name: string
  readonly summary: string
  readonly keys: readonly GuestKey[]
  readonly example: string
  /** What one of the operations in a report is. */
  readonly op: string
  /** What its pages hold, for whoever compresses them (core/hw/page_bytes.ts), and who says so. */
  readonly content: ContentKind
  readonly contentSource: string
  /** One workload a vCPU; null: that vCPU idles. */
  make(setup: GuestSetup): (Workload | null)[]
}

/** Keys and memory disagree; one sentence. */
export class GuestError extends Error {
  override readonly name = 'GuestError'
}

export class GuestSetup {
  constructor(
    readonly kind: GuestKind,
    readonly given: Readonly<Record<string, string>>,
    /** Trace files; empty for all guests but `trace`. */
    readonly paths: readonly string[],
    readonly ramPages: number,
    readonly vcpus: number,
    readonly prng: Prng,
    /** What `captured` runs; null for all other guests. */
    readonly capture: CapturedMemory | null = null,
  ) {}

  /** Pages of a size; its fallback is a size, or a share of memory. */
  pages(key = 'set'): number {
    const { ramPages } = this
    const spec = this.#spec(key)
    const text = this.given[key]
    if (text === undefined && spec.ofMemory !== undefined) return Math.max(1, Math.floor(ramPages * spec.ofMemory))
    const p = parseSize(text ?? spec.fallback)
    const pages = p.ok ? Math.floor(p.value / 4096) : 1
    if (text !== undefined && pages > ramPages) {
      throw new GuestError(
        `guest ${this.kind.name}: ${key}=${text} is more than its memory of ${spellSize(ramPages * 4096)}; give more with --mem`,
      )
    }
    return Math.max(1, Math.min(pages, ramPages))
  }

  /** Operations a second of all vCPUs together. */
  rate(bytesPerOp: number, key = 'rate'): number {
    const ops = opsPerSec(this.#text(key), bytesPerOp)
    return typeof ops === 'number' ? ops : 1
  }

  share(key: string): number {
    const p = parseShare(this.#text(key))
    return p.ok ? p.value : 0
  }

  skew(key: string): number {
    return Number(this.#text(key))
  }

  count(key: string): number {
    const p = parseCount(this.#text(key))
    return p.ok ? p.value : 1
  }

  timeNs(key: string): number {
    const p = parseTime(this.#text(key))
    return p.ok ? p.value : 1
  }

  word(key: string): string {
    return this.#text(key)
  }

  /** One workload a vCPU, each with a stream of chance of its own. */
  each(make: (prng: Prng, vcpu: number) => Workload | null): (Workload | null)[] {
    return Array.from({ length: this.vcpus }, (_, i) => make(this.prng.fork(`vcpu ${i}`), i))
  }

  /** The part [first, end) of `pages` that is vCPU i's own. */
  part(pages: number, i: number): readonly [number, number] {
    return [Math.floor((pages * i) / this.vcpus), Math.floor((pages * (i + 1)) / this.vcpus)]
  }

  #spec(key: string): GuestKey {
    const spec = this.kind.keys.find((k) => k.key === key)
    if (spec === undefined) throw new Error(`guest ${this.kind.name} has no key ${key}`)
    return spec
  }

  #text(key: string): string {
    return this.given[key] ?? this.#spec(key).fallback
  }
}
