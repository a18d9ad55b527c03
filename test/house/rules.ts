/**
 * The house rules as pure functions over source texts: which folder may import which, what a file must open with, which
 * words core may not use, and how long a file may be.
 *
 * Specifiers are read with a regular expression from the text with its comments blanked; words are looked for with strings
 * blanked too. Each rule answers offences with file and line. arrows.test.ts runs them over the project, and over planted cases.
 */
import { posix } from 'node:path'
import { blankComments, blankCommentsAndStrings } from './blank.ts'

export interface SourceFile {
  /** From the project's folder, with slashes: `core/mm/rmap.ts`. */
  readonly path: string
  readonly text: string
}

export interface Offence {
  readonly path: string
  readonly line: number
  readonly what: string
}

export const MAX_LINES = 400

/** What each folder of core may import directly; what those may import, it may too. */
const CORE_ARROWS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  engine: ['base'],
  trace: ['engine'],
  explore: ['trace'],
  hw: ['trace'],
  sync: ['hw'],
  mm: ['sync'],
  machine: ['mm'],
  guest: ['machine'],
  migration: ['machine'],
  checkers: ['guest', 'migration'],
  run: ['checkers'],
  conform: ['run', 'explore'],
  litmus: ['conform'],
  shell: ['litmus'],
  api: ['shell'],
}

/** Packages that a folder of core may use: pure ES, no DOM and no Node. */
const CORE_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  guest: ['zod'],
  migration: ['pako', '@hpcc-js/wasm-zstd'],
  run: ['simple-statistics'],
  shell: ['fastest-levenshtein', 'yaml', 'zod', 'quickjs-emscripten-core', '@jitl/quickjs-singlefile-mjs-release-sync'],
  api: ['zod'],
}

/** Beyond core/api, a host (the page's worker is one too) may import the door through which it hands its files and clock in. */
const HOST_DOORS: readonly string[] = ['core/shell/host.ts', 'core/shell/host_kernel.ts', 'core/shell/kernel_desk.ts']

/** What the host's kernel (main/kernel) may import of core, beside that. */
const KERNEL_FOLDERS: readonly string[] = ['base', 'engine', 'trace', 'guest', 'hw', 'migration', 'run', 'conform']

/** Electron's module exists only inside Electron. */
const ELECTRON_FILES: readonly string[] = ['main/desktop/main.ts', 'main/desktop/preload.ts']

/** Never in core, under any meaning. */
const BANNED_ALWAYS = ['Date', 'Math.random', 'setTimeout', 'setInterval', 'console', 'Buffer', 'globalThis', 'require']
/** Not in core as the global; a file that declares such a name itself means its own (a model of a process has processes). */
const BANNED_AS_GLOBAL = ['performance', 'process', 'window', 'document']

export function importOffences(files: readonly SourceFile[]): Offence[] {
  return files.flatMap((file) =>
    specifiers(file).flatMap(({ line, specifier }) => {
      const what = importOffence(file.path, specifier)
      return what === null ? [] : [{ path: file.path, line, what }]
    }),
  )
}

export function headerOffences(files: readonly SourceFile[]): Offence[] {
  return files.flatMap(({ path, text }) => {
    const header = /^(?:#!.*\n)?\/\*\*([\s\S]*?)\*\//.exec(text)?.[1]
    if (header === undefined) return [{ path, line: 1, what: 'does not open with a /** header */' }]
    const lines = header.split('\n').filter((line) => /\w/.test(line))
    return lines.length >= 2 ? [] : [{ path, line: 1, what: `its header has ${lines.length} lines of text, of at least 2` }]
  })
}

export function wordOffences(files: readonly SourceFile[]): Offence[] {
  return files.flatMap(({ path, text }) => {
    const code = blankCommentsAndStrings(text)
    const banned = [...BANNED_ALWAYS, ...BANNED_AS_GLOBAL.filter((word) => !declares(code, word))]
    return banned.flatMap((word) =>
      [...code.matchAll(usesOf(word))].map((use) => ({ path, line: lineAt(code, use.index), what: `uses ${word}` })),
    )
  })
}

/** Generator functions made inside functions: docs/decisions/0018. Those of classes and objects stand behind a `*` alone. */
export function generatorOffences(files: readonly SourceFile[]): Offence[] {
  return files.flatMap(({ path, text }) => {
    const code = blankCommentsAndStrings(text)
    return [...code.matchAll(/function\s*\*/g)].flatMap((use) => {
      const lineStart = code.lastIndexOf('\n', use.index) + 1
      const isTop = /^(?:export )?$/.test(code.slice(lineStart, use.index))
      return isTop ? [] : [{ path, line: lineAt(code, use.index), what: 'makes a generator function inside another function' }]
    })
  })
}

/** Looks at a task's `parked` beside the engine, which sees no footprint of them: the question is Task.staysParked's. */
export function parkedOffences(files: readonly SourceFile[]): Offence[] {
  return files.flatMap(({ path, text }) => {
    const code = blankCommentsAndStrings(text)
    const looks = path.startsWith('core/engine/') ? [] : [...code.matchAll(/\.parked\b/g)]
    return looks.map((use) => ({ path, line: lineAt(code, use.index), what: 'looks at parked, which leaves no footprint' }))
  })
}

export function lengthOffences(files: readonly SourceFile[]): Offence[] {
  return files.flatMap(({ path, text }) => {
    const lines = text.replace(/\n$/, '').split('\n').length
    return lines > MAX_LINES ? [{ path, line: lines, what: `has ${lines} lines, of at most ${MAX_LINES}` }] : []
  })
}

/** `path:line: what`, one a line: what a failing test prints. */
export function shown(offences: readonly Offence[]): string {
  return offences.map(({ path, line, what }) => `${path}:${line}: ${what}`).join('\n')
}

function importOffence(from: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return packageOffence(from, specifier)
  const to = posix.join(posix.dirname(from), specifier.split('?', 1)[0] ?? '')
  const world = worldOf(from)
  const target = worldOf(to)
  if (target.world === 'other' || world.world === 'other') return null
  if (world.world === 'core') {
    const allowed = target.world === 'core' && (target.folder === world.folder || reach(world.folder).has(target.folder))
    return allowed ? null : `core/${world.folder} may not import ${to}`
  }
  if (target.world === world.world) return null
  if (target.world === 'core') {
    // The real kernel is a second machine under the same guests, cases and reports; it knows everything left of the shell, and its door.
    const allowed =
      target.folder === 'api' || HOST_DOORS.includes(to) || (world.folder === 'kernel' && KERNEL_FOLDERS.includes(target.folder))
    return allowed ? null : `${world.world} may import only core/api, not ${to}`
  }
  return `${world.world} may not import ${to}`
}

function packageOffence(from: string, specifier: string): string | null {
  const { world, folder } = worldOf(from)
  if (world === 'core' && !(CORE_PACKAGES[folder] ?? []).includes(specifier)) return `core/${folder} may not import ${specifier}`
  if (world === 'renderer' && specifier.startsWith('node:')) return `renderer may not import ${specifier}`
  if (specifier === 'electron' && !ELECTRON_FILES.includes(from))
    return `only ${ELECTRON_FILES.join(' and ')} may import electron`
  return null
}

function worldOf(path: string): { world: 'core' | 'renderer' | 'main' | 'other'; folder: string } {
  const [world = '', folder = ''] = path.split('/')
  return world === 'core' || world === 'renderer' || world === 'main' ? { world, folder } : { world: 'other', folder: '' }
}

/** All folders that `folder` may import, directly or not. */
function reach(folder: string): ReadonlySet<string> {
  const direct = CORE_ARROWS[folder] ?? []
  return new Set(direct.flatMap((next) => [next, ...reach(next)]))
}

function specifiers({ text }: SourceFile): { line: number; specifier: string }[] {
  const code = blankComments(text)
  // A quoted 'from' is a word of somebody's data, not an import's.
  const statement = /(?:(?<!['"])\bfrom\s*|\bimport\s*\(\s*|\bimport\s*|\bnew\s+URL\s*\(\s*)(['"])([^'"\n]+)\1/g
  return [...code.matchAll(statement)].map((found) => ({ line: lineAt(code, found.index), specifier: found[2] ?? '' }))
}

/** The word standing free: not a property of something, not a key. */
function usesOf(word: string): RegExp {
  return new RegExp(`(?<![\\w$.#]|\\?\\.)${word.replace('.', '\\s*\\.\\s*')}(?![\\w$]|\\s*\\??:)`, 'g')
}

function declares(code: string, word: string): boolean {
  return new RegExp(`\\b(?:const|let|var|function|class)\\s+${word}\\b|[({,]\\s*${word}\\s*[:,})?=]|\\b${word}\\s*=>`).test(code)
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}
