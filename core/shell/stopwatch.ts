/**
 * Host time of a simulated run: of all of it, and of the slices in which the migration was under way.
 *
 * A slice ends where a phase does (core/run/drive.ts).
 */
import type { HostReport, Progress } from '../run/report.ts'
import type { Host } from './host.ts'

export class Stopwatch {
  readonly #host: Host
  readonly #startedAt: number
  #slicedAt: number
  #phase: Progress['phase'] = 'boot'
  #migratingSeconds = 0

  constructor(host: Host) {
    this.#host = host
    this.#startedAt = host.wallSeconds()
    this.#slicedAt = this.#startedAt
  }

  slice({ phase }: Progress): void {
    const now = this.#host.wallSeconds()
    if (this.#phase === 'during') this.#migratingSeconds += now - this.#slicedAt
    this.#phase = phase
    this.#slicedAt = now
  }

  report(pages: number, accesses: number): HostReport {
    const wallSeconds = this.#host.wallSeconds() - this.#startedAt
    const perSecond = (count: number, seconds: number) => (seconds > 0 ? Math.round(count / seconds) : 0)
    return {
      wallSeconds,
      accessesPerSecond: perSecond(accesses, wallSeconds),
      pagesPerSecond: perSecond(pages, this.#migratingSeconds || wallSeconds),
      peakRssBytes: this.#host.peakRssBytes(),
      node: this.#host.platform,
    }
  }
}
