/**
 * Numbers as people read them: always with a unit, and always the same width for the same kind of value where it moves.
 * Times are nanoseconds of simulated time; sizes are powers of 1024, rates powers of 1000, as the command line has them.
 */
/** An event's kind where room is short: the one long name has a short form. */
export const formatKind = (kind: string): string => (kind === 'RequestReceived' ? 'Req. taken' : kind)

const COUNT = new Intl.NumberFormat('en-US')

export const formatCount = (count: number): string => COUNT.format(count)

/** `412 ns`, `412.3 µs`, `12.345 ms`, `1.234 s`. */
export function formatTime(ns: number): string {
  if (ns < 1e3) return `${Math.round(ns)} ns`
  if (ns < 1e6) return `${(ns / 1e3).toFixed(1)} µs`
  if (ns < 1e9) return `${(ns / 1e6).toFixed(3)} ms`
  return `${(ns / 1e9).toFixed(3)} s`
}

/** For axes: no more digits than the step between two ticks needs. */
export function formatTick(ns: number, stepNs: number): string {
  if (ns === 0) return '0'
  const [unit, size] = stepNs >= 1e9 ? ['s', 1e9] : stepNs >= 1e6 ? ['ms', 1e6] : stepNs >= 1e3 ? ['µs', 1e3] : ['ns', 1]
  return `${COUNT.format(Math.round(ns / size))} ${unit}`
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  let value = bytes
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || Number.isInteger(value) ? value : value.toFixed(value < 100 ? 1 : 0)} ${units[unit]}`
}

/** `10 Gb/s`, `2.5 Gb/s`. */
export function formatBitRate(bitsPerSec: number): string {
  const units = ['b/s', 'kb/s', 'Mb/s', 'Gb/s', 'Tb/s']
  let unit = 0
  let value = bitsPerSec
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${Number(value.toFixed(1))} ${units[unit]}`
}

/** Megabytes a second, as in QEMU's documents; from bytes in a span of time. */
export const megabytesPerSec = (bytes: number, spanNs: number): number => (spanNs > 0 ? (bytes / spanNs) * 1e3 : 0)

/** Simulated time for each second of real time: `2.50 ms/s`. */
export function formatSpeed(nsPerSec: number): string {
  const [unit, size] = nsPerSec >= 1e9 ? ['s', 1e9] : nsPerSec >= 1e6 ? ['ms', 1e6] : nsPerSec >= 1e3 ? ['µs', 1e3] : ['ns', 1]
  return `${(nsPerSec / size).toPrecision(3)} ${unit}/s`
}

function groupHex(value: number, digits: number): string {
  return `0x${value
    .toString(16)
    .padStart(digits, '0')
    .replace(/\B(?=(.{4})+$)/g, '_')}`
}

/** A page's number: `0x1f3`. */
export const formatPage = (page: number): string => groupHex(page, 1)

/** A page's first byte in the guest's RAM block: `0x001f_3000`. */
export const formatAddress = (page: number): string => groupHex(page * 4096, 8)

/** Three digits: more would be noise on a real machine. */
export function formatMs(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toPrecision(3)} s` : `${Number(ms.toPrecision(3))} ms`
}
