/**
 * What a case may see of a puppet's process without changing it: areas, page tables, mapped pages, as /proc tells them.
 *
 * Source: Documentation/filesystems/proc.rst; Documentation/admin-guide/mm/pagemap.rst. Pairs with core/conform/model_observers.ts.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import type { Given } from '../../../core/conform/given.ts'
import { type Outcome, outcomeOf } from '../../../core/conform/outcome.ts'
import { PAGE_BYTES } from '../sys/mapping.ts'
import type { Puppet } from './puppets.ts'

const PRESENT = 1n << 63n
const FRAME_MASK = (1n << 55n) - 1n

export function observe({ pid }: Puppet, given: Given): Outcome {
  const at = given.amount('at', 0)
  const length = given.amount('length', 0)
  switch (given.step.call) {
    case 'vmas':
      return outcomeOf({ ret: areas(pid).filter(([start, end]) => start < at + length && end > at).length })
    case 'pagemap': {
      const frames = framesOf(pid, at, length / PAGE_BYTES)
      return outcomeOf({ frames, fields: { present: frames.map((frame) => (frame >= 0 ? 1 : 0)) } })
    }
    case 'rss':
      return outcomeOf({ ret: anonymousPages(pid) })
    default:
      throw new Error(`no kernel has a call ${given.step.call}`)
  }
}

function areas(pid: number): (readonly [start: number, end: number])[] {
  const lines = readFileSync(`/proc/${pid}/maps`, 'latin1').matchAll(/^([0-9a-f]+)-([0-9a-f]+) /gm)
  return [...lines].map(([, start = '', end = '']) => [Number.parseInt(start, 16), Number.parseInt(end, 16)])
}

/** A frame a page, -1 where none is present; 0 everywhere for those who may not know. */
export function framesOf(pid: number, at: number, pages: number): number[] {
  const entries = Buffer.alloc(8 * pages)
  const file = openSync(`/proc/${pid}/pagemap`, 'r')
  try {
    readSync(file, entries, 0, entries.length, (at / PAGE_BYTES) * 8)
  } finally {
    closeSync(file)
  }
  return Array.from({ length: pages }, (_, i) => {
    const entry = entries.readBigUInt64LE(8 * i)
    return (entry & PRESENT) === 0n ? -1 : Number(entry & FRAME_MASK)
  })
}

/** Of memory that the case mapped: the stack is the puppet's own. */
function anonymousPages(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps`, 'latin1')
  let isCounted = false
  let kilobytes = 0
  for (const line of text.split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isCounted = !line.endsWith(']')
    const found = /^Anonymous:\s+(\d+) kB/.exec(line)
    if (found !== null && isCounted) kilobytes += Number(found[1])
  }
  return (kilobytes * 1024) / PAGE_BYTES
}
