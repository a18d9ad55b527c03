/**
 * A report for people: QEMU's words and rounded numbers, a histogram in bpftrace's shape, and the verdict last.
 *
 * The verdict stands last because that is where the eye is when a command ends, and `migrate | tail -1` shows it.
 */
import { formatCount, formatRate, formatSize, formatTime } from '../../base/units.ts'
import type { KernelConsistency, KernelReport } from '../../run/kernel_report.ts'
import type { ConsistencyReport, FaultsReport, Report } from '../../run/report.ts'
import { columnsOf, type Entry, wrap } from '../layout.ts'

const BAR_WIDTH = 40
const GREEN = '\u001b[32m'
const RED = '\u001b[31m'
const PLAIN = '\u001b[0m'

export function reportText(report: Report | KernelReport, command: string, columns: number, colour: boolean): string {
  const { migration, faults, guest, host } = report
  const { ram } = migration
  const ms = (time: number) => formatTime(time * 1e6)
  const entries: Entry[] = [
    { term: 'status', meaning: migration.status },
    {
      term: 'total-time',
      meaning: `${ms(migration['total-time'])}, setup-time ${ms(migration['setup-time'])}, downtime ${ms(migration.downtime)}`,
    },
    {
      term: 'throughput',
      meaning: `${formatRate(ram.mbps * 1e6)}, ${formatSize(ram.transferred)} transferred, ${formatSize(ram.remaining)} remaining`,
    },
    {
      term: 'pages',
      meaning: `${formatCount(ram.normal)} normal, ${formatCount(ram.duplicate)} duplicate, of ${formatCount(guest.pages)}`,
    },
    ...channelEntries(migration),
    ...guestEntries(migration),
    {
      term: 'requests',
      meaning: `${formatCount(ram['postcopy-requests'])} by page faults, ${formatCount(faults.userfault)} userfaults, vCPUs blocked ${ms(migration['postcopy-blocktime'])}`,
    },
    ...('machine' in report ? kernelEntries(report) : [{ term: 'faults', meaning: faultsText(report.faults) }]),
    { term: 'fault latency', meaning: latency(report) },
    {
      term: 'guest',
      meaning:
        `${guest.name}: ${formatCount(guest.opsBefore)} operations before, ${formatCount(guest.opsDuring)} during, ` +
        `${formatCount(guest.opsAfter)} after${Number.isFinite(guest.slowdown) && guest.opsDuring > 0 ? `; ${guest.slowdown.toFixed(2)} times slower during` : ''}`,
    },
    {
      term: 'host',
      meaning: `${host.wallSeconds.toFixed(2)} s, ${formatCount(host.pagesPerSecond)} pages a second, ${formatCount(host.accessesPerSecond)} accesses a second`,
    },
    { term: 'again', meaning: command },
  ]
  const chart = histogram(migration['postcopy-latency-dist'], columns)
  return `${columnsOf(entries, columns, '', 16)}${chart === '' ? '' : `\nFault latency (us)\n${chart}`}\n${verdictText(report.consistency, columns, colour)}`
}

/** What went by other ways than as whole pages on the stream, where it did. */
function channelEntries({ ram, 'xbzrle-cache': xbzrle }: Report['migration']): Entry[] {
  const entries: Entry[] = []
  if (ram['multifd-bytes'] > 0) entries.push({ term: 'multifd', meaning: `${formatSize(ram['multifd-bytes'])} by its channels` })
  if (xbzrle !== undefined) {
    const meaning =
      `${formatCount(xbzrle.pages)} pages found in a cache of ${formatSize(xbzrle['cache-size'])} went as ${formatSize(xbzrle.bytes)}; ` +
      `${formatCount(xbzrle['cache-miss'])} misses, ${formatCount(xbzrle.overflow)} overflows`
    entries.push({ term: 'xbzrle', meaning })
  }
  return entries
}

/** What was done to vCPUs that write, where it was. */
function guestEntries(migration: Report['migration']): Entry[] {
  const entries: Entry[] = []
  const us = migration['dirty-limit-throttle-time-per-round']
  if (us !== undefined) {
    const full = formatTime((migration['dirty-limit-ring-full-time'] ?? 0) * 1000)
    entries.push({
      term: 'dirty limit',
      meaning: `vCPUs sleep up to ${formatTime(us * 1000)} when their ring is full, which takes ${full}`,
    })
  }
  const snapshot = migration['background-snapshot']
  if (snapshot !== undefined) {
    const [mean, max] = [snapshot['write-fault-latency'], snapshot['write-fault-latency-max']].map(formatTime)
    const faults = formatCount(snapshot['write-faults'])
    entries.push({
      term: 'snapshot',
      meaning: `the guest stays at the source; ${faults} stores waited for their page, ${mean} on the average, ${max} at most`,
    })
  }
  return entries
}

/** What was counted on the real kernel only. */
function kernelEntries({ faults, kernel, predicted, migration }: KernelReport): Entry[] {
  const { placingCalls, pagesAPlacingCall, cpuSeconds, recoveries } = kernel
  const entries = [
    {
      term: 'faults',
      meaning: `${formatCount(faults.total)}: ${formatCount(faults.minor)} minor, ${formatCount(faults.major)} major`,
    },
    {
      term: 'kernel',
      meaning:
        `Linux ${kernel.release}; ${formatCount(placingCalls)} placing calls of ${pagesAPlacingCall.toFixed(1)} pages; CPU time ` +
        `${formatTime(cpuSeconds.source * 1e9)} of the source, ${formatTime(cpuSeconds.destination * 1e9)} of the destination` +
        (recoveries === 0 ? '' : `; ${formatCount(recoveries)} recoveries`),
    },
  ]
  if (predicted !== null) {
    const ms = (time: number) => formatTime(time * 1e6)
    const model = predicted.migration
    entries.push({
      term: 'predicted',
      meaning: `total-time ${ms(model['total-time'])} for ${ms(migration['total-time'])}, downtime ${ms(model.downtime)} for ${ms(migration.downtime)}`,
    })
  }
  return entries
}

/** How many faults needed mmap_lock, and why those that could have done without fell back. */
function faultsText({ total, speculative, vmaLock, classic, speculativeAborted }: FaultsReport): string {
  const without =
    speculative > 0 || vmaLock === 0
      ? `${formatCount(speculative)} speculative`
      : `${formatCount(vmaLock)} under a lock of the VMA`
  const reasons = Object.entries(speculativeAborted)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${reason} ${formatCount(count)}`)
  return `${formatCount(total)}: ${without}, ${formatCount(classic)} under mmap_lock${reasons.length === 0 ? '' : ` (${reasons.join(', ')})`}`
}

/** One line a bucket from the first that is not empty to the last; empty where nothing was counted. */
export function histogram(buckets: readonly number[], columns: number): string {
  const first = buckets.findIndex((count) => count > 0)
  const last = buckets.findLastIndex((count) => count > 0)
  if (first < 0) return ''
  const most = Math.max(...buckets)
  const countWidth = formatCount(most).length
  const width = Math.max(4, Math.min(BAR_WIDTH, columns - 18 - countWidth))
  const lines = []
  for (let bucket = first; bucket <= last; bucket++) {
    const count = buckets[bucket] ?? 0
    // A bucket with anything in it shows at least one mark.
    const marks = count === 0 ? 0 : Math.max(1, Math.round((count / most) * width))
    const range = `[${bucket === 0 ? '0' : bucketEdge(bucket)}, ${bucket === buckets.length - 1 ? '...' : bucketEdge(bucket + 1)})`
    lines.push(`${range.padEnd(14)} ${formatCount(count).padStart(countWidth)} |${'@'.repeat(marks).padEnd(width)}|\n`)
  }
  return lines.join('')
}

export function verdictText(consistency: ConsistencyReport | KernelConsistency, columns: number, colour: boolean): string {
  const { loadsChecked, pagesCompared, mismatches, firstViolation, lost } = consistency
  const checked = `${formatCount(loadsChecked)} loads checked, ${formatCount(pagesCompared)} pages compared`
  // No page is wrong, but some are nowhere: what a crash took with it.
  if (consistency.verdict === 'consistent' && lost > 0) {
    const head = `\u2715 ${formatCount(lost)} pages lost`
    return `${colour ? `${RED}${head}${PLAIN}` : head}; what is left is consistent: ${checked}\n`
  }
  // Cut short by the time limit: that nothing was found is no success.
  if (consistency.verdict === 'consistent' && pagesCompared === 0)
    return `no verdict: the run ended before its pages could be compared; ${formatCount(loadsChecked)} loads checked\n`
  if (consistency.verdict === 'consistent')
    return `${colour ? `${GREEN}\u2713 consistent${PLAIN}` : '\u2713 consistent'}: ${checked}\n`
  const counts = (['lost', 'stale', 'torn', 'duplicated', 'misplaced', 'accounting'] as const)
    .map((cause) => ({ cause, count: consistency[cause] ?? 0 }))
    .filter(({ count }) => count > 0)
    .map(({ cause, count }) => `${formatCount(count)} ${cause}`)
  const head = `${colour ? `${RED}\u2715 inconsistent${PLAIN}` : '\u2715 inconsistent'}: ${formatCount(mismatches)} mismatch${mismatches === 1 ? '' : 'es'} (${counts.join(', ')}); ${checked}\n`
  return firstViolation === null ? head : `${head}${wrap(`first: ${firstViolation.message}`, columns, '  ')}\n`
}

/** Lower edge of a log2 bucket, as bpftrace writes it: 1K is 1024. */
function bucketEdge(bucket: number): string {
  const us = 2 ** bucket
  return us < 1024 ? `${us}` : us < 2 ** 20 ? `${us / 1024}K` : `${us / 2 ** 20}M`
}

function latency({ migration }: Report | KernelReport): string {
  if (migration['postcopy-latency-max'] === 0) return 'no remote fault'
  const at = (name: 'p50' | 'p99' | 'p999' | 'max') => `${name} ${formatTime(migration[`postcopy-latency-${name}`])}`
  return `mean ${formatTime(migration['postcopy-latency'])}, ${at('p50')}, ${at('p99')}, ${at('p999')}, ${at('max')}`
}
