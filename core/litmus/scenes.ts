/**
 * What scenes of several litmus tests have in common: how things are put at the start, and calls that more than one of them makes.
 *
 * Only glue: each function here strings together calls of core/mm and holds no step of any protocol.
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { type PageContent, type Process, SignalError } from '../machine/process.ts'
import { fork } from '../mm/fork.ts'
import type { Kernel } from '../mm/kernel.ts'
import { MADV_DONTFORK, MADV_DONTNEED, madvise } from '../mm/madvise.ts'
import { munmap } from '../mm/mmap.ts'
import { mprotect, PROT_READ } from '../mm/mprotect.ts'
import { type FaultResult, handlePageFault } from '../mm/page_fault.ts'
import { remapAnonPages } from '../mm/remap_anon_pages.ts'
import { pageReferenced } from '../mm/rmap_walk.ts'
import { VM_DONTCOPY } from '../mm/vma.ts'
import { shrinkPage } from '../mm/vmscan.ts'
import { answers, expectEqual, type Scene } from './litmus.ts'
import { type Actor, at, P, RW, type World } from './world.ts'

/**
 * Written pages (100, 101, ...) in an area of their own, and an empty area that cannot be merged with it. A child gets the area
 * that `forks`.
 */
export function sourceAndDestination(world: World, pages = 1, forks: 'dst' | 'src' = 'dst'): { src: number; dst: number } {
  const src = world.map(pages)
  const dst = world.map(pages)
  const stays = forks === 'dst' ? src : dst
  world.call((k) => madvise(k, world.mm, at(stays), pages * P, MADV_DONTFORK))
  for (let i = 0; i < pages; i++) world.store(src + i, 100 + i)
  return { src, dst }
}

/**
 * An area with an anon_vma and a page table, and no page in it: what a fault without mmap_lock may be tried on. With a neighbour
 * the table stays when the area goes.
 */
export function emptied(world: World, pages: number, neighbour = false): number {
  if (neighbour) world.map(1, RW | VM_DONTCOPY)
  const a = world.map(pages)
  world.store(a, 1)
  world.call((k) => madvise(k, world.mm, at(a), pages * P, MADV_DONTNEED))
  return a
}

/** A thread on CPU 0 whose store to a page has just faulted. */
export function toucher(world: World, page: number): Actor<FaultResult> {
  return world.actor('toucher', 0, (k) => handlePageFault(k, world.mm, page, true))
}

/** A store to an area of one page that is not there, and munmap of the area. With a neighbour the page table stays. */
export function storeAgainstMunmap(world: World, neighbour: boolean): Scene {
  const a = emptied(world, 1, neighbour)
  toucher(world, a)
  world.actor('unmapper', 1, (k) => munmap(k, world.mm, at(a), P))
  return { outcome: () => answers(world) }
}

/** A store to the second page of an area, which is not there, and munmap of that page. */
export function storeAgainstCut(world: World): Scene {
  const a = emptied(world, 2)
  toucher(world, a + 1)
  world.actor('unmapper', 1, (k) => munmap(k, world.mm, at(a + 1), P))
  return { outcome: () => answers(world) }
}

/** A store to a writable area of one page that is not there, and mprotect of the area, which makes it read-only. */
export function storeAgainstMprotect(world: World): Scene {
  const a = emptied(world, 1)
  toucher(world, a)
  world.actor('protector', 1, (k) => mprotect(k, world.mm, at(a), P, PROT_READ))
  return { outcome: () => answers(world) }
}

/** A store fault on a page during fork, while another CPU stores to the page through its TLB. */
export function storeDuringFork(world: World): Scene {
  const a = world.map(1)
  world.store(a, 1, 2)
  world.actor('forker', 1, (k) => forkChild(k, world))
  toucher(world, a)
  world.actor('writer', 2, (k) => world.process.writePage(k, a, contentOf(7)))
  return {
    judge: () => expectEqual('I-LIN', 'the word that the parent stored last', 7, world.word(a)),
    outcome: () => `word=${world.word(a)}`,
  }
}

export function contentOf(value: number): PageContent {
  return { word0: value, word1: value, version: value }
}

/** A store; false where it ends in a signal. */
export function* storeOrSignal(k: Thread, process: Process, page: number, value: number): Proc<boolean> {
  try {
    yield* process.writePage(k, page, contentOf(value))
    return true
  } catch (e) {
    if (!(e instanceof SignalError)) throw e
    return false
  }
}

/** A device's store to a frame, past all page tables. */
export function* writeFrame(k: Thread, kernel: Kernel, pfn: number, value: number): Proc<void> {
  if (k.stepping) yield write(pfn, 'page.content')
  kernel.phys.words[pfn * 2] = value
  kernel.phys.words[pfn * 2 + 1] = value
}

/** A device's load from a frame: the first word. */
export function* readFrame(k: Thread, kernel: Kernel, pfn: number): Proc<number> {
  if (k.stepping) yield read(pfn, 'page.content')
  return kernel.phys.words[pfn * 2]
}

/** A load: the first word. */
export function* loadWord(k: Thread, process: Process, page: number): Proc<number> {
  const out: PageContent = { word0: 0, word1: 0, version: 0 }
  yield* process.readPage(k, page, out)
  return out.word0
}

/** Moves the page at `src` to `dst`. */
export function remap(k: Thread, { mm }: World, dst: number, src: number): Proc<number> {
  return remapAnonPages(k, mm, at(dst), at(src), P, 0)
}

/** Moves it, and stores 2 to it if it went. */
export function* remapAndStore(k: Thread, world: World, dst: number, src: number): Proc<number> {
  const moved = yield* remap(k, world, dst, src)
  if (moved === P) yield* world.process.writePage(k, dst, contentOf(2))
  return moved
}

/** A child of `parent`, which the checks look at too. */
export function* forkChild(k: Thread, world: World, parent = world.process): Proc<Process> {
  return world.addProcess(yield* fork(k, parent.mm))
}

/** Reclaim's question about one page, which it isolates first and does not lock: how many mappings it found. */
export function* countMappings(k: Thread, kernel: Kernel, pfn: number): Proc<number> {
  const { found } = yield* isolated(kernel, pfn, () => pageReferenced(k, kernel, pfn, false))
  return found
}

/** One frame through reclaim, its accessed bits cleared before: true if it left memory. */
export function* evict(k: Thread, kernel: Kernel, pfn: number): Proc<boolean> {
  return yield* isolated(kernel, pfn, () => reclaim(k, kernel, pfn))
}

function* reclaim(k: Thread, kernel: Kernel, pfn: number): Proc<boolean> {
  yield* pageReferenced(k, kernel, pfn, false)
  return yield* shrinkPage(k, kernel, pfn)
}

/** With a reference of one's own, as whoever goes over the lists of pages has. @kernel isolate_lru_page */
function* isolated<T>(kernel: Kernel, pfn: number, body: () => Proc<T>): Proc<T> {
  kernel.pages.get(pfn)
  const value = yield* body()
  kernel.pages.put(pfn)
  return value
}

/** Reclaim takes a page while another CPU, which has it in its TLB, stores 2 to it. */
export function reclaimAgainstStore(world: World, page: number): Scene {
  const pfn = world.frame(page)
  world.actor('reclaim', 0, (k) => evict(k, world.kernel, pfn))
  world.actor('writer', 1, (k) => storeOrSignal(k, world.process, page, 2))
  return {
    judge: () => expectEqual('I-LIN', 'the page', 2, world.load(page)),
    outcome: () => answers(world),
  }
}
