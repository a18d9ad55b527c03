/**
 * The source text of a place in this program: from its source map where it is a bundle, from the file where it runs unbundled.
 *
 * Read when a story is told, and never before: maps are large. A file that is not there, or that lies outside the project, has
 * no source.
 */
import { existsSync, readFileSync } from 'node:fs'
import { SourceMap, type SourceMapPayload } from 'node:module'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Host } from '../../core/shell/host.ts'

type Line = ReturnType<NonNullable<Host['sourceAt']>>

interface Mapped {
  readonly map: SourceMap
  readonly payload: SourceMapPayload
}

/** A finder for a project that lies in `root`. */
export function sourceFinder(root: string): NonNullable<Host['sourceAt']> {
  const maps = new Map<string, Mapped | null>()
  const texts = new Map<string, string | null>()
  const textOf = (path: string) => remembered(texts, path, () => (existsSync(path) ? readFileSync(path, 'utf8') : null))
  const mapOf = (path: string) => remembered(maps, path, () => readMap(`${path}.map`))
  return (file, line, column) => {
    if (file.startsWith('node:')) return null
    const path = file.startsWith('file:') ? fileURLToPath(file) : file
    const mapped = mapOf(path)
    if (mapped === null) return placed(root, path, textOf(path), line)
    const entry = mapped.map.findEntry(line - 1, column - 1)
    if (!('originalSource' in entry)) return null
    const source = entry.originalSource
    const text = mapped.payload.sourcesContent[mapped.payload.sources.indexOf(source)]
    // Relative to the folder in which the bundle was built, which is another one by now; all of them lie in the project.
    return placed(root, join(root, source.replace(/^(?:\.\.\/)+/, '')), text ?? null, entry.originalLine + 1)
  }
}

function placed(root: string, path: string, text: string | null, line: number): Line {
  const inside = relative(root, path).replaceAll('\\', '/')
  return text === null || inside.startsWith('..') ? null : { path: inside, text, line }
}

function readMap(path: string): Mapped | null {
  if (!existsSync(path)) return null
  const payload: SourceMapPayload = JSON.parse(readFileSync(path, 'utf8'))
  return { map: new SourceMap(payload), payload }
}

function remembered<T>(kept: Map<string, T>, key: string, make: () => T): T {
  const known = kept.get(key)
  if (known !== undefined) return known
  const made = make()
  kept.set(key, made)
  return made
}
