/**
 * docs/locking.md keeps step with the code: it lists the lock classes in the order declared, and each field that is shared.
 *
 * A field or lock without a line fails here; the remedy is to say in docs/locking.md what guards it.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { LOCK_ORDER } from '../../core/mm/lock_order.ts'

const page = readFileSync('docs/locking.md', 'utf8')

/** The rows of the table under a heading, as cells. */
function rowsUnder(heading: string): string[][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((text) => text.trim()),
  )
}

/** Fields and columns of a class: what its body declares at the first level, but for locks' own numbers and constructor parts. */
function fieldsOf(path: string, name: string): string[] {
  const text = readFileSync(path, 'utf8')
  const body = text.slice(text.indexOf(`export class ${name} `)).split(/^}/m)[0] ?? ''
  const fields = body.matchAll(/^ {2}(?:readonly )?([a-z]\w*)(?:: [^(]*?| =.*| = \(.*)$/gm)
  return [...fields].map((field) => field[1] ?? '').filter((field) => field !== 'id')
}

describe('docs/locking.md', () => {
  it('lists every lock class, in the order declared, with what it guards', () => {
    const listed = rowsUnder('The locks').map((cells) => [cells[0], cells[4]])
    expect(listed).toEqual(LOCK_ORDER.map(({ label, guards }) => [`\`${label}\``, guards]))
  })

  it('says of each class whether two nest', () => {
    for (const [i, { label, nesting }] of LOCK_ORDER.entries()) {
      const cell = rowsUnder('The locks')[i]?.[3] ?? ''
      expect(cell === '-' ? 'never' : cell.split(':')[0], label).toBe(nesting)
    }
  })

  it.each([
    ['core/mm/vma.ts', 'Vma', 8],
    ['core/mm/mm.ts', 'Mm', 5],
    ['core/mm/anon_vma.ts', 'AnonVma', 6],
    ['core/mm/page.ts', 'Pages', 5],
    ['core/mm/userfaultfd.ts', 'Userfaultfd', 4],
  ])('says of %s what guards each field of %s', (path, name, atLeast) => {
    const fields = fieldsOf(path, name)
    expect(fields.length).toBeGreaterThanOrEqual(atLeast)
    expect(fields.filter((field) => !page.includes(`\`${name}.${field}\``))).toEqual([])
  })
})
