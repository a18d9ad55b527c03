/**
 * Which names (object and label) more than one task has been seen to touch in ways that conflict.
 *
 * A step that touches no such name can be moved freely against the steps of all other tasks, as far as has been seen. A search
 * that leaves out choices on that ground notes the names with `relyOn`, and `disproved` says that one of them
 * has turned out to be shared after all.
 */
import { type Footprint, modesConflict, Names } from '../engine/footprint.ts'
import type { AccessMode } from '../engine/op.ts'

/** No task yet. */
const NONE = -1
/** More than one task. */
const MANY = -2

const MODES = 6

export interface ConflictsState {
  readonly disproved: boolean
  /** Object, label, the task of each mode, and whether a choice rests on it. */
  readonly touched: readonly (readonly [number, string, readonly number[], boolean])[]
}

export class Conflicts {
  readonly names = new Names()
  /** By name and mode: the task that touched it so. */
  readonly #tasks: number[] = []
  readonly #shared: boolean[] = []
  readonly #reliedOn: boolean[] = []
  disproved: boolean

  constructor(from: ConflictsState | null = null) {
    this.disproved = from?.disproved ?? false
    for (const [object, label, tasks, reliedOn] of from?.touched ?? []) {
      const name = this.names.id(object, label)
      this.#grow(name)
      tasks.forEach((task, mode) => {
        this.#tasks[name * MODES + mode] = task
      })
      this.#shared[name] = this.#isShared(name)
      this.#reliedOn[name] = reliedOn
    }
  }

  #grow(name: number): void {
    while (this.#shared.length <= name) {
      for (let mode = 0; mode < MODES; mode++) this.#tasks.push(NONE)
      this.#shared.push(false)
      this.#reliedOn.push(false)
    }
  }

  /** A step of `task` has touched this. */
  see(task: number, footprint: Footprint): void {
    for (let i = 0; i < footprint.length; i += 2) {
      const name = footprint[i]
      this.#grow(name)
      const at = name * MODES + footprint[i + 1]
      const before = this.#tasks[at]
      if (before === task || before === MANY) continue
      this.#tasks[at] = before === NONE ? task : MANY
      if (this.#shared[name] || !this.#isShared(name)) continue
      this.#shared[name] = true
      if (this.#reliedOn[name]) this.disproved = true
    }
  }

  #isShared(name: number): boolean {
    for (let a = 0; a < MODES; a++) {
      const one = this.#tasks[name * MODES + a]
      if (one === NONE) continue
      for (let b = a; b < MODES; b++) {
        const other = this.#tasks[name * MODES + b]
        if (other === NONE || !modesConflict(a as AccessMode, b as AccessMode)) continue
        if (one !== other || one === MANY) return true
      }
    }
    return false
  }

  /** No other task has been seen to conflict with such a step. */
  isPrivate(footprint: Footprint): boolean {
    for (let i = 0; i < footprint.length; i += 2) if (this.#shared[footprint[i]]) return false
    return true
  }

  /** A choice is left out because this is private. */
  relyOn(footprint: Footprint): void {
    for (let i = 0; i < footprint.length; i += 2) this.#reliedOn[footprint[i]] = true
  }

  /** Starts again with what has been seen, and nothing left out. */
  forgetReliance(): void {
    this.#reliedOn.fill(false)
    this.disproved = false
  }

  state(): ConflictsState {
    return {
      disproved: this.disproved,
      touched: this.#shared.map((_, name) => {
        const at = name * MODES
        return [this.names.object(name), this.names.label(name), this.#tasks.slice(at, at + MODES), this.#reliedOn[name]]
      }),
    }
  }
}
