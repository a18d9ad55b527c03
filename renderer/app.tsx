/**
 * The window: source, wire and destination from left to right, time below, words and numbers at the foot. What stands
 * where is CSS grid (styles/frame.css) and is never rearranged, only resized; the race explorer, a line at the foot, takes the
 * place of the migration when it is opened.
 */
import { Legend } from './heatmap/legend.tsx'
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
import { useScreen } from './state.ts'
import { TerminalPanel } from './terminal/terminal.tsx'
import { TimelinePanel } from './timeline/timeline.tsx'

export function App() {
  const races = useRaces((state) => state.open)
  return (
    <>
      <TopBar />
      <Transport />
      <Trouble />
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

/** One sentence, in place, when the engine or the screen cannot go on. */
function Trouble() {
  const problem = useScreen((state) => state.problem)
  const error = useScreen((state) => (state.status?.state === 'failed' ? state.status.error : ''))
  const sentence = problem || error
  return <div role="alert">{sentence && <p className="trouble-line">✕ {sentence}</p>}</div>
}
