/**
 * A schedule of a litmus test as one word that needs no quotes in a shell, and says all that a replay must know.
 *
 *     two-movers-one-destination:remap-pte-recheck:2x9.3x4.2x6
 *     LITMUS[:PROTECTION,PROTECTION][:@MODEL]:STEPS
 *
 * The protections are those left out. The model stands there only where it is not the litmus test's own. Steps are task ids in
 * the order in which they ran, `3x4` for four steps of task 3. The same steps always give the same word.
 */
import { parseParts, scheduleText } from '../explore/schedulers.ts'
import type { ProtectionName } from '../mm/kconfig.ts'
import { isProtection, PROTECTIONS } from '../mm/kconfig.ts'
import { isMemoryModel, MEMORY_MODELS, type MemoryModel } from '../sync/weak_memory.ts'
import type { Litmus } from './litmus.ts'
import { litmusNamed, MUSEUM } from './museum.ts'

export interface LitmusSchedule {
  readonly litmus: Litmus
  readonly without: readonly ProtectionName[]
  readonly model: MemoryModel
  readonly steps: readonly number[]
}

/** `unknown` and `known`: a word that is none of those it should be one of. */
export type ParsedSchedule =
  | { readonly ok: true; readonly schedule: LitmusSchedule }
  | { readonly ok: false; readonly message: string; readonly unknown?: string; readonly known?: readonly string[] }

/** Longer schedules than this are nobody's; a count in the text cannot ask for more memory than that. */
const MOST_STEPS = 1_000_000

export function spellSchedule({ litmus, without, model, steps }: LitmusSchedule): string {
  const words = [litmus.name]
  if (without.length > 0) words.push([...without].sort().join(','))
  if (model !== litmus.memoryModel) words.push(`@${model}`)
  return [...words, scheduleText(steps, 'x', '.')].join(':')
}

export function parseLitmusSchedule(text: string): ParsedSchedule {
  const fields = text.trim().split(':')
  const [name = '', ...rest] = fields
  const stepText = rest.pop()
  if (stepText === undefined) {
    return { ok: false, message: 'is not a schedule; one looks like LITMUS:PROTECTION:2x9.3x4, and explore prints it' }
  }
  const litmus = litmusNamed(name)
  if (litmus === null) {
    return { ok: false, message: `names no litmus test: ${name}`, unknown: name, known: MUSEUM.map((one) => one.name) }
  }
  let model = litmus.memoryModel
  const without: ProtectionName[] = []
  for (const field of rest) {
    if (field.startsWith('@')) {
      const word = field.slice(1)
      if (!isMemoryModel(word))
        return { ok: false, message: `names no memory model: ${word}`, unknown: word, known: MEMORY_MODELS }
      model = word
      continue
    }
    for (const word of field.split(',')) {
      if (!isProtection(word)) {
        return {
          ok: false,
          message: `names no protection: ${word}`,
          unknown: word,
          known: PROTECTIONS.map((protection) => protection.name),
        }
      }
      without.push(word)
    }
  }
  const steps = parseParts(stepText.split('.'), 'x', MOST_STEPS)
  if (steps === null)
    return { ok: false, message: 'ends in something that is no list of steps; one looks like 2x9.3x4.2 (task 2 nine times, ...)' }
  return { ok: true, schedule: { litmus, without: [...new Set(without)].sort(), model, steps } }
}
