/**
 * The chosen litmus test: what it asks, what stands at the start, which protections can be left out, and the search itself.
 * A search is a command in the terminal; what is shown of it comes from the engine (race_client.ts).
 */
import type { ReactNode } from 'react'
import type { RaceListing, RaceView } from '../../core/api/protocol.ts'
import { formatCount } from '../format.ts'
import { useControls } from '../hooks.tsx'
import { useScreen } from '../state.ts'
import { chosenRace, toggleProtection, useRaces } from './race_state.ts'

export function RaceCase() {
  const race = useRaces(chosenRace)
  if (race === null) return <div className="race-case" />
  return (
    <div className="race-case">
      <h3>{race.title}</h3>
      <p className="race-result">
        Result with every protection on: <b>{race.result}</b>
        {race.memoryModel !== 'sc' && ` · memory model ${race.memoryModel}`}
      </p>
      <pre className="race-start">{race.start}</pre>
      <Protections race={race} />
      <SearchButtons race={race} />
      <Verdict litmus={race.litmus} />
      {race.history && <History history={race.history} />}
    </div>
  )
}

function Protections({ race }: { race: RaceListing }) {
  const without = useRaces((state) => state.without)
  return (
    <fieldset className="protections">
      <legend>Protections</legend>
      {race.protections.map(({ name, meaning, prevents }) => (
        <label key={name} title={`Without it: ${prevents}`}>
          <input type="checkbox" checked={!without.includes(name)} onChange={() => toggleProtection(name)} />
          <span>
            <code>{name}</code> {meaning}
          </span>
        </label>
      ))}
    </fieldset>
  )
}

function SearchButtons({ race }: { race: RaceListing }) {
  const { terminal } = useControls()
  const without = useRaces((state) => state.without)
  const running = useScreen((state) => state.running !== null)
  const line = ['explore', race.litmus, ...without.map((name) => `--without ${name}`)].join(' ')
  return (
    <div className="race-search">
      <button type="button" className="small strong" disabled={running} onClick={() => terminal.execute(line)}>
        {without.length === 0 ? 'Verify' : 'Find the race'}
      </button>
      <code className="race-line" title={line}>
        {line}
      </code>
    </div>
  )
}

function Verdict({ litmus }: { litmus: string }) {
  const view = useRaces((state) => state.view)
  if (view === null || view.litmus !== litmus) return null
  return (
    <div className={`verdict ${gradeOf(view)}`} role="status">
      <b>
        <span aria-hidden="true">{SIGN[gradeOf(view)]}</span> {view.verdict ?? 'searching'}
      </b>
      <p>{view.sentence}</p>
      {view.verdict === null && (
        <Counts>
          {formatCount(view.progress.schedules)} schedules · depth {view.progress.depth} · frontier{' '}
          {formatCount(view.progress.frontier)}
        </Counts>
      )}
    </div>
  )
}

const SIGN = { good: '✓', warn: '△', bad: '✕', none: '…' } as const

function gradeOf({ verdict }: RaceView): keyof typeof SIGN {
  if (verdict === null) return 'none'
  return verdict === 'verified' ? 'good' : verdict === 'violation' ? 'bad' : 'warn'
}

function Counts({ children }: { children: ReactNode }) {
  return <p className="number muted">{children}</p>
}

function History({ history }: { history: NonNullable<RaceListing['history']> }) {
  return (
    <section className="race-history" aria-label="History">
      <h4>✦ It happened</h4>
      <p>{history.story}</p>
      <ul>
        {history.sources.map((source) => (
          <li key={source}>{source}</li>
        ))}
      </ul>
    </section>
  )
}
