/**
 * What a page state looks like inside its cell: the second cue beside colour, one ink a pixel.
 *
 *   missing   empty            inflight  chevron to the right     fault  thick ring
 *   zero      small ring       dirty     notch, top left          stale  diagonal hatch
 *   resident  solid                                               error  X
 *
 * Cells below 4 CSS pixels are plain: there is no room for a shape. From 6 on a pixel of ground separates cells. In the
 * light scheme inflight and dirty are pale, so a darker outline runs round them. The same inks paint the legend, which
 * therefore shows exactly what the maps show. Pairs with paint.ts, which turns inks into colours.
 */
import { PageState } from '../../core/api/protocol.ts'
import type { Scheme } from '../tokens.ts'

/** fill: the state's own colour; ground: the map's background; the rest as CUE_SHADE names them. */
export type Ink = 'fill' | 'ground' | 'mark' | 'chevron' | 'ring' | 'cross' | 'outline'

/** From this size in CSS pixels a cell carries its second cue. */
export const CUE_CSS_PX = 4
const GAP_FROM_CSS_PX = 6

/** The ink at (x, y) of a cell of `size` device pixels, `ratio` device pixels to a CSS pixel. */
export function inkAt(state: number, x: number, y: number, size: number, ratio: number, scheme: Scheme): Ink {
  if (size < CUE_CSS_PX * ratio) return 'fill'
  const gap = size >= GAP_FROM_CSS_PX * ratio ? Math.max(1, Math.floor(ratio)) : 0
  const side = size - gap
  if (x >= side || y >= side) return 'ground'
  const thick = Math.max(1, Math.round(side / 8))
  const last = side - 1
  switch (state) {
    case PageState.zero:
      return isRing(x, y, side < 8 ? 0 : Math.floor(side / 6), side, thick) ? 'fill' : 'ground'
    case PageState.inflight:
      return isOutline(x, y, side, scheme) ? 'outline' : chevron(x, y, side, thick)
    case PageState.dirty:
      return x + y < Math.ceil(side * 0.45) ? 'ground' : isOutline(x, y, side, scheme) ? 'outline' : 'fill'
    case PageState.fault: {
      const ring = Math.max(1, Math.round(side / 5))
      return x < ring || y < ring || x > last - ring || y > last - ring ? 'ring' : 'fill'
    }
    case PageState.stale:
      return (x + y) % Math.max(3, Math.round(side / 3)) < thick ? 'mark' : 'fill'
    case PageState.error:
      return Math.abs(x - y) < thick || Math.abs(x + y - last) < thick ? 'cross' : 'fill'
    default:
      return 'fill'
  }
}

/** From this size on the outline runs all round; a smaller cell leaves two sides to its neighbours, or no colour is left. */
const WHOLE_OUTLINE_PX = 8

function isOutline(x: number, y: number, side: number, scheme: Scheme): boolean {
  if (scheme !== 'light') return false
  const last = side - 1
  return x === last || y === last || (side >= WHOLE_OUTLINE_PX && (x === 0 || y === 0))
}

function isRing(x: number, y: number, inset: number, side: number, thick: number): boolean {
  const far = side - 1 - inset
  if (x < inset || y < inset || x > far || y > far) return false
  return x < inset + thick || y < inset + thick || x > far - thick || y > far - thick
}

/** A `>` whose tip lies right of the middle. */
function chevron(x: number, y: number, side: number, thick: number): Ink {
  const middle = (side - 1) / 2
  const reach = Math.floor(side * 0.3)
  const fromMiddle = Math.abs(y - middle)
  if (fromMiddle > reach + 0.5) return 'fill'
  const stroke = Math.floor(middle + reach / 2 + 0.5 - fromMiddle + 0.5)
  return x <= stroke && x > stroke - Math.max(thick, Math.round(side / 7)) ? 'chevron' : 'fill'
}
