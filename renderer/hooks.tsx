/**
 * How React components meet hot data: they mount once, and from then on painters run in animation frames when a signal
 * changes. React itself renders only when a slow fact does.
 */

import type { RefObject } from 'react'
import { createContext, useContext, useEffect, useRef, useSyncExternalStore } from 'react'
import type { Binding } from './keys.ts'
import type { Player } from './player.ts'
import { forget, paintSoon } from './repaint.ts'
import type { Signal } from './signal.ts'
import type { TerminalSession } from './terminal/terminal_session.ts'

/** What panels act on. */
export interface Controls {
  readonly player: Player
  readonly terminal: TerminalSession
  readonly bindings: readonly Binding[]
}

export const ControlsContext = createContext<Controls | null>(null)

export function useControls(): Controls {
  const controls = useContext(ControlsContext)
  if (!controls) throw new Error('useControls: no ControlsContext above this component')
  return controls
}

type Watchable = Pick<Signal<unknown>, 'watch'>

/** A signal that changes seldom, as a value to render. */
export function useSignal<T>(signal: Signal<T>): T {
  return useSyncExternalStore(signal.watch, () => signal.value)
}

/** Calls `paint` in an animation frame: once at first, after each render, and whenever one of `sources` changes. */
export function usePainter(paint: () => void, sources: readonly Watchable[]): () => void {
  const latest = useRef(paint)
  const stable = useRef(() => latest.current()).current
  const watched = useRef(sources).current
  useEffect(() => {
    latest.current = paint
    paintSoon(stable)
  })
  useEffect(() => {
    const stops = watched.map((source) => source.watch(() => paintSoon(stable)))
    return () => {
      for (const stop of stops) stop()
      forget(stable)
    }
  }, [stable, watched])
  return stable
}

/** Keeps a canvas as many device pixels large as its box, and repaints it when that changes. */
export function useCrispCanvas(canvas: RefObject<HTMLCanvasElement | null>, repaint: () => void): void {
  useEffect(() => {
    const element = canvas.current
    if (!element) return
    const fit = (): void => {
      const ratio = devicePixelRatio
      const width = Math.round(element.clientWidth * ratio)
      const height = Math.round(element.clientHeight * ratio)
      if (element.width === width && element.height === height) return
      element.width = width
      element.height = height
      paintSoon(repaint)
    }
    const observer = new ResizeObserver(fit)
    observer.observe(element)
    fit()
    return () => observer.disconnect()
  }, [canvas, repaint])
}

/** Text that follows signals without rendering. */
export function Hot({ text, sources, className }: { text: () => string; sources: readonly Watchable[]; className?: string }) {
  const span = useRef<HTMLSpanElement>(null)
  usePainter(() => {
    const next = text()
    if (span.current && span.current.textContent !== next) span.current.textContent = next
  }, sources)
  return <span ref={span} className={className} />
}
