/**
 * docs/guests.md says of every guest what the catalog says: keys with their fallbacks, what an operation is, what its pages hold.
 *
 * The page is a golden: `npx vitest run test/guest/guests_doc.test.ts -u` writes it anew, and a person reads the difference.
 */
import { expect, it } from 'vitest'
import { GUESTS } from '../../core/guest/catalog.ts'
import type { GuestKind } from '../../core/guest/guest_kind.ts'

function chapter({ name, summary, keys, example, op, content, contentSource }: GuestKind): string {
  const rows = keys.map(({ key, fallback, meaning, unit }) => `| \`${key}\` | ${unit} | ${fallback} | ${meaning} |`)
  return [
    `## ${name}`,
    '',
    `${name}: ${summary}. For example \`--guest ${example}\`.`,
    '',
    '| key | unit | usually | meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
    `An operation, in reports: ${op}. Content of its pages: ${content} (${contentSource}).`,
    '',
  ].join('\n')
}

const HEAD = `# The guests

What \`migrate --guest NAME[:key=value,...]\` runs. This page is made from the guests' own tables (\`core/guest\`); each guest's file opens with its sources and
says which of its numbers are ours. An access in the model stands for a run of accesses to one page.

`

it('docs/guests.md says what the catalog says', async () => {
  await expect(HEAD + GUESTS.map(chapter).join('\n')).toMatchFileSnapshot('../../docs/guests.md')
})
