/**
 * The kernel map is what its script writes now, and the script reads tags as the header of kernel_map.mjs says.
 *
 * A stale map fails here with the first line that differs; the remedy is `npm run kernel-map`.
 */
import { describe, expect, it } from 'vitest'
import { coreSources, kernelMap, kernelRows, storedMap } from './kernel_map.mjs'

const files = coreSources()

describe('docs/kernel-map.md', () => {
  it('is not stale: `npm run kernel-map` would change nothing', () => {
    const now = kernelMap(files).split('\n')
    const stored = storedMap().split('\n')
    const at = now.findIndex((line, i) => line !== stored[i])
    expect([at, stored[at]]).toEqual([at, now[at]])
    expect(stored.length).toBe(now.length)
  })

  it('names the patch or version of all that core/mm models', () => {
    const bare = kernelRows(files).filter((row) => row.path.startsWith('core/mm/') && row.source === '')
    expect([...new Set(bare.map((row) => row.path))]).toEqual([])
  })
})

describe('a tag', () => {
  const rows = (text: string) => kernelRows([{ path: 'core/mm/a.ts', text }]).map((r) => `${r.symbol} ${r.here} ${r.source}`)

  it('stands for the declaration behind its comment', () => {
    expect(rows('/** H. */\n/** Does. @kernel do_it, __do_it */\nexport function* doIt(k: Thread) {}\n')).toEqual([
      '__do_it doIt ',
      'do_it doIt ',
    ])
  })

  it('stands for the member of a class, by its class', () => {
    const text =
      '/** H. */\nexport class Tree {\n  /**\n   * Finds.\n   * @kernel find_vma\n   */\n  *find(): void {}\n  /** @kernel vm_mm */\n  readonly mm = 1\n}\n'
    expect(rows(text)).toEqual(['find_vma Tree.find ', 'vm_mm Tree.mm '])
  })

  it('in the header stands for the file, but not beside a declaration of the same symbol', () => {
    expect(rows('/**\n * H. @kernel a, b\n */\n/** @kernel a */\nfunction mine() {}\n')).toEqual(['a mine ', 'b  '])
  })

  it('goes on behind a comma at the end of its line, and drops what follows a name', () => {
    expect(rows('/**\n * H.\n * @kernel a,\n *   b (a tree), c list\n */\n')).toEqual(['a  ', 'b  ', 'c  '])
  })

  it('has the source of its own comment, or of the file', () => {
    const text =
      '/**\n * H. Source: Rik, "a\n * series", 2010. @kernel a\n */\n/** Source: 6.8. @kernel b */\nconst b = 1\n/** @kernel c */\nconst c = 1\n'
    expect(rows(text)).toEqual(['a  Rik, "a series", 2010', 'b b 6.8', 'c c Rik, "a series", 2010'])
  })
})
