/**
 * The areas of a process's memory, as /proc/PID/maps tells them; addresses are numbers of pages.
 *
 *     55d0c2a1e000-55d0c2a3f000 rw-p 00000000 00:00 0          [heap]
 *
 * Private memory is what migrates with a guest; shared memory belongs to others, too, and what the kernel maps is its own.
 * Source: Documentation/filesystems/proc.rst; man 5 proc_pid_maps
 */
import { readFileSync } from 'node:fs'
import type { AreaKind, CapturedArea } from '../../../core/guest/capture.ts'

const LINE = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+\s*(.*)$/
/** Addresses end with three digits that are zero. */
const PAGE_DIGITS = 3

/** Empty where the process is none any more. Throws a Node error where it may not be read. */
export function processAreas(pid: number): CapturedArea[] {
  return parseMaps(readFileSync(`/proc/${pid}/maps`, 'latin1'))
}

export function parseMaps(text: string): CapturedArea[] {
  return text.split('\n').flatMap((line) => {
    const found = LINE.exec(line)
    if (found === null) return []
    const [, from = '', to = '', perms = '', name = ''] = found
    const start = pageOf(from)
    return [{ start, pages: pageOf(to) - start, perms, kind: kindOf(perms, name) }]
  })
}

function pageOf(address: string): number {
  return Number.parseInt(address.slice(0, -PAGE_DIGITS) || '0', 16)
}

function kindOf(perms: string, name: string): AreaKind {
  if (!perms.endsWith('p')) return 'other'
  if (name === '' || name.startsWith('[anon') || name.startsWith('/anon_hugepage')) return 'anonymous'
  if (name === '[heap]') return 'heap'
  if (name.startsWith('[stack')) return 'stack'
  // [vdso], [vvar], [vsyscall], [uprobes]
  return name.startsWith('[') ? 'other' : 'private file'
}
