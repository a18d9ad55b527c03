/**
 * Sizes, rates, times, shares and counts as people write them: `64M`, `10Gbps`, `1.2GB/s`, `150us`, `5%`.
 *
 * parseX reads a word and answers the value or half a sentence that says what is wrong, with an example. spellX writes
 * the shortest word that parseX reads back as exactly the same value (for command lines that repeat a run); formatX
 * rounds for people's eyes. A bare number where a unit is needed is refused: nobody remembers whose default it was.
 * Sizes count in powers of 1024, rates in powers of 1000 except where an `i` says otherwise (MiB/s).
 */

export type Parsed = { readonly ok: true; readonly value: number } | { readonly ok: false; readonly message: string }

const LARGEST_RATE = 1e15
const LARGEST_OPS_RATE = 1e12

/** Bytes. */
export function parseSize(text: string): Parsed {
  const example = '64M'
  const split = splitNumber(text, 'size', example)
  if (!split.ok) return split
  const unit = /^([kmgtp]?)(i?b)?$/i.exec(split.unit)
  const prefix = unit?.[1]?.toUpperCase() ?? ''
  const isLone = prefix === '' && unit?.[2]?.toLowerCase() !== 'b'
  if (!unit || isLone) return unknownUnit(split.unit, 'k, M, G, KiB, MiB or GiB', example)
  const value = split.number * 1024 ** ' KMGTP'.indexOf(prefix || ' ')
  if (value > Number.MAX_SAFE_INTEGER) return tooLarge(example)
  return Number.isInteger(value) ? good(value) : bad(`is not a whole number of bytes; write for example ${example}`)
}

/** Bits a second, written in bits or in bytes. */
export function parseRate(text: string): Parsed {
  const example = '10Gbps or 200MiB/s'
  const split = splitNumber(text, 'rate', example)
  if (!split.ok) return split
  const unit = /^([kKmMgGtT]?)(i?)(b|bit|B)(ps|\/s)$/.exec(split.unit)
  const prefix = unit?.[1]?.toUpperCase() ?? ''
  if (!unit || (unit[2] === 'i' && prefix === '')) return unknownUnit(split.unit, 'Mbps, Gbps, MB/s or MiB/s', example)
  const step = unit[2] === 'i' ? 1024 : 1000
  const value = split.number * step ** ' KMGT'.indexOf(prefix || ' ') * (unit[3] === 'B' ? 8 : 1)
  if (value > LARGEST_RATE) return tooLarge(example)
  return whole(value, 'a bit a second', example)
}

/** Operations a second. */
export function parseOpsRate(text: string): Parsed {
  const example = '200k/s'
  const split = splitNumber(text, 'rate of operations', example)
  if (!split.ok) return split
  const unit = /^([kKmMgG]?)(?:ops?)?\/s$/.exec(split.unit)
  if (!unit) return unknownUnit(split.unit, '/s, k/s or M/s', example)
  const value = split.number * 1000 ** ' KMG'.indexOf(unit[1]?.toUpperCase() || ' ')
  if (value > LARGEST_OPS_RATE) return tooLarge(example)
  return whole(value, 'an operation a second', example)
}

const NS_PER_UNIT: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  '\u00b5s': 1e3,
  '\u03bcs': 1e3,
  ms: 1e6,
  s: 1e9,
  min: 60e9,
  h: 3600e9,
}

/** Nanoseconds. */
export function parseTime(text: string): Parsed {
  const example = '150us, 300ms or 2s'
  const split = splitNumber(text, 'time', example)
  if (!split.ok) return split
  const scale = Object.hasOwn(NS_PER_UNIT, split.unit) ? NS_PER_UNIT[split.unit] : undefined
  if (scale === undefined) return unknownUnit(split.unit, 'ns, us, ms or s', example)
  const value = split.number * scale
  if (value > Number.MAX_SAFE_INTEGER) return tooLarge(example)
  return whole(value, 'a nanosecond', example)
}

/** A number from 0 to 1, written as one or as a percentage. */
export function parseShare(text: string): Parsed {
  const example = '5% or 0.05'
  const match = /^(\d+(?:\.\d+)?|\.\d+)\s*(%?)$/.exec(text.trim())
  if (!match) return notNumber(text, 'share', example)
  const value = Number(match[1]) / (match[2] === '%' ? 100 : 1)
  return value <= 1 ? good(value) : bad(`is more than the whole; write for example ${example}`)
}

/** A whole number within bounds; digits may be grouped, 65,536 or 65_536. */
export function parseCount(text: string, min = 0, max = Number.MAX_SAFE_INTEGER): Parsed {
  const example = String(Math.max(min, 1))
  if (/^-\s*[\d.]/.test(text.trim())) return bad(`must be at least ${min}, for example ${example}`)
  if (!/^(\d+|\d{1,3}([,_]\d{3})+)$/.test(text)) return bad(`is not a whole number, for example ${example}`)
  const value = Number(text.replace(/[,_]/g, ''))
  if (value < min) return bad(`must be at least ${min}`)
  return value <= max ? good(value) : bad(`must be at most ${max}`)
}

/** The shortest word that parseSize reads back as exactly this. */
export function spellSize(bytes: number): string {
  return spell(
    bytes,
    [
      ['P', 1024 ** 5],
      ['T', 1024 ** 4],
      ['G', 1024 ** 3],
      ['M', 1024 ** 2],
      ['k', 1024],
      ['B', 1],
    ],
    parseSize,
  )
}

/** The shortest word that parseRate reads back as exactly this. */
export function spellRate(bitsPerSec: number): string {
  return spell(
    bitsPerSec,
    [
      ['Tbps', 1e12],
      ['Gbps', 1e9],
      ['Mbps', 1e6],
      ['kbps', 1e3],
      ['bps', 1],
    ],
    parseRate,
  )
}

/** The shortest word that parseTime reads back as exactly this. */
export function spellTime(ns: number): string {
  return spell(
    ns,
    [
      ['s', 1e9],
      ['ms', 1e6],
      ['us', 1e3],
      ['ns', 1],
    ],
    parseTime,
  )
}

/** `703 MiB`, QEMU's words for sizes. */
export function formatSize(bytes: number): string {
  return scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'])
}

/** `9.87 Gbps`. */
export function formatRate(bitsPerSec: number): string {
  return scaled(bitsPerSec, 1000, ['bps', 'kbps', 'Mbps', 'Gbps', 'Tbps', 'Pbps'])
}

/** `412 us`. */
export function formatTime(ns: number): string {
  return scaled(ns, 1000, ['ns', 'us', 'ms', 's'])
}

/** `1,048,576`; a fraction is rounded off. */
export function formatCount(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',')
}

type Split =
  | { readonly ok: true; readonly number: number; readonly unit: string }
  | { readonly ok: false; readonly message: string }

function splitNumber(text: string, noun: string, example: string): Split {
  const match = /^(\d+(?:\.\d+)?|\.\d+)\s*(\S*)$/.exec(text.trim())
  if (!match) return notNumber(text, noun, example)
  if (match[2] === '') return bad(`needs a unit, for example ${example}`)
  return { ok: true, number: Number(match[1]), unit: match[2] ?? '' }
}

function notNumber(text: string, noun: string, example: string): { ok: false; message: string } {
  if (/^-\s*[\d.]/.test(text.trim())) return bad(`must not be negative, for example ${example}`)
  return bad(`is not a ${noun}, for example ${example}`)
}

function unknownUnit(unit: string, known: string, example: string): { ok: false; message: string } {
  const shown = unit.length > 12 ? `${unit.slice(0, 12)}...` : unit
  return bad(`has an unknown unit '${shown}' (${known}), for example ${example}`)
}

function tooLarge(example: string): { ok: false; message: string } {
  return bad(`is larger than anything here can be; write for example ${example}`)
}

/** Rounds what decimal fractions left over, but refuses a value finer than the smallest unit. */
function whole(value: number, smallest: string, example: string): Parsed {
  if (value > 0 && value < 0.5) return bad(`is finer than ${smallest}; write for example ${example}`)
  return good(Math.round(value))
}

function spell(value: number, units: readonly (readonly [string, number])[], parse: (text: string) => Parsed): string {
  // The last unit is the smallest and always exact.
  let shortest = `${value}${units[units.length - 1]?.[0] ?? ''}`
  for (const [unit, scale] of units) {
    const word = `${value / scale}${unit}`
    if (value < scale || word.length >= shortest.length) continue
    const back = parse(word)
    if (back.ok && back.value === value) shortest = word
  }
  return shortest
}

/** Three digits are what an eye takes in; more only where the unit ends the list. */
function scaled(value: number, step: number, units: readonly string[]): string {
  let power = 0
  // 999.5 would be shown as 1000: the next unit shows it better.
  while (power < units.length - 1 && Math.abs(value) >= step - 0.5) {
    value /= step
    power++
  }
  const size = Math.abs(value)
  const digits = power === 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${units[power] ?? ''}`
}

function good(value: number): { ok: true; value: number } {
  return { ok: true, value }
}

function bad(message: string): { ok: false; message: string } {
  return { ok: false, message }
}
