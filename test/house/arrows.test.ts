/**
 * The project keeps its house rules: import arrows, file headers, words banned in core, length of files.
 *
 * Each rule runs over every source of core, main and renderer, and over a planted offence that it must find. Pairs with rules.ts.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { blankCommentsAndStrings } from './blank.ts'
import {
  generatorOffences,
  headerOffences,
  importOffences,
  lengthOffences,
  MAX_LINES,
  parkedOffences,
  type SourceFile,
  shown,
  wordOffences,
} from './rules.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SOURCES = ['core', 'main', 'renderer'].flatMap(sourcesOf)

function sourcesOf(folder: string): SourceFile[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(?:ts|tsx|mjs)$/.test(path))
    .map((path) => ({ path: `${folder}/${path.replaceAll('\\', '/')}`, text: readFileSync(join(ROOT, folder, path), 'utf8') }))
}

function planted(path: string, text: string): SourceFile[] {
  return [{ path, text }]
}

describe('the project', () => {
  it('is there to be checked', () => {
    for (const world of ['core/', 'main/', 'renderer/']) {
      expect(SOURCES.filter(({ path }) => path.startsWith(world)).length, world).toBeGreaterThan(3)
    }
  })

  it('imports along the arrows only', () => expect(shown(importOffences(SOURCES))).toBe(''))

  it('opens every file with a header', () => expect(shown(headerOffences(SOURCES))).toBe(''))

  it('uses no banned word in core', () => {
    expect(shown(wordOffences(SOURCES.filter(({ path }) => path.startsWith('core/'))))).toBe('')
  })

  it('makes no generator function anew in what a search runs', () => {
    const run = SOURCES.filter(({ path }) => /^core\/(?:sync|hw|mm|machine|migration|litmus)\//.test(path))
    expect(shown(generatorOffences(run))).toBe('')
  })

  it('asks the engine alone whether a task is parked', () => {
    expect(shown(parkedOffences(SOURCES.filter(({ path }) => path.startsWith('core/'))))).toBe('')
  })

  it(`has no file over ${MAX_LINES} lines`, () => expect(shown(lengthOffences(SOURCES))).toBe(''))
})

describe('the rule about generators', () => {
  it.each([
    ['function* a() {}', ''],
    ['export function* a() {}', ''],
    ['class A {\n  *a() {}\n}', ''],
    ['function a() {\n  function* b() {}\n}', 'core/mm/a.ts:2: makes a generator function inside another function'],
    ['const a = (b) => c(function* () {})', 'core/mm/a.ts:1: makes a generator function inside another function'],
  ])('of %s says "%s"', (text, what) => {
    expect(shown(generatorOffences(planted('core/mm/a.ts', text)))).toBe(what)
  })
})

describe('the rule about parked tasks', () => {
  it.each([
    ['core/mm/a.ts', 'if (k.parked) yield BLOCK', 'core/mm/a.ts:1: looks at parked, which leaves no footprint'],
    ['core/mm/a.ts', 'yield* k.block() // k.parked', ''],
    ['core/engine/a.ts', 'if (this.parked) yield BLOCK', ''],
  ])('of %s, %s, says "%s"', (path, text, what) => {
    expect(shown(parkedOffences(planted(path, text)))).toBe(what)
  })
})

describe('the import rule', () => {
  it.each([
    ['core/hw/tlb.ts', "import { a } from '../mm/rmap.ts'", 'core/hw may not import core/mm/rmap.ts'],
    ['core/guest/kv.ts', "import type { A } from '../migration/source.ts'", 'core/guest may not import core/migration/source.ts'],
    ['core/explore/dfs.ts', "export { a } from '../mm/vma.ts'", 'core/explore may not import core/mm/vma.ts'],
    ['core/mm/vma.ts', "const a = await import('../api/session.ts')", 'core/mm may not import core/api/session.ts'],
    ['core/mm/vma.ts', "import '../../renderer/state.ts'", 'core/mm may not import renderer/state.ts'],
    ['core/base/bits.ts', "import { assert } from 'node:assert'", 'core/base may not import node:assert'],
    ['core/mm/vma.ts', "import { z } from 'zod'", 'core/mm may not import zod'],
    ['renderer/app.tsx', "import { a } from '../core/mm/vma.ts'", 'renderer may import only core/api, not core/mm/vma.ts'],
    [
      'renderer/app.tsx',
      "import { a } from '../core/shell/registry.ts'",
      'renderer may import only core/api, not core/shell/registry.ts',
    ],
    ['renderer/app.tsx', "import { a } from 'node:fs'", 'renderer may not import node:fs'],
    ['renderer/app.tsx', "import { a } from '../main/web/serve.ts'", 'renderer may not import main/web/serve.ts'],
    [
      'main/cli/main.ts',
      "import { a } from '../../core/run/options.ts'",
      'main may import only core/api, not core/run/options.ts',
    ],
    [
      'main/desktop/menu.ts',
      "import { app } from 'electron'",
      'only main/desktop/main.ts and main/desktop/preload.ts may import electron',
    ],
  ])('finds what %s may not do: %s', (path, text, what) => {
    expect(importOffences(planted(path, `/** x */\n${text}\n`))).toEqual([{ path, line: 2, what }])
  })

  it.each([
    ['core/mm/vma.ts', "import { a } from '../base/bits.ts'"],
    ['core/run/drive.ts', "import { a } from '../trace/recorder.ts'"],
    ['core/shell/registry.ts', "import { closest } from 'fastest-levenshtein'"],
    ['main/cli/host.ts', "import { HostError } from '../../core/shell/host.ts'"],
    ['renderer/app.tsx', "import { a } from '../core/api/protocol.ts'"],
    ['renderer/browser_host.ts', "import { HostError } from '../core/shell/host.ts'"],
    ['core/mm/vma.ts', "// import { a } from '../api/session.ts'"],
    ['core/mm/vma.ts', "const ends = ['from', 'to']"],
  ])('lets %s do: %s', (path, text) => expect(importOffences(planted(path, text))).toEqual([]))
})

describe('the header rule', () => {
  it('finds a file without one', () => {
    expect(headerOffences(planted('core/a.ts', "import type { A } from './b.ts'\n"))).toHaveLength(1)
  })

  it('finds one of a single line', () => expect(headerOffences(planted('core/a.ts', '/** What it is. */\n'))).toHaveLength(1))

  it('takes one of two lines, also behind a shebang', () => {
    expect(headerOffences(planted('main/a.mjs', '#!/usr/bin/env node\n/**\n * What it is.\n * How.\n */\n'))).toEqual([])
  })
})

describe('the word rule', () => {
  it.each([
    'const now = Date.now()',
    'const now: Date = x',
    'const r = Math.random()',
    'const r = Math\n  .random()',
    'setTimeout(() => {}, 1)',
    'setInterval(f, 1)',
    'performance.now()',
    'console.log(1)',
    'process.exit(1)',
    'Buffer.from([1])',
    'window.name',
    'document.title',
    'globalThis.x = 1',
    "require('fs')",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the planted source has a template
    'const text = `at ${Date.now()}`',
    "const pattern = /'/g; Date.now() // '",
  ])('finds the word in: %s', (code) => expect(wordOffences(planted('core/a.ts', code))).toHaveLength(1))

  it.each([
    '// Date, Math.random and setTimeout stay out',
    "const message = 'no Date here'",
    'const text = `Date`',
    'const update = dateOf(x)',
    'machine.process.exit()',
    'interface Link { window: number }',
    'function exit(process: Process) { process.exit() }',
    'const process = processOf(machine)\nprocess.exit()',
    'const pattern = /Date/',
  ])('finds nothing in: %s', (code) => expect(shown(wordOffences(planted('core/a.ts', code)))).toBe(''))
})

describe('the length rule', () => {
  it('finds one line too many', () => {
    const text = 'x\n'.repeat(MAX_LINES)
    expect(lengthOffences(planted('core/a.ts', text))).toEqual([])
    expect(lengthOffences(planted('core/a.ts', `${text}x\n`))).toEqual([
      { path: 'core/a.ts', line: MAX_LINES + 1, what: `has ${MAX_LINES + 1} lines, of at most ${MAX_LINES}` },
    ])
  })
})

describe('blanking', () => {
  it('keeps every position and line', () => {
    const text = "const a = 'x' // y\n/* z\n */ const b = a / 2 / c\n"
    expect(blankCommentsAndStrings(text)).toBe('const a =         \n    \n    const b = a / 2 / c\n')
  })
})
