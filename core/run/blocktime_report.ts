/**
 * What a report tells of sleeps on missing pages, under QEMU's names: blocktime in ms, latencies in ns.
 *
 * Of simulated vCPUs and of real ones, whose sleeps are counted alike (core/migration/blocktime.ts).
 */
import type { Blocktime } from '../migration/blocktime.ts'
import type { MigrateOptions } from './options.ts'

const ms = (ns: number) => ns / 1e6

export function blocktimeReport(blocktime: Blocktime, { capabilities }: MigrateOptions) {
  const [p50 = 0, p99 = 0, p999 = 0, max = 0] = blocktime.quantiles(0.5, 0.99, 0.999, 1)
  return {
    'postcopy-blocktime': ms(blocktime.overlappedNs),
    'postcopy-vcpu-blocktime': Array.from(blocktime.perVcpuNs, ms),
    'postcopy-latency': Math.round(blocktime.meanNs),
    'postcopy-latency-dist': [...blocktime.distribution],
    'postcopy-latency-p50': Math.round(p50),
    'postcopy-latency-p99': Math.round(p99),
    'postcopy-latency-p999': Math.round(p999),
    'postcopy-latency-max': Math.round(max),
    ...(capabilities['postcopy-blocktime']
      ? { 'postcopy-vcpu-latency': blocktime.perVcpuMeanNs.map(Math.round), 'postcopy-non-vcpu-latency': 0 }
      : {}),
  }
}
