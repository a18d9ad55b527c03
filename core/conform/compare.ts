/**
 * Holds an outcome against an expectation: null where it agrees, else both in a few words.
 *
 * An expectation says only what it says: fields, messages or content that it does not name are not looked at. One that
 * says nothing of how the call ends means that it succeeds. Pairs with outcome.ts and case.ts.
 */
import { errnoName } from '../machine/syscall.ts'
import type { Expectation, FieldExpectation, Mask, MessageExpectation } from './case.ts'
import { errnoValue, type Names } from './names.ts'
import type { FieldValue, Message, Outcome } from './outcome.ts'

export interface Difference {
  readonly expected: string
  readonly found: string
}

export function difference(expect: Expectation, outcome: Outcome, names: Names): Difference | null {
  if (agrees(expect, outcome, names)) return null
  return { expected: spellExpectation(expect), found: spellOutcome(outcome, names) }
}

/** Outcomes of calls that ran at once, against expectations in any order. */
export function differenceInAnyOrder(
  expects: readonly Expectation[],
  outcomes: readonly Outcome[],
  names: Names,
): Difference | null {
  const left = [...outcomes]
  for (const expect of expects) {
    const at = left.findIndex((outcome) => agrees(expect, outcome, names))
    if (at < 0) {
      return {
        expected: `in any order: ${expects.map(spellExpectation).join('; ')}`,
        found: outcomes.map((outcome) => spellOutcome(outcome, names)).join('; '),
      }
    }
    left.splice(at, 1)
  }
  return null
}

export function agrees(expect: Expectation, outcome: Outcome, names: Names): boolean {
  if (expect.anything === true) return true
  if (expect.oneOf !== undefined) return expect.oneOf.some((one) => agrees(one, outcome, names))
  if (outcome.blocked !== (expect.blocked ?? false)) return false
  if (expect.signal !== undefined) {
    const { signal } = outcome
    if (signal === null || signal.name !== expect.signal.name || signal.code !== expect.signal.code) return false
    if (signal.address !== names.amount(expect.signal.address)) return false
  } else if (outcome.signal !== null) return false
  if ((expect.errno ?? null) !== outcome.errno) return false
  if (expect.ret !== undefined && outcome.ret !== names.amount(expect.ret)) return false
  for (const [name, field] of Object.entries(expect.fields ?? {}))
    if (!fieldAgrees(field, outcome.fields[name], names)) return false
  if (expect.messages !== undefined && !messagesAgree(expect.messages, outcome.messages, names)) return false
  if (expect.content !== undefined && outcome.content !== contentOf(expect.content, names)) return false
  return framesAgree(expect, outcome, names)
}

function contentOf(content: number | string, names: Names): number | string {
  return typeof content === 'number' ? content : (names.contents.get(content) ?? content)
}

function isMask(expect: FieldExpectation): expect is Mask {
  return typeof expect === 'object' && 'has' in expect
}

/** `-EEXIST` as the kernel writes it into a result field, or an amount. */
function numberOf(expect: number | string, names: Names): number {
  if (typeof expect === 'string' && expect.startsWith('-')) return errnoValue(expect.slice(1))
  return names.amount(expect)
}

function fieldAgrees(expect: FieldExpectation, found: FieldValue | undefined, names: Names): boolean {
  if (found === undefined) return false
  if (isMask(expect)) {
    const bits: readonly (number | string)[] = typeof found === 'number' ? [] : found
    return expect.has.every((bit) => bits.includes(bit)) && !expect.lacks.some((bit) => bits.includes(bit))
  }
  if (typeof expect === 'number' || typeof expect === 'string') {
    return found === numberOf(expect, names)
  }
  if (typeof found === 'number' || found.length !== expect.length) return false
  // Bits have no order, pages have.
  const isBits = found.every((one) => typeof one === 'string')
  return isBits
    ? expect.every((one) => (found as readonly (number | string)[]).includes(one))
    : expect.every((one, i) => one === found[i])
}

function messagesAgree(expects: readonly MessageExpectation[], found: readonly Message[], names: Names): boolean {
  return expects.length === found.length && expects.every((expect, i) => messageAgrees(expect, found[i], names))
}

function messageAgrees(expect: MessageExpectation, found: Message | undefined, names: Names): boolean {
  if (found === undefined || expect.event !== found.event) return false
  if (expect.flags !== undefined) {
    const flags = found.flags ?? []
    if (flags.length !== expect.flags.length || !expect.flags.every((flag) => flags.includes(flag))) return false
  }
  if (expect.thread !== undefined && expect.thread !== found.thread) return false
  for (const key of ['address', 'from', 'to', 'length', 'start', 'end'] as const) {
    const wanted = expect[key]
    if (wanted !== undefined && found[key] !== names.amount(wanted)) return false
  }
  return true
}

function framesAgree(expect: Expectation, outcome: Outcome, names: Names): boolean {
  const found = outcome.frames
  if (expect.sameFrames !== undefined) {
    const wanted = names.frames.get(expect.sameFrames)
    if (wanted === undefined || found === null || found.length !== wanted.length || !wanted.every((pfn, i) => pfn === found[i]))
      return false
  }
  if (expect.otherFrames !== undefined) {
    const not = names.frames.get(expect.otherFrames)
    if (not === undefined || found === null || found.some((pfn) => not.includes(pfn))) return false
  }
  return true
}

/** Without frames, which are other ones in every world. */
export function spellAnswer(outcome: Outcome, names: Names): string {
  return spellOutcome({ ...outcome, frames: null }, names)
}

function spellExpectation(expect: Expectation): string {
  if (expect.oneOf !== undefined) return `one of: ${expect.oneOf.map(spellExpectation).join(' | ')}`
  if (expect.anything === true) return 'anything'
  const parts: string[] = []
  if (expect.blocked === true) parts.push('blocked')
  if (expect.signal !== undefined) parts.push(`${expect.signal.name} code ${expect.signal.code} at ${expect.signal.address}`)
  if (expect.errno !== undefined) parts.push(expect.errno)
  if (expect.ret !== undefined) parts.push(`ret ${expect.ret}`)
  for (const [name, field] of Object.entries(expect.fields ?? {})) parts.push(`${name} ${spellField(field)}`)
  for (const message of expect.messages ?? []) parts.push(spellMessage(message, String))
  if (expect.content !== undefined) parts.push(`content ${expect.content}`)
  if (expect.sameFrames !== undefined) parts.push(`the frames ${expect.sameFrames}`)
  if (expect.otherFrames !== undefined) parts.push(`other frames than ${expect.otherFrames}`)
  return parts.length > 0 ? parts.join(', ') : 'success'
}

function spellField(field: FieldExpectation): string {
  if (isMask(field)) return [...field.has, ...field.lacks.map((bit) => `not ${bit}`)].join('|')
  return typeof field === 'number' || typeof field === 'string' ? String(field) : `[${field.join(' ')}]`
}

function spellMessage(message: MessageExpectation | Message, spell: (value: number | string) => string): string {
  const words: string[] = [message.event]
  if (message.flags !== undefined) words.push(`[${message.flags.join('|')}]`)
  for (const key of ['address', 'from', 'to', 'length', 'start', 'end'] as const) {
    const value = message[key]
    if (value !== undefined) words.push(`${key} ${spell(value)}`)
  }
  if (typeof message.thread === 'string') words.push(`thread ${message.thread}`)
  return words.join(' ')
}

/** In a few words, with names for addresses. */
export function spellOutcome(outcome: Outcome, names: Names): string {
  if (outcome.blocked) return 'blocked'
  const parts: string[] = []
  if (outcome.signal !== null)
    parts.push(`${outcome.signal.name} code ${outcome.signal.code} at ${names.spell(outcome.signal.address)}`)
  if (outcome.errno !== null) parts.push(outcome.errno)
  if (outcome.ret !== null) parts.push(`ret ${names.spell(outcome.ret)}`)
  for (const [name, field] of Object.entries(outcome.fields))
    parts.push(`${name} ${typeof field === 'number' ? (field < 0 ? `-${errnoName(field)}` : field) : `[${field.join(' ')}]`}`)
  for (const message of outcome.messages) parts.push(spellMessage(message, (value) => names.spell(Number(value))))
  if (outcome.content !== null) parts.push(`content ${outcome.content}`)
  if (outcome.frames !== null) parts.push(`frames ${outcome.frames.join(' ')}`)
  return parts.length > 0 ? parts.join(', ') : 'success'
}
