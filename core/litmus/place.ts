/**
 * Where in the kernel a step is: the function, and the numbered step of its header.
 *
 * An announcement says what it touches and not where it stands. But whoever announces asks `k.stepping` first, so:
 *
 * 1. While a story is told, `stepping` of each task is a getter that answers yes and keeps the stack of whoever asked. The last
 *    one to ask before a task stops is the place of its pending access.
 * 2. The innermost function that is not itself a lock, and that has a kernel name or numbered steps, is the place; the functions
 *    around it are its callers.
 * 3. The host knows the source text of a stack's line, from the files or from a bundle's source map. There the function's
 *    `@kernel` tag and the nearest `// 8.` above the line are read, so the numbers cannot differ from those of the code.
 * Without that (a browser, whose bundle has no source beside it) the function's own name is all there is, or nothing.
 */
import type { Execution } from '../engine/execution.ts'
import type { Task } from '../engine/task.ts'

/** A line of the source. */
export interface SourceLine {
  /** From the project's folder: `core/mm/rmap.ts`. */
  readonly path: string
  /** The whole file. */
  readonly text: string
  /** From 1. */
  readonly line: number
}

/** The source of a place in the running program, as a stack names it; null if it is not known. */
export type SourceFinder = (file: string, line: number, column: number) => SourceLine | null

export interface Place {
  /** The kernel's name where there is one, else the name of the function here. */
  readonly function: string
  /** The number in the header's list: `8`; null where the line stands before the first or there is no list. */
  readonly step: string | null
  readonly path: string | null
  readonly line: number | null
  /** The functions that called it, innermost first. */
  readonly callers: readonly string[]
}

interface Frame {
  readonly name: string
  readonly file: string
  readonly line: number
  readonly column: number
}

/** Keeps where each task of an execution last asked whether it is to announce. */
export class PlaceWatch {
  readonly #stacks = new Map<Task, string>()
  readonly #watched = new Set<Task>()

  /** Call before every step: tasks may be added at any. */
  watch(execution: Execution): void {
    for (const task of execution.tasks) {
      if (this.#watched.has(task)) continue
      this.#watched.add(task)
      Object.defineProperty(task, 'stepping', {
        get: () => {
          this.#stacks.set(task, new Error('place').stack ?? '')
          return true
        },
      })
    }
  }

  /** The stack of the task's pending access; empty where nobody asked. */
  stack(task: Task): string {
    return this.#stacks.get(task) ?? ''
  }

  /** The task goes on: what it asked before is no longer where it is. */
  forget(task: Task): void {
    this.#stacks.delete(task)
  }
}

/** The place of a stack, or null where the stack shows none of the model. */
export function placeOf(stack: string, find: SourceFinder): Place | null {
  const frames = framesOf(stack)
  const places: (Omit<Place, 'callers'> & { readonly isNamed: boolean })[] = []
  let hasSources = false
  for (const { name, file, line, column } of frames) {
    const source = find(file, line, column)
    if (source === null) continue
    hasSources = true
    if (!isModel(source.path)) continue
    const declared = declarationOf(source, name)
    const isNamed = declared !== null && (declared.kernel !== null || declared.step !== null)
    const own = { function: declared?.kernel ?? name, step: declared?.step ?? null, path: source.path, line: source.line }
    places.push({ ...own, isNamed })
  }
  // A helper that the kernel has no name for and whose lines have no numbers is part of whoever called it.
  const at = Math.max(
    0,
    places.findIndex((place) => place.isNamed),
  )
  const here = places[at]
  if (here !== undefined) {
    const { isNamed: _, ...place } = here
    return { ...place, callers: places.slice(at + 1).map((caller) => caller.function) }
  }
  if (hasSources) return null
  // The names of the stack are all that is known of it.
  const named = frames.filter(({ name }) => !ENGINE_NAMES.has(name))
  const [innermost, ...callers] = named
  return innermost === undefined
    ? null
    : { function: innermost.name, step: null, path: null, line: null, callers: callers.map(({ name }) => name) }
}

/** Code of the kernel and of the migration; locks and the engine are how, not where. */
function isModel(path: string): boolean {
  return /^core\/(mm|machine|migration|guest)\//.test(path) && !/\/(mmap_lock|process)\.ts$/.test(path)
}

/** Functions that every stack has, by the names that an unminified bundle keeps. */
const ENGINE_NAMES: ReadonlySet<string> = new Set(['get', 'next', 'lock', 'life', 'advance', 'tellStory', 'touch'])

/** V8's lines `at name (file:line:column)`; another engine's stack has none of these. */
function framesOf(stack: string): Frame[] {
  const frames: Frame[] = []
  for (const found of stack.matchAll(/^\s+at (?:async )?(?:new )?([\w$.#<> ]+?)(?: \[as [^\]]+\])? \((.+):(\d+):(\d+)\)$/gm)) {
    const [, name = '', file = '', line, column] = found
    frames.push({ name: (name.split('.').at(-1) ?? name).replace('#', ''), file, line: Number(line), column: Number(column) })
  }
  return frames
}

/** What the source says of the function `name` around a line: its kernel name, and the numbered step that the line belongs to. */
function declarationOf({ text, line }: SourceLine, name: string): { kernel: string | null; step: string | null } | null {
  const lines = text.split('\n')
  const isDeclaration = new RegExp(
    `^(?:export )?(?:async )?function\\*? ${escaped(name)}\\b|^  (?:\\w+ )*\\*?#?${escaped(name)}\\(`,
  )
  let at = line - 1
  while (at >= 0 && !isDeclaration.test(lines[at] ?? '')) at--
  if (at < 0) return null
  let step: string | null = null
  for (let i = line - 1; i > at && step === null; i--) step = /^\s*\/\/ (\d+)\./.exec(lines[i] ?? '')?.[1] ?? null
  return { kernel: kernelName(lines, at), step }
}

/** The first symbol of the `@kernel` tag in the comment that stands right above a declaration. */
function kernelName(lines: readonly string[], at: number): string | null {
  if (!/\*\/\s*$/.test(lines[at - 1] ?? '')) return null
  for (let i = at - 1; i >= 0; i--) {
    const tag = /@kernel ([A-Za-z_]\w*)/.exec(lines[i] ?? '')
    if (tag !== null) return tag[1] ?? null
    if (/^\s*\/\*\*/.test(lines[i] ?? '')) return null
  }
  return null
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
