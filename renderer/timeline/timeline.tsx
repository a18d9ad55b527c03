/**
 * The timeline panel: drag to scrub, wheel to look closer, drag the minimap to go anywhere in the run. The drawing lies
 * below a slider, so that keyboards and screen readers can scrub as well.
 */

import type { KeyboardEvent, PointerEvent } from 'react'
import { useEffect, useRef } from 'react'
import { formatTime } from '../format.ts'
import { Hot, useControls, useCrispCanvas, usePainter } from '../hooks.tsx'
import { Panel } from '../panels/panel.tsx'
import { axisEndNs, predictedNs } from '../prediction.ts'
import {
  playheadNs,
  shownFrame,
  shownMilestones,
  shownPrediction,
  shownSeries,
  shownSleeps,
  timelineView,
  useScreen,
} from '../state.ts'
import { scheme } from '../theme.ts'
import { bandsFor, drawTimeline, GUTTER, MINIMAP_HEIGHT } from './draw.ts'
import { wholeRun, xToTime, zoom } from './scale.ts'

export function TimelinePanel() {
  const { player } = useControls()
  const info = useScreen((state) => state.info)
  const status = useScreen((state) => state.status)
  const canvas = useRef<HTMLCanvasElement>(null)
  const slider = useRef<HTMLDivElement>(null)

  const paint = usePainter(() => {
    const element = canvas.current
    const context = element?.getContext('2d')
    if (!element || !context || !info || !status) return
    const ratio = devicePixelRatio
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    const model = {
      info,
      status,
      series: shownSeries.value,
      milestones: shownMilestones.value,
      prediction: shownPrediction.value,
      sleeps: shownSleeps.value,
      view: timelineView.value,
      playheadNs: playheadNs.value,
      scheme: scheme.value,
    }
    drawTimeline(context, element.width / ratio, element.height / ratio, model, `11px ${getComputedStyle(element).fontFamily}`)
  }, [playheadNs, shownSeries, shownMilestones, shownPrediction, shownSleeps, timelineView, scheme])
  useCrispCanvas(canvas, paint)

  usePainter(() => {
    slider.current?.setAttribute('aria-valuenow', String(Math.round(playheadNs.value)))
    slider.current?.setAttribute('aria-valuetext', formatTime(playheadNs.value))
  }, [playheadNs])

  useEffect(() => {
    const element = slider.current
    if (!element) return
    // React's own wheel listener is passive and could not keep the page from scrolling.
    const wheel = (event: WheelEvent): void => {
      event.preventDefault()
      const { left, width } = element.getBoundingClientRect()
      const around = xToTime(timelineView.value, width, event.clientX - left)
      timelineView.set(zoom(timelineView.value, around, 1.0015 ** event.deltaY, wholeAxisNs()))
    }
    element.addEventListener('wheel', wheel, { passive: false })
    return () => element.removeEventListener('wheel', wheel)
  }, [])

  const overview = useRef(false)
  const scrub = (event: PointerEvent<HTMLDivElement>): void => {
    const { left, width } = event.currentTarget.getBoundingClientRect()
    const view = overview.current ? wholeRun(wholeAxisNs()) : timelineView.value
    player.seekTime(xToTime(view, width, event.clientX - left))
  }
  const begin = (event: PointerEvent<HTMLDivElement>): void => {
    if (event.button !== 0 || !status) return
    event.currentTarget.setPointerCapture(event.pointerId)
    overview.current = event.clientY - event.currentTarget.getBoundingClientRect().top <= MINIMAP_HEIGHT
    scrub(event)
  }
  const key = (event: KeyboardEvent): void => {
    const to = keyTarget(event.key, status?.endNs ?? 0)
    if (to === null) return
    event.preventDefault()
    player.seekTime(to)
  }

  return (
    <Panel
      name="Timeline"
      className="timeline"
      facts={
        <Hot
          sources={[playheadNs]}
          text={() => (status ? `${formatTime(playheadNs.value)} of ${formatTime(status.endNs)}` : '')}
        />
      }
    >
      <div className="scrub">
        <canvas ref={canvas} role="img" aria-label={describe()} />
        <div
          ref={slider}
          className="scrub-area"
          style={{ left: GUTTER }}
          role="slider"
          aria-label="Playhead"
          aria-valuemin={0}
          aria-valuemax={Math.round(status?.endNs ?? 0)}
          aria-valuenow={0}
          tabIndex={0}
          onPointerDown={begin}
          onPointerMove={(event) => event.currentTarget.hasPointerCapture(event.pointerId) && scrub(event)}
          onKeyDown={key}
        />
      </div>
      {!info && (
        <p className="empty">
          No run yet: <code>migrate</code> draws one.
        </p>
      )}
    </Panel>
  )
}

const wholeAxisNs = () => axisEndNs(useScreen.getState().status, shownPrediction.value)

/** The text twin of the drawing. */
function describe(): string {
  const { status } = useScreen.getState()
  if (!status) return 'Timeline: no run yet'
  const milestones = shownMilestones.value
  const bands = bandsFor(status, milestones).map(
    (band) => `${band.name} from ${formatTime(band.fromNs)} to ${formatTime(band.toNs)}`,
  )
  const faults = shownSeries.value?.faultTimeNs.length ?? 0
  const passes = Math.max(0, (milestones?.passes.length ?? 0) - 1)
  const left = milestones?.passes.at(-1)?.dirtyPages ?? 0
  const totalNs = predictedNs(shownPrediction.value)
  const incidents = milestones?.incidents.map(({ name, fromNs }) => `${name} at ${formatTime(fromNs)}`) ?? []
  return [
    `Timeline: ${bands.join(', ')}`,
    ...(totalNs === null ? [] : [`the model had said ${formatTime(totalNs)}`]),
    ...(passes > 0 ? [`${passes} passes, the last left ${left} pages dirty`] : []),
    ...incidents,
    `${faults} remote faults`,
  ].join('; ')
}

/** Arrows move by a hundredth of what is in view, page keys by a tenth. */
function keyTarget(key: string, endNs: number): number | null {
  const { fromNs, toNs } = timelineView.value
  const span = toNs - fromNs
  const now = shownFrame.value ? playheadNs.value : 0
  switch (key) {
    case 'ArrowRight':
    case 'ArrowUp':
      return now + span / 100
    case 'ArrowLeft':
    case 'ArrowDown':
      return now - span / 100
    case 'PageUp':
      return now + span / 10
    case 'PageDown':
      return now - span / 10
    case 'Home':
      return 0
    case 'End':
      return endNs
    default:
      return null
  }
}
