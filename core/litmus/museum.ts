/**
 * The museum: every litmus test there is, in the order in which it is shown.
 *
 * A new one goes into a file of its family under tests/, and here only if the family is new.
 */
import type { Litmus } from './litmus.ts'
import { ANON_VMA } from './tests/anon_vma.ts'
import { PRECOPY } from './tests/precopy.ts'
import { REMAP } from './tests/remap.ts'
import { RMAP } from './tests/rmap.ts'

export const MUSEUM: readonly Litmus[] = [...REMAP, ...RMAP, ...ANON_VMA, ...PRECOPY]

/** The litmus test of that name, or null. */
export function litmusNamed(name: string): Litmus | null {
  return MUSEUM.find((litmus) => litmus.name === name) ?? null
}
