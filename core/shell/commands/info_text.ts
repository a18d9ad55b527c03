/**
 * `info migrate` in the layout of QEMU 10.1, line for line, so that what people know and what their scripts grep holds.
 *
 * Figures that are zero where QEMU leaves them out are left out. `-a` adds what belongs to xbzrle, to auto-converge and dirty-limit, once it has set in,
 * and to post-copy, once there was a remote fault. Source: QEMU, migration/migration-hmp-cmds.c (hmp_info_migrate, migration_dump_blocktime), by its output.
 */
import type { MigrationReport, RunReport } from '../../run/report.ts'

/** vCPUs of one line. */
const VCPUS_A_LINE = 10

export function infoMigrateText({ migration }: RunReport, all: boolean): string {
  const { ram } = migration
  const rates = [`transfer=${whole(ram['pages-per-second'])}`, ...unlessZero('dirty', ram['dirty-pages-rate'])]
  const others = [
    `dirty_syncs=${ram['dirty-sync-count']}`,
    ...unlessZero('postcopy_req', ram['postcopy-requests']),
    ...unlessZero('downtime_bytes', ram['downtime-bytes']),
  ]
  const lines = [
    `Status: ${migration.status}`,
    `Time (ms): total=${whole(migration['total-time'])}, setup=${whole(migration['setup-time'])}, ${downText(migration)}`,
    'RAM info:',
    `  Throughput (Mbps): ${ram.mbps.toFixed(2)}`,
    `  Sizes: pagesize=${size(ram['page-size'])}, total=${size(ram.total)}`,
    `  Transfers: transferred=${size(ram.transferred)}, remain=${size(ram.remaining)}`,
    `    Channels: precopy=${size(ram['precopy-bytes'])}, multifd=${size(ram['multifd-bytes'])}, postcopy=${size(ram['postcopy-bytes'])}`,
    `    Page Types: normal=${ram.normal}, zero=${ram.duplicate}`,
    `  Page Rates (pps): ${rates.join(', ')}`,
    `  Others: ${others.join(', ')}`,
    ...(all
      ? [...xbzrleLines(migration), ...throttleLines(migration), ...dirtyLimitLines(migration), ...blocktimeLines(migration)]
      : []),
  ]
  return `${lines.join('\n')}\n`
}

function downText({ downtime, 'expected-downtime': expected }: MigrationReport): string {
  return expected === undefined ? `down=${whole(downtime)}` : `exp_down=${whole(expected)}`
}

function throttleLines({ 'cpu-throttle-percentage': percentage }: MigrationReport): string[] {
  return percentage === undefined ? [] : [`CPU Throttle (%): ${percentage}`]
}

function xbzrleLines({ 'xbzrle-cache': cache }: MigrationReport): string[] {
  if (cache === undefined) return []
  const rates = [`miss_rate=${cache['cache-miss-rate'].toFixed(2)}`, `encode_rate=${cache['encoding-rate'].toFixed(2)}`]
  return [
    `XBZRLE: size=${cache['cache-size']}, transferred=${cache.bytes}, pages=${cache.pages}, miss=${cache['cache-miss']}`,
    `  ${rates.join(', ')}, overflow=${cache.overflow}`,
  ]
}

function dirtyLimitLines(migration: MigrationReport): string[] {
  const { 'dirty-limit-throttle-time-per-round': throttleUs, 'dirty-limit-ring-full-time': fullUs = 0 } = migration
  if (throttleUs === undefined) return []
  return [`Dirty-limit Throttle (us): ${whole(throttleUs)}`, `Dirty-limit Ring Full (us): ${whole(fullUs)}`]
}

/** @qemu migration_dump_blocktime */
function blocktimeLines(migration: MigrationReport): string[] {
  if (migration.ram['postcopy-requests'] === 0 && migration['postcopy-blocktime'] === 0) return []
  const { 'postcopy-vcpu-latency': latencies, 'postcopy-non-vcpu-latency': other = 0 } = migration
  return [
    `Postcopy Blocktime (ms): ${whole(migration['postcopy-blocktime'])}`,
    'Postcopy vCPU Blocktime (ms):',
    ...vcpuRows(migration['postcopy-vcpu-blocktime']),
    `Postcopy Latency (us): ${whole(migration['postcopy-latency'] / 1000)}`,
    ...(latencies === undefined
      ? []
      : [
          `Postcopy non-vCPU Latencies (us): ${whole(other / 1000)}`,
          'Postcopy vCPU Latencies (us):',
          ...vcpuRows(latencies.map((ns) => ns / 1000)),
        ]),
    'Postcopy Latency Distribution:',
    ...migration['postcopy-latency-dist'].map(
      (count, bucket) => `  [ ${edge(bucket)} - ${edge(bucket + 1)} ]: ${String(count).padStart(10)}`,
    ),
  ]
}

function vcpuRows(values: readonly number[]): string[] {
  const rows: string[] = []
  for (let at = 0; at < values.length; at += VCPUS_A_LINE)
    rows.push(
      values
        .slice(at, at + VCPUS_A_LINE)
        .map(whole)
        .join(', '),
    )
  return [` [${rows.join(',\n  ')}]`]
}

function unlessZero(name: string, value: number): string[] {
  return value === 0 ? [] : [`${name}=${whole(value)}`]
}

function whole(value: number): string {
  return String(Math.round(value))
}

/** Three significant digits and a binary unit, QEMU's size_to_str. */
function size(bytes: number): string {
  const units = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi']
  let power = 0
  while (power < units.length - 1 && bytes >= 1000 * 1024 ** power) power++
  return `${Number((bytes / 1024 ** power).toPrecision(3))} ${units[power] ?? ''}B`
}

/** Lower edge of a bucket; QEMU divides by a thousand and drops the rest. */
function edge(bucket: number): string {
  const us = 2 ** bucket
  const text = us < 1e3 ? `${us} us` : us < 1e6 ? `${Math.floor(us / 1e3)} ms` : `${Math.floor(us / 1e6)} sec`
  return text.padStart(8)
}
