/**
 * One animation frame for everybody: painters ask to be called once, at the next frame, and the loop rests when nobody
 * asked. So a paused screen costs nothing. Counts pictures for the honesty display.
 */
const waiting = new Set<() => void>()
let requested = false
let painted = 0

/** Calls `painter` once in the next animation frame, however often it was asked. */
export function paintSoon(painter: () => void): void {
  waiting.add(painter)
  if (requested) return
  requested = true
  requestAnimationFrame(() => {
    requested = false
    painted++
    const painters = [...waiting]
    waiting.clear()
    for (const paint of painters) paint()
  })
}

export function forget(painter: () => void): void {
  waiting.delete(painter)
}

/** Pictures since the page was opened. */
export const picturesPainted = (): number => painted
