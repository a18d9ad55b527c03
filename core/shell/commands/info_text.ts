/**
 * `info migrate` in the layout of QEMU 10.1, line for line, so that what people know and what their scripts grep holds.
 *
 * Post-copy lines appear once there was a remote fault, as they do there. Source: migration-hmp-cmds.c, by its output.
 */
import type { RunReport } from '../../run/report.ts'

export function infoMigrateText(report: RunReport): string {
  const { migration } = report
  const { ram } = migration
  const lines = [
    `Status: ${migration.status}`,
    `Time (ms): total=${whole(migration['total-time'])}, setup=${whole(migration['setup-time'])}, down=${whole(migration.downtime)}`,
    'RAM info:',
    `  Throughput (Mbps): ${ram.mbps.toFixed(2)}`,
    `  Sizes: pagesize=${size(ram['page-size'])}, total=${size(ram.total)}`,
    `  Transfers: transferred=${size(ram.transferred)}, remain=${size(ram.remaining)}`,
    `    Channels: precopy=${size(ram['precopy-bytes'])}, multifd=0 B, postcopy=${size(ram['postcopy-bytes'])}`,
    `    Page Types: normal=${ram.normal}, zero=${ram.duplicate}`,
    `  Page Rates (pps): transfer=${whole(ram['pages-per-second'])}`,
    `  Others: dirty_syncs=${ram['dirty-sync-count']}, postcopy_req=${ram['postcopy-requests']}`,
  ]
  if (ram['postcopy-requests'] > 0 || migration['postcopy-blocktime'] > 0) {
    lines.push(
      `Postcopy Blocktime (ms): ${whole(migration['postcopy-blocktime'])}`,
      `Postcopy vCPU Blocktime (ms): [${migration['postcopy-vcpu-blocktime'].map(whole).join(', ')}]`,
      `Postcopy Latency (us): ${whole(migration['postcopy-latency'] / 1000)}`,
      'Postcopy Latency Distribution:',
      ...migration['postcopy-latency-dist'].map(
        (count, bucket) => `  [ ${edge(bucket)} - ${edge(bucket + 1)} ]: ${String(count).padStart(10)}`,
      ),
    )
  }
  return `${lines.join('\n')}\n`
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
