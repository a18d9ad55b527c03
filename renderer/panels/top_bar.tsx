/**
 * The window's first line: which run this is (simulated or real, command, seed, hash of its trace), in which phase the playhead stands, and
 * the switches of the window itself.
 */
import { useState } from 'react'
import type { Frame, RunInfo } from '../../core/api/protocol.ts'
import { useControls, usePainter } from '../hooks.tsx'
import { tooltip } from '../keys.ts'
import type { ThemeChoice } from '../state.ts'
import { shownFrame, shownMilestones, useScreen } from '../state.ts'
import { PHASES, STATUS_WORD } from '../status_words.ts'
import { chooseTheme } from '../theme.ts'
import { Icon } from './icons.tsx'

const MACHINE: Readonly<Record<RunInfo['machine'], { word: string; title: string }>> = {
  simulated: { word: 'simulated', title: 'All times are those of the model' },
  kernel: { word: 'real kernel', title: "Done by this machine's own kernel; all times were measured" },
}

export function TopBar() {
  const { bindings } = useControls()
  const info = useScreen((state) => state.info)
  const running = useScreen((state) => state.running)
  const isLive = useScreen((state) => state.info?.machine === 'kernel' && state.status?.state === 'running')
  return (
    <header className="top-bar">
      <h1>pageferry</h1>
      {info && (
        <b className={`run-machine ${info.machine}`} title={MACHINE[info.machine].title}>
          {isLive ? `${MACHINE[info.machine].word}, live` : MACHINE[info.machine].word}
        </b>
      )}
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
  const isReal = info.machine === 'kernel'
  return (
    <button
      type="button"
      className="badge"
      data-trace-hash={hash}
      aria-label={`Seed ${info.seed}${isReal ? '' : `, trace hash ${hash || 'not yet known'}`}; copy the command of this run`}
      title={`${isReal ? 'a real run is never twice the same and has no hash' : `trace hash ${hash || 'comes when the run is done'}\nstate hash ${report?.stateHash ?? ''}`}\nClick to copy: ${info.command}`}
      onClick={() => void copy()}
    >
      {copied ? 'command copied' : `seed ${info.seed}${isReal ? '' : ` · hash ${hash ? hash.slice(0, 8) : '…'}`}`}
    </button>
  )
}

/** Each phase by its name, but the present one by that of the state; those that the migration went through are past. */
function PhaseStrip() {
  const [status, setStatus] = useState<Frame['status']>('none')
  const [past, setPast] = useState('')
  usePainter(() => {
    const frame = shownFrame.value
    setStatus(frame?.status ?? 'none')
    const gone = shownMilestones.value?.states.filter(({ timeNs }) => timeNs <= (frame?.timeNs ?? 0)) ?? []
    setPast(PHASES.filter((_, index) => gone.some((state) => STATUS_WORD[state.status].phase === index)).join())
  }, [shownFrame, shownMilestones])
  const { phase: now, word, isTrouble } = STATUS_WORD[status]
  return (
    <ol className="phases" aria-label={`Phase: ${status === 'none' ? 'guest runs at the source' : `${word} (${status})`}`}>
      {PHASES.map((phase, index) => {
        const kind = index === now ? (isTrouble ? 'now trouble' : 'now') : past.split(',').includes(phase) ? 'past' : ''
        return (
          <li
            key={phase}
            className={kind}
            title={index === now ? `QEMU calls this state ${status}` : undefined}
            aria-current={index === now ? 'step' : undefined}
          >
            {index === now ? `${isTrouble ? '△ ' : ''}${word}` : phase}
          </li>
        )
      })}
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
