/**
 * The page-walk caches: per upper level, which table an address leads to, so that a walk can start low.
 *
 * Level 1 caches PDEs (they name the leaf table), level 2 PDPTEs, level 3 PML4Es. Fully associative with round-robin
 * replacement. As in hardware they may be stale after a table was changed, until invalidated.
 * Source: Intel SDM 3A 4.10.3; sizes per preset.
 */

class Level {
  readonly #key: Int32Array
  readonly #node: Int32Array
  #hand = 0
  #last = 0

  constructor(entries: number) {
    this.#key = new Int32Array(entries).fill(-1)
    this.#node = new Int32Array(entries)
  }

  find(key: number): number {
    const keys = this.#key
    if (keys[this.#last] === key) return this.#node[this.#last]
    for (let i = 0; i < keys.length; i++) {
      if (keys[i] === key) {
        this.#last = i
        return this.#node[i]
      }
    }
    return 0
  }

  fill(key: number, node: number): void {
    const i = this.#hand
    this.#hand = i + 1 === this.#key.length ? 0 : i + 1
    this.#key[i] = key
    this.#node[i] = node
    this.#last = i
  }

  drop(key: number): void {
    const i = this.#key.indexOf(key)
    if (i >= 0) this.#key[i] = -1
  }

  clear(): void {
    this.#key.fill(-1)
  }
}

export class WalkCache {
  readonly #pml4: Level
  readonly #pdpt: Level
  readonly #pd: Level

  constructor(entries: readonly [number, number, number]) {
    this.#pml4 = new Level(entries[0])
    this.#pdpt = new Level(entries[1])
    this.#pd = new Level(entries[2])
  }

  /** The leaf table of the page, or 0. */
  leaf(page: number): number {
    return this.#pd.find(page >>> 9)
  }

  /** The PMD table of the page, or 0. */
  pmd(page: number): number {
    return this.#pdpt.find(page >>> 18)
  }

  /** The PUD table of the page, or 0. */
  pud(): number {
    return this.#pml4.find(0)
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
