/**
 * The reader of lackey traces: what each line means, where pages go, and that block edges and valgrind's own lines change nothing.
 *
 * Lines are made here as lackey prints them: two characters of kind, a blank, a hexadecimal address, a comma, a size.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LackeyWorkload, TraceError } from '../../core/guest/lackey.ts'
import { BLOCK_ACCESSES } from '../../core/guest/workload.ts'
import { feedAll, type Line, linesOf, textOf } from './lackey_feed.ts'

const RAM_PAGES = 64

/** Accesses as `page word kind`, a load r and a store w. */
function read(text: string, ramPages = RAM_PAGES): string {
  return feedAll(new LackeyWorkload('t.lackey', 100, ramPages), [text])
    .map((a) => `${a >>> 2}${(a & 2) === 0 ? 'a' : 'b'}${(a & 1) === 0 ? 'r' : 'w'}`)
    .join(' ')
}

function refused(text: string, ramPages = RAM_PAGES): string {
  try {
    feedAll(new LackeyWorkload('t.lackey', 100, ramPages), [text])
  } catch (error) {
    if (error instanceof TraceError) return error.message
    throw error
  }
  throw new Error('the trace was taken')
}

describe('a line', () => {
  // Word a is the first half of a page, b the second; the first program page becomes guest page 0.
  it.each([
    ['I  04000000,4', '0ar'],
    [' L 04000000,8', '0ar'],
    [' S 04000000,8', '0aw'],
    [' M 04000000,8', '0ar 0aw'],
    [' S 040007ff,1', '0aw'],
    [' S 04000800,1', '0bw'],
    [' S 04000fff,1', '0bw'],
    [' L 1ffeffffb8,8', '0br'],
    [' L FFFFFFFFFFFFF000,8', '0ar'],
    ['I  04000000,4\r', '0ar'],
  ])('%s is %s', (line, accesses) => expect(read(`${line}\n`)).toBe(accesses))

  it('across a page edge touches both pages, the second in its first half', () => {
    expect(read(' S 04000ffc,8\n L 04001000,1\n')).toBe('0bw 39aw 39ar')
  })

  it('of the largest size touches 17 pages, loads and stores', () => {
    const accesses = read(' M 04000fff,65536\n').split(' ')
    expect(accesses).toHaveLength(34)
    expect(new Set(accesses.map((a) => a.slice(0, -2))).size).toBe(17)
  })

  it('of valgrind itself, and an empty one, is skipped', () => {
    const own = '==123== Lackey, an example Valgrind tool\n--123-- warning\n\n'
    expect(read(`${own} L 04000000,8\n${own}`)).toBe('0ar')
  })

  it.each([
    ['hello', 'not a memory access'],
    [' X 04000000,4', 'not a memory access'],
    ['L 04000000,4', 'not a memory access'],
    ['I', 'the address is not a hexadecimal number'],
    [' L 0400x000,4', 'the address is not a hexadecimal number'],
    [' L ,4', 'the address is not a hexadecimal number'],
    [' L 12345678123456789,4', 'the address is not a hexadecimal number'],
    [' L 04000000,', 'the size is not a number'],
    [' L 04000000,0', 'the size is not a number'],
    [' L 04000000,65537', 'the size is not a number'],
    [' L 04000000,4 ', 'the size is not a number'],
    [' L 04000000,-4', 'the size is not a number'],
  ])('"%s" is refused with file and line: %s', (line, what) => {
    const message = refused(` L 04000000,8\n==1== x\n${line}\n`)
    expect(message).toContain(`t.lackey:3: ${what}`)
    expect(message).toContain('valgrind --tool=lackey --trace-mem=yes')
    expect(message).not.toMatch(/\n|\.$/)
  })

  it('longer than any of lackey is refused, and does not have to end', () => {
    expect(refused(` L 04000000,8\n${'x'.repeat(100_000)}`)).toContain('t.lackey:2: the line is longer than any lackey writes')
  })

  it('refused with odd bytes is printed without them', () => {
    expect(refused('\u001b[31mred\u0000\n')).toContain('("?[31mred?")')
  })

  it('is judged by itself, not by what the line before it left behind', () => {
    const behind = (before: string, line: string) => refused(`${before}\n${line}\n`)
    expect(behind('==12== x', '=')).toBe(behind(' L 04000000,8', '='))
    expect(behind('==12== x', '=')).toContain('t.lackey:2: not a memory access')
    expect(behind(' L 04000000,8', ' L 04000000')).toBe(behind(' L 0,8', ' L 04000000'))
  })
})

describe('the end of the file', () => {
  it('may lack its newline', () => expect(read(' L 04000000,8\n S 04000000,8')).toBe('0ar 0aw'))

  it('in the middle of a line is an error of that line', () => {
    expect(refused(' L 04000000,8\n S 0400')).toContain('t.lackey:2: the address is not a hexadecimal number ("S 0400")')
  })

  it.each(['', '\n\n', '==1== nothing\n'])('without any access is refused: %j', (text) => {
    expect(refused(text)).toContain('t.lackey: the trace holds no memory access')
  })

  it('makes the trace start over, with the same pages', () => {
    const workload = new LackeyWorkload('t.lackey', 100, RAM_PAGES)
    const text = ' L 04000000,8\n S 05000000,8\n M 06000800,8\n'
    const first = feedAll(workload, [text])
    expect([workload.passes, workload.pagesSeen]).toEqual([1, 3])
    expect(feedAll(workload, [text])).toEqual(first)
    expect([workload.passes, workload.pagesSeen]).toEqual([2, 3])
  })

  it('counts lines anew in the next pass', () => {
    const workload = new LackeyWorkload('t.lackey', 100, RAM_PAGES)
    feedAll(workload, [' L 04000000,8\n L 04000000,8\n'])
    expect(() => feedAll(workload, ['x\n'])).toThrow('t.lackey:1:')
  })
})

describe('pages', () => {
  it('of the program get a guest page each, all of them before none is left', () => {
    for (const ramPages of [1, 2, 7, 64, 100]) {
      const text = Array.from({ length: ramPages }, (_, i) => ` S ${(0x4000000 + i * 4096).toString(16)},4\n`).join('')
      const pages = feedAll(new LackeyWorkload('t', 1, ramPages), [text]).map((a) => a >>> 2)
      expect(pages.toSorted((a, b) => a - b)).toEqual(pages.map((_, i) => i))
    }
  })

  it('more than guest memory holds are refused with line and remedy', () => {
    const text = Array.from({ length: 257 }, (_, i) => ` S ${(0x4000000 + i * 4096).toString(16)},4\n`).join('')
    expect(refused(text, 256)).toBe(
      "t.lackey:257: the program touches more than its 1 MiB of the guest's memory; give more with --mem",
    )
  })

  it('are told apart over all of 64 bits of address', () => {
    expect(new Set(read(' L 1000,1\n L 100001000,1\n L 8000000000001000,1\n L ffffffffff600000,1\n').split(' ')).size).toBe(4)
  })
})

describe('blocks', () => {
  it('may be cut anywhere: the accesses are those of the whole text', () => {
    fc.assert(
      fc.property(linesOf(RAM_PAGES), fc.array(fc.nat(2000), { maxLength: 30 }), fc.boolean(), (lines, cuts, newline) => {
        const text = textOf(lines) + (newline ? '\n' : '')
        const whole = feedAll(new LackeyWorkload('t', 1, RAM_PAGES), [text])
        const edges = [0, ...cuts.map((c) => c % (text.length + 1)).sort((a, b) => a - b), text.length]
        const blocks = edges.slice(1).map((edge, i) => text.slice(edges[i], edge))
        expect(feedAll(new LackeyWorkload('t', 1, RAM_PAGES), blocks)).toEqual(whole)
        expect(whole).toHaveLength(lines.reduce((n, l) => n + accessesOf(l), 0))
      }),
    )
  })

  it('may be single bytes', () => {
    const text = 'I  04000000,4\n==1== x\n M 05000ffe,4\n'
    expect(feedAll(new LackeyWorkload('t', 1, RAM_PAGES), [...text])).toEqual(
      feedAll(new LackeyWorkload('t', 1, RAM_PAGES), [text]),
    )
  })

  it('of more lines than a fill takes are read on in the next fill', () => {
    expect(feedAll(new LackeyWorkload('t', 1, RAM_PAGES), [' L 04000000,4\n'.repeat(5000)])).toHaveLength(5000)
  })

  it('that the reader hands out are the same however the bytes come: full ones, and one at the end of the trace', () => {
    const text = ' L 04000000,4\n'.repeat(5000)
    const sizes = (cut: number) => {
      const workload = new LackeyWorkload('t', 1, RAM_PAGES)
      const found: number[] = []
      const out = new Int32Array(BLOCK_ACCESSES)
      const look = () => {
        for (let n = workload.fill(out); n > 0; n = workload.fill(out)) found.push(n)
        expect(workload.isDry).toBe(true)
      }
      for (let at = 0; at < text.length; at += cut) {
        workload.feed(new TextEncoder().encode(text.slice(at, at + cut)))
        look()
      }
      workload.feed(null)
      look()
      return found
    }
    // A block ends where one more line might not fit.
    expect(sizes(text.length)).toEqual([2008, 2008, 984])
    expect(sizes(100)).toEqual([2008, 2008, 984])
  })

  it('of a second program lie behind those of the first: its pages are its own share', () => {
    const pages = feedAll(new LackeyWorkload('t', 1, 16, 48), [' S 04000000,4\n S 04001000,4\n']).map((a) => a >>> 2)
    expect(pages.every((page) => page >= 48 && page < 64)).toBe(true)
  })
})

function accessesOf({ kind, address, size }: Line): number {
  const pages = Math.floor((address + size - 1) / 4096) - Math.floor(address / 4096) + 1
  return pages * (kind === ' M' ? 2 : 1)
}
