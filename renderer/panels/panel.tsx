/**
 * The frame of every panel: a region with an accessible name, a header line, and a body that never makes the page scroll.
 * The name is what F6, tests and screen readers know it by. Pairs with styles/frame.css.
 */
import type { ReactNode } from 'react'
import type { RegionName } from '../shortcuts.ts'

interface PanelProps {
  readonly name: RegionName
  /** Right of the title: the panel's one or two most telling numbers. */
  readonly facts?: ReactNode
  /** A button at the end of the header line. */
  readonly action?: ReactNode
  readonly className?: string
  readonly children: ReactNode
}

export function Panel({ name, facts, action, className = '', children }: PanelProps) {
  return (
    <section className={`panel ${className}`} aria-label={name} data-region={name} tabIndex={-1}>
      <header className="panel-head">
        <h2>{name}</h2>
        <div className="facts">{facts}</div>
        {action}
      </header>
      <div className="panel-body">{children}</div>
    </section>
  )
}
