/**
 * The legend below both maps: each page state with its picture, its name, and how many pages are in it on either side.
 * The numbers come from the census and are also the maps' text twin; the pictures come from the maps' own stamps.
 */
import { PAGE_STATE_NAME } from '../../core/api/protocol.ts'
import type { Census } from '../census.ts'
import { census } from '../census.ts'
import { formatCount } from '../format.ts'
import { Hot } from '../hooks.tsx'
import { STATE_LABEL } from './paint.ts'
import { Swatch } from './swatch.tsx'

const count = (side: keyof Census, state: number) => () => {
  const counts = census.value?.[side]
  return counts ? formatCount(counts[state] ?? 0) : '–'
}

export function Legend() {
  return (
    <dl className="legend" aria-label="Page states: pages at the source, pages at the destination">
      {PAGE_STATE_NAME.map((name, state) => (
        <div key={name}>
          <dt>
            <Swatch state={state} /> {STATE_LABEL[state]}
          </dt>
          <dd title={`${STATE_LABEL[state]}: pages at the source, pages at the destination`}>
            <Hot sources={[census]} text={count('source', state)} />
            <span className="faint"> | </span>
            <Hot sources={[census]} text={count('destination', state)} />
          </dd>
        </div>
      ))}
    </dl>
  )
}
