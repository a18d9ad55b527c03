/**
 * An outcome as an expectation: what a case says whose answers were taken from a world instead of being written by a person.
 *
 * Numbers of that world (addresses, descriptors) become names, so that another world can be held against it. Frames are left out:
 * which one a page gets is nobody's promise.
 */
import { errnoName } from '../machine/syscall.ts'
import type { Expectation, FieldExpectation, MessageExpectation } from './case.ts'
import type { Names } from './names.ts'
import type { FieldValue, Message, Outcome } from './outcome.ts'

/** `child` names the descriptor of a fork's message. */
export function expectationOf(outcome: Outcome, names: Names, child: string): Expectation {
  if (outcome.blocked) return { blocked: true }
  const { signal, errno, ret, fields, messages, content } = outcome
  if (signal !== null) return { signal: { name: signal.name, code: signal.code, address: names.spell(signal.address) } }
  const seen = Object.entries(fields).map(([name, value]) => [name, fieldOf(value)] as const)
  return {
    ...(errno !== null && { errno }),
    ...(ret !== null && { ret: names.spell(ret) }),
    ...(seen.length > 0 && { fields: Object.fromEntries(seen) }),
    ...(messages.length > 0 && { messages: messages.map((message) => messageOf(message, names, child)) }),
    ...(content !== null && { content }),
  }
}

function fieldOf(value: FieldValue): FieldExpectation {
  if (typeof value !== 'number') return [...value]
  return value < 0 ? `-${errnoName(value)}` : value
}

function messageOf(message: Message, names: Names, child: string): MessageExpectation {
  const { event, flags, thread, descriptor } = message
  const amounts = (['address', 'from', 'to', 'length', 'start', 'end'] as const).flatMap((key) => {
    const value = message[key]
    return value === undefined ? [] : [[key, names.spell(value)] as const]
  })
  return {
    event,
    ...(flags !== undefined && { flags }),
    ...(thread !== undefined && thread !== null && { thread }),
    ...Object.fromEntries(amounts),
    ...(descriptor !== undefined && { as: child }),
  }
}
