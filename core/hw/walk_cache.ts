/**
 * The page-walk caches: per upper level, which table an address leads to, so that a walk can start low.
 *
 * Level 1 caches PDEs (they name the leaf table), level 2 PDPTEs, level 3 PML4Es. Fully associative with round-robin
 * replacement. As in hardware they may be stale after a table was changed, until invalidated.
 * Source: Intel SDM 3A 4.10.3; sizes per preset.
 */
import { assert } from '../base/assert.ts'

/** One level: which of its keys are cached, and the table that each leads to. */
export class Level {
  /** The table that each key leads to, 0 if it is not cached: a reverse index, as in tlb.ts. */
  readonly nodes: Int32Array
  /** The slot of each key that is cached. */
  readonly #where: Uint8Array
  readonly #key: Int32Array
  #hand = 0

  constructor(entries: number, keys: number) {
    assert(entries >= 0 && entries <= 254, `walk cache of ${entries} entries: 0 to 254`)
    this.nodes = new Int32Array(keys)
    this.#where = new Uint8Array(keys)
    this.#key = new Int32Array(entries).fill(-1)
  }

  fill(key: number, node: number): void {
    if (this.#key.length === 0) return
    this.drop(key)
    const i = this.#hand
    this.#hand = i + 1 === this.#key.length ? 0 : i + 1
    this.drop(this.#key[i])
    this.#key[i] = key
    this.#where[key] = i
    this.nodes[key] = node
  }

  /** Of a key that is cached, not cached, or -1. */
  drop(key: number): void {
    if (key < 0 || this.nodes[key] === 0) return
    this.nodes[key] = 0
    this.#key[this.#where[key]] = -1
  }

  clear(): void {
    for (let i = 0; i < this.#key.length; i++) this.drop(this.#key[i])
  }
}

export class WalkCache {
  readonly #pml4: Level
  readonly #pdpt: Level
  readonly #pd: Level
  /** The leaf table of each 2 MiB of the window, 0 where it is not cached. */
  readonly leaves: Int32Array

  constructor(entries: readonly [number, number, number], windowPages: number) {
    this.#pml4 = new Level(entries[0], 1)
    this.#pdpt = new Level(entries[1], (windowPages >>> 18) + 1)
    this.#pd = new Level(entries[2], (windowPages >>> 9) + 1)
    this.leaves = this.#pd.nodes
  }

  /** The leaf table of the page, or 0. */
  leaf(page: number): number {
    return this.leaves[page >>> 9]
  }

  /** The PMD table of the page, or 0. */
  pmd(page: number): number {
    return this.#pdpt.nodes[page >>> 18]
  }

  /** The PUD table of the page, or 0. */
  pud(): number {
    return this.#pml4.nodes[0]
  }

  fillLeaf(page: number, node: number): void {
    this.#pd.fill(page >>> 9, node)
  }

  fillPmd(page: number, node: number): void {
    this.#pdpt.fill(page >>> 18, node)
  }

  fillPud(node: number): void {
    this.#pml4.fill(0, node)
  }

  /** What INVLPG does to these caches: the entries that the page uses. */
  flush(page: number): void {
    this.#pd.drop(page >>> 9)
    this.#pdpt.drop(page >>> 18)
  }

  flushAll(): void {
    this.#pml4.clear()
    this.#pdpt.clear()
    this.#pd.clear()
  }
}
