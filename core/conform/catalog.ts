/**
 * All cases: the data files, read and checked once, and the choice of some by what people type.
 *
 * The files are imported, so that they travel inside every bundle and a browser runs the same cases as the command line.
 */
import type { CaseGroup, ConformCase } from './case.ts'
import api from './cases/api.json'
import base from './cases/base.json'
import copy from './cases/copy.json'
import events from './cases/events.json'
import faults from './cases/faults.json'
import move from './cases/move.json'
import register from './cases/register.json'
import remap from './cases/remap.json'
import { readGroup } from './reader.ts'

const FILES: Readonly<Record<string, unknown>> = { api, register, copy, faults, events, move, remap, base }

let groups: readonly CaseGroup[] | null = null

export function caseGroups(): readonly CaseGroup[] {
  groups ??= Object.entries(FILES).map(([name, data]) => readGroup(data, `cases/${name}.json`))
  return groups
}

/**
 * The cases that a word names: a whole id, a group (`move`), or an assertion's number or letter and number (`30`, `c7`).
 * Empty where the word names none.
 */
export function casesNamed(word: string): readonly ConformCase[] {
  const group = caseGroups().find((one) => one.group === word)
  if (group !== undefined) return group.cases
  return caseGroups().flatMap((one) => one.cases.filter(({ id }) => id === word || id.startsWith(`${word}-`)))
}
