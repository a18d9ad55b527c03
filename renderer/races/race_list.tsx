/**
 * The museum's list: every litmus test by name, with the races it stands for. Typing narrows it; the arrow keys
 * go through it, in the field and in the list.
 */
import { type KeyboardEvent, useEffect, useRef } from 'react'
import { choose, narrowed, useRaces } from './race_state.ts'

export function RaceList() {
  const museum = useRaces((state) => state.museum)
  const filter = useRaces((state) => state.filter)
  const chosen = useRaces((state) => state.chosen)
  const list = useRef<HTMLUListElement>(null)
  const shown = narrowed(museum, filter)
  useEffect(() => {
    list.current?.querySelector(`[data-litmus="${chosen}"]`)?.scrollIntoView({ block: 'nearest' })
  }, [chosen])
  const walk = (event: KeyboardEvent): void => {
    const way = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    const next = shown[shown.findIndex(({ litmus }) => litmus === chosen) + way]
    if (way === 0 || next === undefined) return
    event.preventDefault()
    choose(next.litmus)
  }
  return (
    <div className="race-list">
      <input
        type="search"
        aria-label="Narrow the list"
        placeholder="rmap, R36, uffd-must-wait"
        value={filter}
        onChange={(event) => useRaces.setState({ filter: event.target.value })}
        onKeyDown={walk}
      />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the list scrolls, and its keys choose. */}
      <ul ref={list} aria-label="Litmus tests" tabIndex={0} onKeyDown={walk}>
        {shown.map(({ litmus, refs, history }) => (
          <li key={litmus} data-litmus={litmus}>
            <button
              type="button"
              tabIndex={-1}
              aria-current={litmus === chosen ? 'true' : undefined}
              onClick={() => choose(litmus)}
            >
              <span>{litmus}</span>
              <span className="faint">
                {history !== null && <abbr title="A published bug of a real kernel">✦</abbr>} {refs.join(' ')}
              </span>
            </button>
          </li>
        ))}
      </ul>
      {shown.length === 0 && <p className="empty">No litmus test has these words in it.</p>}
    </div>
  )
}
