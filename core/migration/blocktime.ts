/**
 * postcopy-blocktime: how long vCPUs slept on missing pages, each, all at once, and how the single sleeps are spread.
 *
 * A sleep lasts from handle_userfault to the vCPU running again. `overlapped` is the time in which every vCPU slept.
 * The distribution has QEMU's 24 buckets by powers of two: [0] below 2 us, [23] from 8 s. Source: QEMU 10.1,
 * postcopy-blocktime, postcopy-latency, postcopy-vcpu-latency, postcopy-latency-dist.
 */

export const LATENCY_BUCKETS = 24

export class Blocktime {
  readonly perVcpuNs: Float64Array
  readonly distribution = new Array<number>(LATENCY_BUCKETS).fill(0)
  overlappedNs = 0
  blocked = 0
  #sumNs = 0
  /** Sleeps of each vCPU. */
  readonly #counts: Int32Array
  #latencies = new Float64Array(1024)
  #count = 0
  /** The sleeps in order of length, as far as they were asked for; one that is not of `#count` is out of date. */
  #sorted = new Float64Array(0)
  #allBlockedSinceNs = 0
  readonly #sinceNs: Float64Array

  constructor(vcpus: number) {
    this.perVcpuNs = new Float64Array(vcpus)
    this.#sinceNs = new Float64Array(vcpus).fill(-1)
    this.#counts = new Int32Array(vcpus)
  }

  isBlocked(vcpu: number): boolean {
    return this.#sinceNs[vcpu] >= 0
  }

  begin(vcpu: number, nowNs: number): void {
    if (this.isBlocked(vcpu)) return
    this.#sinceNs[vcpu] = nowNs
    this.blocked++
    if (this.blocked === this.perVcpuNs.length) this.#allBlockedSinceNs = Math.max(...this.#sinceNs)
  }

  /** Ends the vCPU's sleep; answers how long it was. */
  end(vcpu: number, nowNs: number): number {
    const ns = Math.max(0, nowNs - this.#sinceNs[vcpu])
    if (this.blocked === this.perVcpuNs.length) this.overlappedNs += Math.max(0, nowNs - this.#allBlockedSinceNs)
    this.#sinceNs[vcpu] = -1
    this.blocked--
    this.perVcpuNs[vcpu] += ns
    this.#counts[vcpu]++
    this.#sumNs += ns
    this.distribution[bucketOf(ns)]++
    if (this.#count === this.#latencies.length) {
      const grown = new Float64Array(this.#count * 2)
      grown.set(this.#latencies)
      this.#latencies = grown
    }
    this.#latencies[this.#count++] = ns
    return ns
  }

  get count(): number {
    return this.#count
  }

  get meanNs(): number {
    return this.#count === 0 ? 0 : this.#sumNs / this.#count
  }

  /** Mean sleep of each vCPU; 0 of one that never slept. */
  get perVcpuMeanNs(): number[] {
    return Array.from(this.perVcpuNs, (ns, vcpu) => ns / Math.max(1, this.#counts[vcpu]))
  }

  /** Exact quantiles (nearest rank) of all sleeps; zeros if there were none. */
  quantiles(...q: readonly number[]): number[] {
    if (this.#count === 0) return q.map(() => 0)
    if (this.#sorted.length !== this.#count) this.#sorted = this.#latencies.slice(0, this.#count).sort()
    const sorted = this.#sorted
    return q.map((x) => sorted[Math.min(this.#count - 1, Math.max(0, Math.ceil(x * this.#count) - 1))])
  }
}

function bucketOf(ns: number): number {
  const us = Math.floor(ns / 1000)
  const log2 = us < 1 ? 0 : 31 - Math.clz32(Math.min(us, 2 ** 31 - 1))
  return Math.min(LATENCY_BUCKETS - 1, log2)
}
