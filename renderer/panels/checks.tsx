/**
 * What was checked and with which result. While the engine works, the numbers are those up to the playhead; the verdict
 * comes from the finished run's report and from nowhere else. Green only beside a check mark. A migration on the real kernel says so
 * in the panel's head, and stays until the next simulated one begins.
 */
import type { KernelRunView } from '../../core/api/protocol.ts'
import { formatCount, formatTime } from '../format.ts'
import { Hot, useControls } from '../hooks.tsx'
import type { RunReport } from '../state.ts'
import { shownFrame, useScreen } from '../state.ts'
import { MeasuredTable } from './measured_table.tsx'
import { Panel } from './panel.tsx'

export function ChecksPanel() {
  const info = useScreen((state) => state.info)
  const status = useScreen((state) => state.status)
  const report = useScreen((state) => state.report)
  const kernelRun = useScreen((state) => state.kernelRun)
  if (kernelRun) return <KernelChecks run={kernelRun} />
  return (
    <Panel
      name="Checks"
      className="checks"
      facts={report ? 'of the whole run' : info && <Hot sources={[shownFrame]} text={checksSoFar} />}
    >
      {!info && (
        <p className="empty">
          Nothing checked yet: <code>migrate</code> compares every load with a shadow memory.
        </p>
      )}
      {status?.state === 'failed' && <Verdict grade="bad" word="failed" sentence={status.error} />}
      {info && status?.state === 'interrupted' && (
        <Verdict
          grade="warn"
          word="interrupted"
          sentence="The run was stopped; what is on the screen was not compared at its end."
        />
      )}
      {info && (!status || status.state === 'running') && (
        <Verdict
          grade="none"
          word={info.machine === 'kernel' ? 'kernel at work' : 'engine at work'}
          sentence="Every load of the guest is being compared."
        />
      )}
      {info && status?.state === 'done' && !report && (
        <Verdict grade="warn" word="no verdict" sentence="The run ended at its time limit, before its pages could be compared." />
      )}
      {report && (status?.state === 'done' || status?.state === 'failed') && <Findings report={report} />}
    </Panel>
  )
}

/** Of a migration on the real kernel, marked as such: its verdict, and what was measured beside what the model had said. */
function KernelChecks({ run }: { run: KernelRunView }) {
  const { consistency, kernel, migration } = run.report
  const isWhole = migration.status === 'completed'
  const grade = consistency.verdict !== 'consistent' ? 'bad' : isWhole ? 'good' : 'warn'
  return (
    <Panel name="Checks" className="checks" facts={<span title={run.command}>real kernel {kernel.release}</span>}>
      <p
        className={`kernel-verdict ${grade}`}
        role="status"
        title={`${formatCount(consistency.loadsChecked)} loads checked, ${formatCount(consistency.pagesCompared)} pages compared`}
      >
        <span aria-hidden="true">{SIGN[grade]}</span> {consistency.verdict}, {migration.status}
      </p>
      {consistency.firstViolation && <p>{consistency.firstViolation.message}</p>}
      <MeasuredTable run={run} />
    </Panel>
  )
}

function checksSoFar(): string {
  const counters = shownFrame.value?.counters
  if (!counters) return ''
  return counters.violations > 0 ? `${counters.violations} violations so far` : `${counters.checksPassed} checks so far`
}

type Grade = 'good' | 'warn' | 'bad' | 'none'
const SIGN: Readonly<Record<Grade, string>> = { good: '✓', warn: '△', bad: '✕', none: '…' }

function Verdict({ grade, word, sentence }: { grade: Grade; word: string; sentence: string }) {
  return (
    <div className={`verdict ${grade}`} role="status">
      <b>
        <span aria-hidden="true">{SIGN[grade]}</span> {word}
      </b>
      <p>{sentence}</p>
    </div>
  )
}

function Findings({ report }: { report: RunReport }) {
  const { consistency, guest } = report
  const { firstViolation } = consistency
  const good = consistency.verdict === 'consistent'
  return (
    <>
      {good && consistency.pagesCompared === 0 ? (
        <Verdict grade="warn" word="no verdict" sentence="The run ended before its pages could be compared." />
      ) : good ? (
        <Verdict grade="good" word="consistent" sentence="No page lost, stale, torn, duplicated or misplaced." />
      ) : (
        <Verdict grade="bad" word="inconsistent" sentence={firstViolation?.message ?? 'The run broke an invariant.'} />
      )}
      {firstViolation && <GoTo page={firstViolation.page} timeNs={firstViolation.timeNs} />}
      <ul className="findings">
        <Finding
          good={consistency.mismatches === 0}
          name="loads checked"
          count={consistency.loadsChecked}
          bad={consistency.mismatches}
        />
        <Finding
          good={consistency.lost + consistency.stale + consistency.torn + consistency.duplicated + consistency.misplaced === 0}
          name="pages compared"
          count={consistency.pagesCompared}
          bad={consistency.lost + consistency.stale + consistency.torn + consistency.duplicated + consistency.misplaced}
        />
        <Finding good={consistency.accounting === 0} name="accounting" count={guest.pages} bad={consistency.accounting} />
      </ul>
    </>
  )
}

function Finding({ good, name, count, bad }: { good: boolean; name: string; count: number; bad: number }) {
  // Nothing was found bad because nothing was looked at: that is no success.
  const grade = good ? (count > 0 ? 'good' : 'none') : 'bad'
  return (
    <li className={grade}>
      <span aria-hidden="true">{grade === 'none' ? '–' : SIGN[grade]}</span>
      <span className="finding-name">{name}</span>
      <span className="number">{formatCount(count)}</span>
      {!good && <span className="finding-bad">{formatCount(bad)} bad</span>}
    </li>
  )
}

function GoTo({ page, timeNs }: { page: number; timeNs: number }) {
  const { player } = useControls()
  const go = (): void => {
    player.pause()
    player.seekTime(timeNs)
    if (page >= 0) player.pin(page)
  }
  return (
    <button type="button" className="small" onClick={go}>
      Go to it: {formatTime(timeNs)}
    </button>
  )
}
