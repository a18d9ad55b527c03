/**
 * Small races for protections of core/mm/kconfig.ts that no other test leaves out: what two or three threads do, and how to
 * tell that it went wrong. Each runs once for a seed and answers with what broke, or null. The rest is with the code it
 * protects (search.ts does the same there).
 *
 * A protection is shown to be needed when some seed breaks without it, and none with it.
 */
import { NOTHING, type Proc } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { type AnonVma, anonVmaUnlockRead } from '../../core/mm/anon_vma.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import { MADV_DONTFORK, madvise } from '../../core/mm/madvise.ts'
import { uffdCopy } from '../../core/mm/mfill_atomic.ts'
import type { Mm } from '../../core/mm/mm.ts'
import { lockMappedPte } from '../../core/mm/page_vma_mapped.ts'
import { remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { pageLockAnonVmaRead } from '../../core/mm/rmap.ts'
import { rmapWalkAnon } from '../../core/mm/rmap_walk.ts'
import { userfaultfdRegister } from '../../core/mm/uffd_register.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import type { Vma } from '../../core/mm/vma.ts'
import { at, failure, P, Rig } from './rig.ts'

export type Scenario = (without: readonly ProtectionName[], seed: number) => string | null

/** A written page in an area of its own, and an empty area that cannot be joined with it. */
export function sourceAndDestination(rig: Rig, pages = 1): { src: number; dst: number } {
  const src = rig.map(pages)
  const dst = rig.map(pages)
  rig.call((k) => madvise(k, rig.mm, at(src), pages * P, MADV_DONTFORK))
  for (let p = 0; p < pages; p++) rig.store(src + p, 100 + p)
  return { src, dst }
}

/** The areas that the page's (anon_vma, index) leads to, each with the page's number there. */
export function* candidatesOf(k: Thread, rig: Rig, pfn: number, av: AnonVma): Proc<{ vma: Vma; page: number }[]> {
  const found: { vma: Vma; page: number }[] = []
  function* visit(_mm: Mm, vma: Vma, page: number): Proc<boolean> {
    yield* NOTHING
    found.push({ vma, page })
    return true
  }
  yield* rmapWalkAnon(k, rig.kernel, pfn, av, visit)
  return found
}

/** A walk that takes each candidate's PTE lock: the number of PTEs that map the page, or -1 if it has no anon_vma. */
export function* walkAndCount(k: Thread, rig: Rig, pfn: number): Proc<number> {
  const { kernel } = rig
  const av = yield* pageLockAnonVmaRead(k, kernel, pfn)
  if (av === null) return -1
  let found = 0
  function* visit(mm: Mm, _vma: Vma, page: number): Proc<boolean> {
    const slot = yield* lockMappedPte(k, kernel, mm, page, pfn, 'present')
    if (slot < 0) return true
    found++
    kernel.pteLock(slot).unlock(k)
    return true
  }
  yield* rmapWalkAnon(k, kernel, pfn, av, visit)
  anonVmaUnlockRead(k, kernel, av)
  return found
}

/** CPU 1 has the source in its TLB, CPU 0 moves the page, CPU 1 stores to the old address (R34). */
function staleStore(without: readonly ProtectionName[], seed: number): string | null {
  const rig = new Rig({ gear: 'step', seed, without })
  const { src, dst } = sourceAndDestination(rig)
  rig.store(src, 1, 1)
  rig.call((k) => remapAnonPages(k, rig.mm, at(dst), at(src), P, 0))
  rig.store(src, 2, 1)
  const found = rig.load(dst)
  return found === 1 ? rig.audit() : `the moved page changed from 1 to ${found}`
}

/** Two movers, two sources, one destination (R36). */
function twoMovers(without: readonly ProtectionName[], seed: number): string | null {
  const rig = new Rig({ gear: 'step', seed, without })
  const { src, dst } = sourceAndDestination(rig, 2)
  const moves = [0, 1].map((n) => rig.spawn(`mover ${n}`, n, (k) => remapAnonPages(k, rig.mm, at(dst), at(src + n), P, 0)))
  const thrown = failure(() => rig.run())
  if (thrown !== null) return thrown
  const winners = moves.filter((m) => m.value === P).length
  if (winners !== 1) return `${winners} movers placed a page`
  const loser = moves[0]?.value === P ? 1 : 0
  if (rig.load(src + loser) !== 100 + loser) return 'the source of the loser changed'
  return rig.audit()
}

/** A thread touches a missing page while another places it (R52). */
function placeDuringFault(without: readonly ProtectionName[], seed: number): string | null {
  const rig = new Rig({ gear: 'step', seed, without })
  const { src, dst } = sourceAndDestination(rig)
  const uffd = new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
  rig.call((k) => userfaultfdRegister(k, uffd, at(dst), P, 1))
  rig.spawn('toucher', 0, (k) => rig.process.touch(k, dst, false))
  rig.spawn('placer', 1, (k) => uffdCopy(k, uffd, at(dst), at(src), P, 0))
  const outcome = rig.run()
  return outcome === 'done' ? rig.audit() : `${outcome}: ${rig.waits().join('; ')}`
}

export const SCENARIOS: Readonly<Partial<Record<ProtectionName, Scenario>>> = {
  'remap-tlb-flush': staleStore,
  'remap-pte-recheck': twoMovers,
  'uffd-must-wait': placeDuringFault,
}
