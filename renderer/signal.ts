/**
 * A value that can be watched: the way hot data (frames, playhead, hover) reaches canvases without passing through React.
 *
 * Setting the same value again tells nobody. Watchers are called in the order in which they came, with no value: they
 * read `value` when they paint, so a slow painter skips pictures instead of queueing them.
 */
export class Signal<T> {
  #value: T
  readonly #watchers = new Set<() => void>()

  constructor(first: T) {
    this.#value = first
  }

  get value(): T {
    return this.#value
  }

  set(next: T): void {
    if (Object.is(next, this.#value)) return
    this.#value = next
    for (const watcher of [...this.#watchers]) watcher()
  }

  /** Returns the function that stops watching. A property, so that it can be handed over without its object. */
  readonly watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher)
    return () => {
      this.#watchers.delete(watcher)
    }
  }
}
