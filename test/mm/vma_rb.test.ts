/**
 * The red-black tree of areas, without the list and the locks around it (vma_tree.test.ts has those).
 *
 * A sorted array says what the tree should be, and `wrongWith` looks at every node with its own eyes, not with `validate`.
 * The step gear stops a change between two stores: descents are let loose there, and held at a node until it is over.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Clock, Task } from '../../core/engine/task.ts'
import { VM_READ, Vma } from '../../core/mm/vma.ts'
import { VmaRb } from '../../core/mm/vma_rb.ts'

/** A tree with the list that vma_tree.ts keeps beside it. */
class Forest {
  readonly rb = new VmaRb(1)
  sorted: Vma[] = []

  /** Area n covers [10n, 10n + 1 + n % 7): gaps of many sizes. */
  insert(n: number, k: Task | null = null): Generator<unknown, void> {
    const vma = new Vma(n, 10 * n, 10 * n + 1 + (n % 7), VM_READ)
    let parent: Vma | null = null
    for (let at = this.rb.root; at !== null; at = vma.start < at.start ? at.rbLeft : at.rbRight) parent = at
    this.sorted = [...this.sorted, vma].sort((a, b) => a.start - b.start)
    this.#relink()
    return this.#finish(this.rb.insert(k, vma, parent, parent !== null && vma.start < parent.start), vma.next)
  }

  erase(n: number, k: Task | null = null): Generator<unknown, void> {
    const vma = this.area(n)
    const { next } = vma
    this.sorted = this.sorted.filter((v) => v !== vma)
    this.#relink()
    return this.#finish(this.rb.erase(k, vma), next)
  }

  area(n: number): Vma {
    const vma = this.sorted.find((v) => v.id === n)
    if (vma === undefined) throw new Error(`no area ${n}`)
    return vma
  }

  *#finish(change: Generator<unknown, void>, next: Vma | null): Generator<unknown, void> {
    yield* change
    if (next !== null) this.rb.propagate(next)
  }

  #relink(): void {
    this.sorted.forEach((vma, i) => {
      vma.prev = this.sorted[i - 1] ?? null
      vma.next = this.sorted[i + 1] ?? null
    })
  }
}

/** Runs to the end; the number of stops on the way. */
function stops(change: Generator<unknown, void>): number {
  let n = 0
  while (change.next().done !== true) n++
  return n
}

function forest(...ns: number[]): Forest {
  const f = new Forest()
  for (const n of ns) stops(f.insert(n))
  return f
}

/** The first thing wrong with a tree, told from its nodes and the sorted array alone. */
function wrongWith({ rb, sorted }: Forest): string | null {
  const inOrder: Vma[] = []
  const blacks = new Set<number>()
  let wrong: string | null = rb.root?.rbRed === true ? 'red root' : null
  const visit = (vma: Vma | null, parent: Vma | null, black: number): number => {
    if (vma === null) {
      blacks.add(black)
      return 0
    }
    if (vma.rbParent !== parent) wrong = `parent of ${vma.id}`
    if (vma.rbRed && parent?.rbRed === true) wrong = `red ${vma.id} below red`
    const here = black + (vma.rbRed ? 0 : 1)
    const below = visit(vma.rbLeft, vma, here)
    const gap = vma.start - (sorted[inOrder.length - 1]?.end ?? 0)
    inOrder.push(vma)
    const largest = Math.max(below, gap, visit(vma.rbRight, vma, here))
    if (vma.subtreeGap !== largest) wrong = `gap of ${vma.id} is ${vma.subtreeGap}, not ${largest}`
    return largest
  }
  visit(rb.root, null, 0)
  if (blacks.size !== 1) wrong = 'black heights differ'
  const same = inOrder.length === sorted.length && inOrder.every((v, i) => v === sorted[i])
  return same ? wrong : 'order'
}

function* descent(f: Forest, page: number): Generator<Vma | null, Vma | null> {
  let found: Vma | null = null
  yield null
  for (let at = f.rb.root; at !== null; ) {
    if (at.end > page) found = at
    if (at.end > page && at.start <= page) break
    const left = at.end > page
    yield at
    at = left ? at.rbLeft : at.rbRight
  }
  return found
}

/** Where a descent gets to, or 'endless' after more looks than any path through both the old tree and the new has. */
function land(d: Generator<Vma | null, Vma | null>): Vma | null | 'endless' {
  for (let looks = 0; looks < 64; looks++) {
    const look = d.next()
    if (look.done === true) return look.value
  }
  return 'endless'
}

function orders(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]]
  return items.flatMap((first) => orders(items.filter((n) => n !== first)).map((rest) => [first, ...rest]))
}

const stepper = () => new Task(0, 'A', new Clock(0), true)
const toggles = fc.array(fc.nat(30), { maxLength: 80 })

describe('the tree of areas', () => {
  it('keeps order, colours, black heights, parents and largest gaps, whatever is inserted and erased', () => {
    fc.assert(
      fc.property(toggles, (steps) => {
        const f = new Forest()
        for (const n of steps) {
          stops(f.sorted.some((v) => v.id === n) ? f.erase(n) : f.insert(n))
          expect(wrongWith(f)).toBeNull()
        }
      }),
    )
  })

  it('does so for each of the 120 orders of 5 inserts with each of the 120 orders of erasing them', () => {
    const all = orders([0, 1, 2, 3, 4])
    const wrong: string[] = []
    for (const inserts of all) {
      for (const erases of all) {
        const f = forest(...inserts)
        for (const n of erases) {
          stops(f.erase(n))
          const found = wrongWith(f)
          if (found !== null) wrong.push(`${inserts} then ${erases}: ${found}`)
        }
      }
    }
    expect(wrong).toEqual([])
  })

  it('is never higher than 2 log2(n + 1), grown and cut from one side', () => {
    const height = (vma: Vma | null): number => (vma === null ? 0 : 1 + Math.max(height(vma.rbLeft), height(vma.rbRight)))
    const f = new Forest()
    const low = () => height(f.rb.root) <= 2 * Math.log2(f.sorted.length + 1)
    const tooHigh: number[] = []
    for (let n = 0; n < 200; n++) {
      stops(f.insert(n))
      if (!low()) tooHigh.push(n)
    }
    for (let n = 0; n < 150; n++) {
      stops(f.erase(n))
      if (!low()) tooHigh.push(-n)
    }
    expect(tooHigh).toEqual([])
    expect(wrongWith(f)).toBeNull()
  })

  it('turns at most twice for an insert and three times for an erase, and stops nowhere without a stepping task', () => {
    let [inserts, erases] = [0, 0]
    fc.assert(
      fc.property(toggles, (steps) => {
        const [stepped, whole] = [new Forest(), new Forest()]
        for (const n of steps) {
          const erasing = stepped.sorted.some((v) => v.id === n)
          expect(stops(erasing ? whole.erase(n) : whole.insert(n))).toBe(0)
          // Beside the turns: one store links a leaf, at most three put the next area in the place of the erased one.
          if (erasing) erases = Math.max(erases, stops(stepped.erase(n, stepper())) - 3)
          else inserts = Math.max(inserts, stops(stepped.insert(n, stepper())) - 1)
        }
        expect(wrongWith(stepped)).toBeNull()
      }),
      // A fixed seed: the bounds must not only hold but be met.
      { seed: 7, numRuns: 500 },
    )
    expect(inserts).toBe(2)
    expect(erases).toBeGreaterThan(0)
    expect(erases).toBeLessThanOrEqual(3)
  })
})

describe('a descent without a lock', () => {
  /** Each change of one area more or less, of the trees that the 720 orders of 6 inserts make. */
  function* changes(): Generator<{ f: Forest; change: Generator<unknown, void>; stays: Vma[] }> {
    for (const order of orders([0, 2, 4, 6, 8, 10])) {
      for (const n of order) {
        const f = forest(...order)
        const change = f.erase(n, stepper())
        yield { f, change, stays: [...f.sorted] }
      }
      for (const n of [1, 5, 9]) {
        const f = forest(...order)
        const stays = [...f.sorted]
        yield { f, change: f.insert(n, stepper()), stays }
      }
    }
  }

  it('ends between any two stores of a change; it may miss an area that stays, but not once the change is over', () => {
    let [endless, missed, missedLater] = [0, 0, 0]
    for (const { f, change, stays } of changes()) {
      for (let over = false; !over; ) {
        over = change.next().done === true
        for (const vma of stays) {
          const found = land(descent(f, vma.start))
          if (found === 'endless') endless++
          else if (found !== vma && over) missedLater++
          else if (found !== vma) missed++
        }
      }
    }
    expect([endless, missedLater]).toEqual([0, 0])
    expect(missed).toBeGreaterThan(0)
  })

  it('ends although it was held at any area, the erased one too, while the change went on', () => {
    let [endless, held] = [0, 0]
    for (const { f, change, stays } of changes()) {
      // After each stop one descent to each area starts; all of them look once more after each later stop.
      const slow: Generator<Vma | null, Vma | null>[] = []
      for (let over = false; !over; ) {
        for (const vma of stays) for (const looks of [1, 2, 3]) slow.push(ahead(descent(f, vma.start), looks))
        over = change.next().done === true
        for (const d of slow) d.next()
      }
      held += slow.length
      endless += slow.filter((d) => land(d) === 'endless').length
    }
    expect(endless).toBe(0)
    expect(held).toBeGreaterThan(0)
  })

  it('ends under any interleaving of many changes with many descents', () => {
    fc.assert(
      fc.property(toggles, fc.array(fc.nat(6), { minLength: 20, maxLength: 200 }), (steps, picks) => {
        const f = forest(3, 9, 15, 21, 27)
        const todo = [...steps]
        let change: Generator<unknown, void> | null = null
        const slow = [40, 100, 160, 220, 290, 305].map((page) => descent(f, page))
        for (const pick of picks) {
          if (pick > 0) slow[pick - 1]?.next()
          else if (change === null || change.next().done === true) {
            const n = todo.pop()
            if (n === undefined) break
            change = f.sorted.some((v) => v.id === n) ? f.erase(n, stepper()) : f.insert(n, stepper())
          }
        }
        for (const d of slow) expect(land(d)).not.toBe('endless')
      }),
    )
  })

  function ahead<T>(d: Generator<T, T>, looks: number): Generator<T, T> {
    for (let i = 0; i < looks; i++) d.next()
    return d
  }
})

describe('validate', () => {
  it('finds nothing wrong with an empty tree and a sound one', () => {
    expect(new VmaRb(1).validate()).toBeNull()
    expect(forest(1, 2, 3, 4, 5).rb.validate()).toBeNull()
  })

  // 1 to 5 in order: 2 is the root, 1 and 4 are black, 3 and 5 are red children of 4.
  it.each<[string, (f: Forest) => void, RegExp]>([
    ['a red root', (f) => (f.area(2).rbRed = true), /root is red/],
    ['a child with another parent', (f) => (f.area(3).rbParent = f.area(2)), /wrong left child/],
    ['a child on the wrong side', (f) => (f.area(5).start = f.area(5).end = 0), /wrong right child/],
    ['red below red', (f) => (f.area(4).rbRed = true), /both red/],
    ['unequal black heights', (f) => (f.area(1).rbRed = true), /1 black areas below its left and 2/],
    ['a gap that is not the largest', (f) => f.area(4).subtreeGap++, /largest gap is/],
  ])('finds %s', (_what, damage, words) => {
    const f = forest(1, 2, 3, 4, 5)
    damage(f)
    expect(f.rb.validate()).toMatch(words)
  })
})
