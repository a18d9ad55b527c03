/**
 * The window's first line: which run this is (command, seed, hash of its trace), in which phase the playhead stands, and
 * the switches of the window itself.
 */
import { useState } from 'react'
import type { Frame } from '../../core/api/protocol.ts'
import { useControls, usePainter } from '../hooks.tsx'
import { tooltip } from '../keys.ts'
import type { ThemeChoice } from '../state.ts'
import { shownFrame, useScreen } from '../state.ts'
import { chooseTheme } from '../theme.ts'
import { Icon } from './icons.tsx'

export function TopBar() {
  const { bindings } = useControls()
  const info = useScreen((state) => state.info)
  const running = useScreen((state) => state.running)
  return (
    <header className="top-bar">
      <h1>pageferry</h1>
      <code className="command" title={info?.command}>
        {info?.command ?? running ?? 'no run yet'}
      </code>
      <Badges />
      <PhaseStrip />
      <ThemeSwitch />
      <button
        type="button"
        className="quiet"
        aria-label="Shortcuts"
        title={tooltip(bindings, 'sheet')}
        onClick={() => useScreen.setState({ sheetOpen: true })}
      >
        ?
      </button>
    </header>
  )
}

/** Seed and trace hash; a click copies the command that makes this very run. */
function Badges() {
  const info = useScreen((state) => state.info)
  const report = useScreen((state) => state.report)
  const [copied, setCopied] = useState(false)
  if (!info) return null
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(info.command)
    setCopied(true)
    setTimeout(() => setCopied(false), 1500)
  }
  const hash = report?.traceHash ?? ''
  return (
    <button
      type="button"
      className="badge"
      data-trace-hash={hash}
      aria-label={`Seed ${info.seed}, trace hash ${hash || 'not yet known'}; copy the command of this run`}
      title={`trace hash ${hash || 'comes when the run is done'}\nstate hash ${report?.stateHash ?? ''}\nClick to copy: ${info.command}`}
      onClick={() => void copy()}
    >
      {copied ? 'command copied' : `seed ${info.seed} · hash ${hash ? hash.slice(0, 8) : '…'}`}
    </button>
  )
}

const PHASES = ['setup', 'precopy', 'device', 'postcopy', 'completed'] as const

/** Shown beside the segments: nobody asked for these, or not for the migration to end so. */
const TROUBLE: readonly Frame['status'][] = [
  'failed',
  'cancelling',
  'cancelled',
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
]

/** Which segment a status lights; -1: none yet. */
export function phaseOf(status: Frame['status']): number {
  switch (status) {
    case 'setup':
    case 'wait-unplug':
      return 0
    case 'active':
      return 1
    case 'pre-switchover':
    case 'device':
      return 2
    case 'postcopy-active':
    case 'postcopy-paused':
    case 'postcopy-recover-setup':
    case 'postcopy-recover':
      return 3
    case 'completed':
      return 4
    default:
      return -1
  }
}

function PhaseStrip() {
  const [status, setStatus] = useState<Frame['status']>('none')
  usePainter(() => setStatus(shownFrame.value?.status ?? 'none'), [shownFrame])
  const now = phaseOf(status)
  const troubled = TROUBLE.includes(status)
  return (
    <ol className="phases" aria-label={`Phase: ${status === 'none' ? 'guest runs at the source' : status}`}>
      {PHASES.map((phase, index) => (
        <li
          key={phase}
          className={index === now ? 'now' : index < now ? 'past' : ''}
          aria-current={index === now ? 'step' : undefined}
        >
          {phase}
        </li>
      ))}
      {troubled && <li className="trouble">△ {status}</li>}
    </ol>
  )
}

const THEMES: readonly { choice: ThemeChoice; label: string }[] = [
  { choice: 'dark', label: 'Dark' },
  { choice: 'light', label: 'Light' },
  { choice: 'system', label: 'As the system' },
]

function ThemeSwitch() {
  const theme = useScreen((state) => state.theme)
  return (
    <fieldset className="segments" aria-label="Theme">
      {THEMES.map(({ choice, label }) => (
        <label key={choice} title={`Theme: ${label.toLowerCase()}`}>
          <input type="radio" name="theme" aria-label={label} checked={theme === choice} onChange={() => chooseTheme(choice)} />
          <Icon name={choice} />
        </label>
      ))}
    </fieldset>
  )
}
