/**
 * The window: source, wire and destination from left to right, time below, words and numbers at the foot. What stands
 * where is CSS grid (styles/frame.css) and is never rearranged, only resized; the race explorer, a line at the foot, takes the
 * place of the migration when it is opened.
 */
import { useState } from 'react'
import { formatTime } from './format.ts'
import { Legend } from './heatmap/legend.tsx'
import { useControls, usePainter } from './hooks.tsx'
import { pauseEndsAt } from './moments.ts'
import { ChartsPanel } from './panels/charts.tsx'
import { ChecksPanel } from './panels/checks.tsx'
import { InspectorPanel } from './panels/inspector.tsx'
import { LinkPanel } from './panels/link.tsx'
import { DestinationPanel, SourcePanel } from './panels/machine.tsx'
import { Narration } from './panels/narration.tsx'
import { ShortcutSheet } from './panels/shortcut_sheet.tsx'
import { TopBar } from './panels/top_bar.tsx'
import { Transport } from './panels/transport.tsx'
import { RaceExplorer } from './races/race_explorer.tsx'
import { useRaces } from './races/race_state.ts'
import { playheadNs, shownMilestones, useScreen } from './state.ts'
import { TerminalPanel } from './terminal/terminal.tsx'
import { TimelinePanel } from './timeline/timeline.tsx'

export function App() {
  const races = useRaces((state) => state.open)
  return (
    <>
      <TopBar />
      <Transport />
      <div>
        <Trouble />
        <Paused />
      </div>
      <main className={races ? 'work with-races' : 'work'}>
        <div className="machines">
          <SourcePanel />
          <LinkPanel />
          <DestinationPanel />
          <InspectorPanel />
        </div>
        <Legend />
        <TimelinePanel />
        <div className="foot">
          <TerminalPanel />
          <ChecksPanel />
          <ChartsPanel />
        </div>
        <RaceExplorer />
      </main>
      <Narration />
      <ShortcutSheet />
    </>
  )
}

/** A post-copy that waits under the playhead, and what can be done about it. */
function Paused() {
  const { terminal } = useControls()
  const waits = useScreen((state) => state.status?.state === 'running' && state.status.migration === 'postcopy-paused')
  const [endsNs, setEndsNs] = useState<number | null>(null)
  usePainter(() => setEndsNs(pauseEndsAt(shownMilestones.value, playheadNs.value)), [playheadNs, shownMilestones])
  if (endsNs === null) return null
  const next =
    endsNs < Number.POSITIVE_INFINITY
      ? `It goes on at ${formatTime(endsNs)}.`
      : waits
        ? ''
        : 'Nobody was there to recover it: --recover does so by itself, and migrate -d waits for migrate_recover.'
  return (
    <div className="notice" role="status">
      <p>
        <span className="warn">△ Post-copy is paused:</span> the connection is broken, and the guest runs on with the pages it
        has. {next}
      </p>
      {waits && endsNs === Number.POSITIVE_INFINITY && (
        <button type="button" className="small" onClick={() => terminal.execute('migrate_recover')}>
          migrate_recover
        </button>
      )}
    </div>
  )
}

/** One sentence, in place, when the engine or the screen cannot go on. */
function Trouble() {
  const problem = useScreen((state) => state.problem)
  const error = useScreen((state) => (state.status?.state === 'failed' ? state.status.error : ''))
  const sentence = problem || error
  return <div role="alert">{sentence && <p className="trouble-line">✕ {sentence}</p>}</div>
}
