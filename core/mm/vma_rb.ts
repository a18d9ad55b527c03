/**
 * The augmented red-black tree of areas: links, rotations, and in each node the largest free gap of its subtree.
 *
 * The gap of an area is what lies free just below it. Whoever looks an area up by address never reads gaps, so they may be
 * set after an area is published; only the search for free space uses them, under mmap_lock.
 *
 * Every procedure is a generator that stops between the stores of one change (step gear only; with k null, never), so that
 * a lockless descent can be caught in the middle of a rotation. The order of the stores keeps such a descent free of loops:
 * it may answer wrongly, and it ends. Pairs with vma_tree.ts. @kernel rb_insert_augmented, rb_erase_augmented
 * Source: mm/mmap.c; lib/rbtree.c.
 */
import { type Proc, write } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import type { Vma } from './vma.ts'

export class VmaRb {
  root: Vma | null = null

  constructor(readonly id: number) {}

  /** Links a new leaf below `parent` (null: the tree is empty) and restores the balance. @kernel rb_link_node, __rb_insert */
  *insert(k: Task | null, vma: Vma, parent: Vma | null, asLeft: boolean): Proc<void> {
    vma.rbLeft = null
    vma.rbRight = null
    vma.rbParent = parent
    vma.rbRed = true
    if (k?.stepping === true) yield write(this.id, 'mm.mm_rb')
    if (parent === null) this.root = vma
    else if (asLeft) parent.rbLeft = vma
    else parent.rbRight = vma
    this.propagate(vma)
    yield* this.#balanceInsert(k, vma)
  }

  *#balanceInsert(k: Task | null, vma: Vma): Proc<void> {
    let node = vma
    for (;;) {
      let parent = node.rbParent
      if (parent === null || !parent.rbRed) break
      const grand = parent.rbParent
      if (grand === null) break
      const parentIsLeft = grand.rbLeft === parent
      const uncle = parentIsLeft ? grand.rbRight : grand.rbLeft
      if (uncle?.rbRed === true) {
        parent.rbRed = false
        uncle.rbRed = false
        grand.rbRed = true
        node = grand
        continue
      }
      if (parentIsLeft ? parent.rbRight === node : parent.rbLeft === node) {
        yield* this.#rotate(k, parent, parentIsLeft)
        parent = node
      }
      parent.rbRed = false
      grand.rbRed = true
      yield* this.#rotate(k, grand, !parentIsLeft)
      break
    }
    if (this.root !== null) this.root.rbRed = false
  }

  /** Takes an area out. Its own links stay for a descent that is at it; the caller clears it later. @kernel __rb_erase_color */
  *erase(k: Task | null, vma: Vma): Proc<void> {
    const { rbLeft: left, rbRight: right } = vma
    let removedRed = vma.rbRed
    let child: Vma | null
    let childParent: Vma | null
    if (left === null || right === null) {
      child = left ?? right
      childParent = vma.rbParent
      if (k?.stepping === true) yield write(this.id, 'mm.mm_rb')
      this.#replace(vma, child)
    } else {
      // The next area takes its place. It leaves its own first: else a descent could go round for ever.
      let next = right
      while (next.rbLeft !== null) next = next.rbLeft
      removedRed = next.rbRed
      child = next.rbRight
      if (k?.stepping === true) yield write(this.id, 'mm.mm_rb')
      if (next === right) childParent = next
      else {
        childParent = next.rbParent
        this.#replace(next, child)
        if (k?.stepping === true) yield write(this.id, 'mm.mm_rb')
        next.rbRight = right
        right.rbParent = next
      }
      next.rbLeft = left
      left.rbParent = next
      next.rbRed = vma.rbRed
      if (k?.stepping === true) yield write(this.id, 'mm.mm_rb')
      this.#replace(vma, next)
      this.propagate(next)
    }
    if (childParent !== null) this.propagate(childParent)
    if (!removedRed) yield* this.#balanceErase(k, child, childParent)
  }

  *#balanceErase(k: Task | null, from: Vma | null, fromParent: Vma | null): Proc<void> {
    let node = from
    let parent = fromParent
    while (node !== this.root && node?.rbRed !== true && parent !== null) {
      const isLeft = parent.rbLeft === node
      let sibling = isLeft ? parent.rbRight : parent.rbLeft
      if (sibling?.rbRed === true) {
        sibling.rbRed = false
        parent.rbRed = true
        yield* this.#rotate(k, parent, isLeft)
        sibling = isLeft ? parent.rbRight : parent.rbLeft
      }
      if (sibling === null) break
      const near = isLeft ? sibling.rbLeft : sibling.rbRight
      const far = isLeft ? sibling.rbRight : sibling.rbLeft
      if (near?.rbRed !== true && far?.rbRed !== true) {
        sibling.rbRed = true
        node = parent
        parent = node.rbParent
        continue
      }
      if (far?.rbRed !== true) {
        if (near !== null) near.rbRed = false
        sibling.rbRed = true
        yield* this.#rotate(k, sibling, !isLeft)
        sibling = isLeft ? parent.rbRight : parent.rbLeft
      }
      if (sibling !== null) {
        sibling.rbRed = parent.rbRed
        const outer = isLeft ? sibling.rbRight : sibling.rbLeft
        if (outer !== null) outer.rbRed = false
      }
      parent.rbRed = false
      yield* this.#rotate(k, parent, isLeft)
      node = this.root
      break
    }
    if (node !== null) node.rbRed = false
  }

  /** `down` goes below its child, which takes its place; first the lower link, then the two others. @kernel __rb_rotate_set_parents */
  *#rotate(k: Task | null, down: Vma, toLeft: boolean): Proc<void> {
    const up = toLeft ? down.rbRight : down.rbLeft
    if (up === null) return
    const middle = toLeft ? up.rbLeft : up.rbRight
    if (toLeft) down.rbRight = middle
    else down.rbLeft = middle
    if (middle !== null) middle.rbParent = down
    if (k?.stepping === true) yield write(this.id, 'mm.mm_rb')
    if (toLeft) up.rbLeft = down
    else up.rbRight = down
    this.#replace(down, up)
    down.rbParent = up
    this.#refresh(down)
    this.#refresh(up)
  }

  #replace(old: Vma, by: Vma | null): void {
    const parent = old.rbParent
    if (parent === null) this.root = by
    else if (parent.rbLeft === old) parent.rbLeft = by
    else parent.rbRight = by
    if (by !== null) by.rbParent = parent
  }

  /** @kernel vma_compute_subtree_gap */
  #refresh(vma: Vma): void {
    const { rbLeft: left, rbRight: right } = vma
    let gap = vma.gapBelow
    if (left !== null && left.subtreeGap > gap) gap = left.subtreeGap
    if (right !== null && right.subtreeGap > gap) gap = right.subtreeGap
    vma.subtreeGap = gap
  }

  /** Corrects the gaps from here up. @kernel vma_gap_update, vma_gap_callbacks_propagate */
  propagate(vma: Vma): void {
    for (let at: Vma | null = vma; at !== null; at = at.rbParent) this.#refresh(at)
  }

  /** What is wrong with the tree, or null. @kernel validate_mm_rb */
  validate(): string | null {
    if (this.root?.rbRed === true) return 'the root is red'
    const checked = this.#validate(this.root)
    return typeof checked === 'string' ? checked : null
  }

  /** Black height, or what is wrong below. */
  #validate(vma: Vma | null): number | string {
    if (vma === null) return 1
    const { rbLeft: left, rbRight: right } = vma
    const name = `area [${vma.start},${vma.end})`
    if (left !== null && (left.rbParent !== vma || left.end > vma.start)) return `${name} has a wrong left child`
    if (right !== null && (right.rbParent !== vma || right.start < vma.end)) return `${name} has a wrong right child`
    if (vma.rbRed && (left?.rbRed === true || right?.rbRed === true)) return `${name} and a child are both red`
    const below = this.#validate(left)
    const above = this.#validate(right)
    if (typeof below === 'string') return below
    if (typeof above === 'string') return above
    if (below !== above) return `${name} has ${below} black areas below its left and ${above} below its right`
    const gap = Math.max(vma.gapBelow, left?.subtreeGap ?? 0, right?.subtreeGap ?? 0)
    if (gap !== vma.subtreeGap) return `${name} says its largest gap is ${vma.subtreeGap}, but it is ${gap}`
    return below + (vma.rbRed ? 0 : 1)
  }
}
