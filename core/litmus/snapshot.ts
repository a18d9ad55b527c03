/**
 * What a person would look at to understand a step: areas, PTEs, frames and TLB entries, each as a name and a few words.
 *
 * Two snapshots, before and after a step, differ in what the step changed. Reads only. Pairs with story.ts.
 */
import type { Cpu } from '../hw/cpu.ts'
import {
  HUGE_PAGES,
  PTE_D,
  PTE_NONE,
  PTE_PROTNONE,
  PTE_SPECIAL,
  PTE_UFFD_WP,
  type Pte,
  pmdHuge,
  pteFlags,
  ptePfn,
  ptePresent,
  pteWritable,
} from '../hw/pte.ts'
import { entryPfn, TLB_W } from '../hw/tlb.ts'
import type { Process } from '../machine/process.ts'
import type { Kernel } from '../mm/kernel.ts'
import { swapKind, swapValue } from '../mm/swapops.ts'
import { VM_LOCKED, VM_READ, VM_SHARED, VM_UFFD_MISSING, VM_UFFD_WP, VM_USERFAULT, VM_WRITE } from '../mm/vma.ts'
import type { World } from './world.ts'

/** One thing that a step changed; an empty text stands for "not there". */
export interface Change {
  /** `pte of page 1`, `mapcount of frame 3`, `TLB of CPU 1, page 1`. */
  readonly what: string
  readonly before: string
  readonly after: string
}

export type Snapshot = ReadonlyMap<string, string>

export function snapshot(world: World): Snapshot {
  const seen = new Map<string, string>()
  const kernels = new Set<Kernel>()
  const cpus = new Set<Cpu>()
  world.processes.forEach((process, n) => {
    addProcess(seen, process, processName(world, n))
    kernels.add(process.machine.kernel)
    for (const cpu of process.machine.kernel.cpus) cpus.add(cpu)
  })
  for (const kernel of kernels) addFrames(seen, kernel, kernels.size > 1 ? ` of the ${kernel.name}` : '')
  for (const cpu of cpus) addTlb(seen, cpu)
  return seen
}

/** What differs, in the order of `before`, then what is new. */
export function changes(before: Snapshot, after: Snapshot): Change[] {
  const found: Change[] = []
  for (const [what, text] of before) {
    const now = after.get(what) ?? ''
    if (now !== text) found.push({ what, before: text, after: now })
  }
  for (const [what, text] of after) if (!before.has(what)) found.push({ what, before: '', after: text })
  return found
}

/** ` in process 2`, or nothing where there is one process. */
export function processName(world: World, n: number): string {
  return world.processes.length > 1 ? ` in process ${n + 1}` : ''
}

/** `frame 3 rw dirty`, `none`, `swap slot 0`. */
export function pteText(pte: Pte): string {
  if (pte === PTE_NONE) return 'none'
  if (ptePresent(pte)) {
    const flags = pteFlags(pte)
    const words = [`frame ${ptePfn(pte)}`, (flags & PTE_PROTNONE) !== 0 ? 'no rights' : pteWritable(pte) ? 'rw' : 'r']
    if ((flags & PTE_D) !== 0) words.push('dirty')
    if ((flags & PTE_UFFD_WP) !== 0) words.push('uffd-wp')
    if ((flags & PTE_SPECIAL) !== 0) words.push('special')
    return words.join(' ')
  }
  switch (swapKind(pte)) {
    case 'swap':
      return `swap slot ${swapValue(pte)}`
    case 'migration':
      return `migration of frame ${swapValue(pte)}`
    case 'marker':
      return `marker ${swapValue(pte)}`
  }
}

function addProcess(seen: Map<string, string>, { mm }: Process, where: string): void {
  for (const vma of mm.tree.areas) {
    const anon = vma.anonVma === null ? '' : ` anon_vma ${vma.anonVma.index}`
    const bits: [number, string][] = [
      [VM_READ, 'r'],
      [VM_WRITE, 'w'],
      [VM_SHARED, ' shared'],
      [VM_LOCKED, ' locked'],
      [VM_USERFAULT, ' userfault'],
      [VM_UFFD_MISSING, ' uffd-missing'],
      [VM_UFFD_WP, ' uffd-wp'],
    ]
    const flags = vma.flags
    const words = bits.map(([bit, word]) => ((flags & bit) !== 0 ? word : '')).join('')
    seen.set(`area ${vma.id}${where}`, `pages ${vma.start} to ${vma.end - 1} ${words}${anon}`)
  }
  for (let page = 0; page < mm.windowPages; page++) {
    const pmd = mm.table.pmdSlot(page)
    if (pmd < 0) {
      page += HUGE_PAGES - 1 - (page % HUGE_PAGES)
      continue
    }
    const huge = mm.kernel.tables.get(pmd)
    if (pmdHuge(huge)) {
      seen.set(`pmd of page ${page}${where}`, `2 MiB: ${pteText(huge)}`)
      page += HUGE_PAGES - 1 - (page % HUGE_PAGES)
      continue
    }
    const pte = mm.table.lookup(page)
    if (pte !== PTE_NONE) seen.set(`pte of page ${page}${where}`, pteText(pte))
  }
}

function addFrames(seen: Map<string, string>, { pages, phys }: Kernel, where: string): void {
  for (let pfn = 1; pfn < pages.highest; pfn++) {
    if (pages.refcount[pfn] === 0) continue
    const frame = `frame ${pfn}${where}`
    const mapping = pages.mapping[pfn]
    const owner = mapping === 0 ? 'nobody' : mapping > 0 ? `anon_vma ${mapping >> 1}` : `ksm node ${-mapping >> 1}`
    seen.set(`mapping of ${frame}`, `${owner} index ${pages.index[pfn]}`)
    seen.set(`mapcount of ${frame}`, `${pages.mapcount[pfn]}`)
    seen.set(`refcount of ${frame}`, `${pages.refcount[pfn]}`)
    seen.set(`content of ${frame}`, `${phys.words[pfn * 2]}`)
  }
}

function addTlb(seen: Map<string, string>, cpu: Cpu): void {
  const { tlb } = cpu.mmu
  tlb.entries((unit, entry) => {
    const rights = (entry & TLB_W) !== 0 ? 'rw' : 'r'
    const what = `frame ${entryPfn(entry)} ${rights}${tlb.isHuge(unit) ? ' 2 MiB' : ''}`
    seen.set(`TLB of CPU ${cpu.id}, page ${tlb.firstPage(unit)}`, what)
  })
}
