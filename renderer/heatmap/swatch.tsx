/**
 * A page state as a small picture, painted with the very stamps of the maps, so that the legend cannot lie.
 * Repaints when the scheme changes; its name for screen readers is the state's.
 */
import { useRef } from 'react'
import { usePainter } from '../hooks.tsx'
import { scheme } from '../theme.ts'
import { makeStamps, STATE_LABEL } from './paint.ts'

const SIDE_CSS_PX = 13

export function Swatch({ state }: { state: number }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  usePainter(() => {
    const element = canvas.current
    const context = element?.getContext('2d')
    if (!element || !context) return
    const ratio = devicePixelRatio
    const side = Math.round(SIDE_CSS_PX * ratio)
    element.width = side
    element.height = side
    const stamp = makeStamps(side, side, ratio, scheme.value)[state]
    if (!stamp) return
    const image = new ImageData(side, side)
    new Uint32Array(image.data.buffer).set(stamp)
    context.putImageData(image, 0, 0)
  }, [scheme])
  return <canvas ref={canvas} className="swatch" role="img" aria-label={STATE_LABEL[state] ?? ''} />
}
