/**
 * Stable nodes: what a KSM page has instead of an anon_vma, and the reverse map through it.
 *
 * A page shared by unrelated areas has no single (anon_vma, index). Its mapping names a stable node, which lists one item
 * for each place that was merged: the address space, the address, and the anon_vma of the area there, on which the item
 * holds a reference. A walk goes through the items and through the tree of each item's anon_vma, twice: first the address
 * space that was merged, then those that forked from it since.
 *
 * A node outlives its page by a little: it is pruned, with its items, the next time somebody looks (ksm.ts), as in the
 * kernel. @kernel ksm_stable_node, ksm_rmap_item, rmap_walk_ksm
 * Source: mm/ksm.c.
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { type AnonVma, anonVmaLockRead, anonVmaUnlockRead, putAnonVma } from './anon_vma.ts'
import type { Kernel } from './kernel.ts'
import type { Mm } from './mm.ts'
import type { RmapVisit } from './rmap_walk.ts'

/** One merged place. */
export interface RmapItem {
  readonly mm: Mm
  readonly page: number
  readonly anonVma: AnonVma
}

export interface StableNode {
  readonly id: number
  readonly pfn: Pfn
  readonly items: RmapItem[]
}

export class StableNodes {
  readonly nodes = new Map<number, StableNode>()
  #nextId = 1

  /** A node for this page, which becomes a KSM page; the caller has locked and write-protected it. */
  create(kernel: Kernel, pfn: Pfn): StableNode {
    const node: StableNode = { id: this.#nextId++, pfn, items: [] }
    this.nodes.set(node.id, node)
    touch(pfn, 'page.mapping', AccessMode.write)
    kernel.pages.mapping[pfn] = node.id * -2
    return node
  }

  of(kernel: Kernel, pfn: Pfn): StableNode | null {
    return kernel.pages.isKsm(pfn) ? (this.nodes.get(kernel.pages.mapping[pfn] / -2) ?? null) : null
  }

  /** Drops the nodes whose page was freed, and their references. @kernel remove_node_from_stable_tree */
  *prune(k: Thread, kernel: Kernel): Proc<void> {
    for (const node of [...this.nodes.values()]) {
      if (this.of(kernel, node.pfn) === node) continue
      this.nodes.delete(node.id)
      for (const item of node.items) yield* putAnonVma(k, kernel, item.anonVma)
    }
  }
}

/** Visits each candidate of a KSM page, whose lock the caller holds. @kernel rmap_walk_ksm */
export function* rmapWalkKsm(k: Thread, kernel: Kernel, pfn: Pfn, visit: RmapVisit): Proc<void> {
  const node = kernel.ksm.of(kernel, pfn)
  if (node === null) return
  for (const searchesForks of [false, true]) {
    for (const item of node.items) {
      const av = item.anonVma
      yield* anonVmaLockRead(k, kernel, av)
      av.walks++
      let goesOn = true
      for (let i = 0; i < av.chains.length && goesOn; i++) {
        const { vma } = av.chains[i]
        if (vma.mm === null || !vma.contains(item.page) || (vma.mm === item.mm) === searchesForks) continue
        goesOn = yield* visit(vma.mm, vma, item.page)
      }
      av.walks--
      anonVmaUnlockRead(k, kernel, av)
      if (!goesOn) return
    }
  }
}
