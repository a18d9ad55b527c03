/**
 * The window's last line: what just happened in one sentence, and the honesty display: pictures a second, simulated time
 * a second as measured, events recorded. The sentence is also the polite live region, slow enough to be spoken.
 */
import { useEffect, useRef } from 'react'
import { slowly } from '../census.ts'
import { formatCount, formatSpeed } from '../format.ts'
import { Hot, usePainter } from '../hooks.tsx'
import { picturesPainted } from '../repaint.ts'
import { Signal } from '../signal.ts'
import { playheadNs, shownFrame, useScreen } from '../state.ts'

const SPOKEN_EVERY_MS = 4000
const MEASURED_EVERY_MS = 500
const LONGEST_MS = 2 * MEASURED_EVERY_MS

export function Narration() {
  const spoken = useRef<HTMLParagraphElement>(null)
  useEffect(
    () =>
      slowly(SPOKEN_EVERY_MS, shownFrame.watch, () => {
        if (spoken.current) spoken.current.textContent = shownFrame.value?.narration ?? ''
      }),
    [],
  )
  return (
    <footer className="narration">
      <p className="sentence" aria-hidden="true">
        <span className="faint">›</span> <Hot sources={[shownFrame]} text={sentence} />
      </p>
      <p ref={spoken} className="hidden-visually" role="status" aria-live="polite" />
      <Honesty />
    </footer>
  )
}

const sentence = () => shownFrame.value?.narration || 'Before the first event.'

interface Measured {
  readonly atMs: number
  readonly pictures: number
  readonly playheadNs: number
  readonly text: string
}

function Honesty() {
  const playing = useScreen((state) => state.playing)
  const rows = useScreen((state) => state.status?.rows ?? 0)
  const measured = useRef(new Signal<Measured>({ atMs: Number.NEGATIVE_INFINITY, pictures: 0, playheadNs: 0, text: '' })).current
  usePainter(() => {
    const now = performance.now()
    const last = measured.value
    const elapsed = now - last.atMs
    if (!playing || elapsed < MEASURED_EVERY_MS) return
    const pictures = picturesPainted()
    // After a rest the first look only sets the mark: a mean over the rest would be no measurement.
    if (elapsed > LONGEST_MS) {
      measured.set({ atMs: now, pictures, playheadNs: playheadNs.value, text: '' })
      return
    }
    const fps = Math.round(((pictures - last.pictures) * 1000) / elapsed)
    const speed = Math.max(0, ((playheadNs.value - last.playheadNs) * 1000) / elapsed)
    measured.set({ atMs: now, pictures, playheadNs: playheadNs.value, text: `${fps} fps · ${formatSpeed(speed)}` })
  }, [playheadNs])
  return (
    <p className="honesty" title="Pictures a second · simulated time a second, as measured · events recorded">
      {playing ? <Hot sources={[measured]} text={() => measured.value.text} /> : <span>paused</span>}
      <span> · {formatCount(rows)} events</span>
    </p>
  )
}
