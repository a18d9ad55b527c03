/**
 * Random calls on huge and small pages of two processes, against a model that knows only what each page must read.
 */
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { ptePfn, ptePresent } from '../../core/hw/pte.ts'
import type { Process } from '../../core/machine/process.ts'
import { splitHugePmd } from '../../core/mm/huge_split.ts'
import { scanAndCollapse } from '../../core/mm/khugepaged.ts'
import { MADV_DONTNEED, MADV_HUGEPAGE, MADV_NOHUGEPAGE, madvise } from '../../core/mm/madvise.ts'
import { exitMmap } from '../../core/mm/mmap.ts'
import { mprotect, PROT_READ, PROT_WRITE } from '../../core/mm/mprotect.ts'
import { remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { H, hugeRig, mapHuge } from './huge_rig.ts'
import { at, type Gear, P, type Rig } from './rig.ts'

const SLOTS = 4
const PAGES = SLOTS * H

class Model {
  readonly rig: Rig
  readonly base: number
  readonly prng: Prng
  /** What each page must read. */
  readonly parent = new Int32Array(PAGES)
  child: { process: Process; reads: Int32Array } | null = null
  value = 0
  last = ''

  constructor(gear: Gear, seed: number) {
    this.rig = hugeRig({ gear, seed })
    this.base = mapHuge(this.rig, SLOTS)
    this.prng = new Prng(seed)
  }

  /** A start and a length in pages; every second one is whole 2 MiB. */
  range(): [number, number] {
    const { prng } = this
    if (prng.below(2) === 0) return [prng.below(SLOTS) * H, H]
    const start = prng.below(PAGES)
    return [start, 1 + prng.below(Math.min(700, PAGES - start))]
  }

  step(): void {
    const { rig, base, prng, parent } = this
    const [start, count] = this.range()
    const address = at(base + start)
    const op = prng.below(10)
    this.last = `op ${op} at ${start}, ${count} pages`
    switch (op) {
      case 0:
      case 1:
      case 2:
        for (let i = 0; i < 5; i++) {
          const page = start + prng.below(count)
          const inChild = this.child !== null && prng.below(2) === 0
          const reads = inChild && this.child !== null ? this.child.reads : parent
          reads[page] = ++this.value
          rig.store(base + page, this.value, inChild ? 1 : 0, inChild ? this.child?.process : rig.process)
        }
        return
      case 3:
        expect(rig.call((k) => madvise(k, rig.mm, address, count * P, MADV_DONTNEED))).toBe(0)
        parent.fill(0, start, start + count)
        return
      case 4: {
        const to = prng.below(2) === 0 ? prng.below(SLOTS) * H : prng.below(PAGES - count + 1)
        const moved = rig.call((k) => remapAnonPages(k, rig.mm, at(base + to), address, Math.min(count, PAGES - to) * P, 0)) / P
        // Page by page, as the call does: the ranges may overlap.
        for (let i = 0; i < moved; i++) {
          parent[to + i] = parent[start + i] ?? 0
          parent[start + i] = 0
        }
        return
      }
      case 5:
        rig.call((k) => scanAndCollapse(k, rig.mm, base + prng.below(SLOTS) * H))
        return
      case 6:
        rig.call((k) => splitHugePmd(k, rig.mm, base + start))
        return
      case 7:
        if (this.child === null) this.child = { process: rig.fork(), reads: parent.slice() }
        else {
          const { process } = this.child
          rig.call((k) => exitMmap(k, process.mm), 1, process)
          this.child = null
        }
        return
      case 8:
        for (const prot of [PROT_READ, PROT_READ | PROT_WRITE])
          expect(rig.call((k) => mprotect(k, rig.mm, address, count * P, prot))).toBe(0)
        return
      default:
        for (const advice of [MADV_NOHUGEPAGE, MADV_HUGEPAGE])
          expect(rig.call((k) => madvise(k, rig.mm, address, count * P, advice))).toBe(0)
    }
  }

  /** What is wrong, or null: the books, rss, and every page that is mapped. */
  wrong(): string | null {
    const { rig, child } = this
    const books = rig.audit()
    return (
      books ??
      this.#wrongPages(rig.process, this.parent) ??
      (child === null ? null : this.#wrongPages(child.process, child.reads))
    )
  }

  #wrongPages({ mm }: Process, reads: Int32Array): string | null {
    let mapped = 0
    for (let page = 0; page < PAGES; page++) {
      const pte = mm.table.lookup(this.base + page)
      const pfn = ptePresent(pte) ? ptePfn(pte) : 0
      if (pfn !== 0) mapped++
      const word = this.rig.kernel.phys.words[pfn * 2]
      if (word !== reads[page]) return `page ${page} reads ${word} != ${reads[page]}`
    }
    return mapped === mm.rss ? null : `rss ${mm.rss} != ${mapped} pages mapped`
  }
}

describe.each<[Gear, number, number]>([
  ['clock', 60, 60],
  ['step', 6, 25],
])('random calls on huge and small pages, %s gear', (gear, seeds, steps) => {
  it(`keep content and books right: ${seeds} runs of ${steps}`, { timeout: 120_000 }, () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const model = new Model(gear, seed)
      for (let i = 0; i < steps; i++) {
        model.step()
        expect(model.wrong(), `seed ${seed}, step ${i}: ${model.last}`).toBeNull()
      }
    }
  })
})
