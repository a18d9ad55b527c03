/**
 * The story of one schedule: a lane for each actor, time downwards, one line a step. A switch that the scheduler forced is
 * marked; the step looked at shows where in the kernel it is and what it changed.
 */
import { useEffect, useRef } from 'react'
import type { RaceView } from '../../core/api/protocol.ts'
import { lookAtStep, useRaces } from './race_state.ts'

type Story = NonNullable<RaceView['story']>

export function StoryView() {
  const view = useRaces((state) => state.view)
  const chosen = useRaces((state) => state.chosen)
  const story = view !== null && view.litmus === chosen ? view.story : null
  if (story === null) {
    return (
      <div className="story">
        <p className="empty">
          {view?.litmus === chosen && view.verdict === 'verified'
            ? 'There is no schedule to show: every interleaving keeps every invariant.'
            : 'Leave a protection out and search: the shortest schedule that breaks something is told here, step by step.'}
        </p>
      </div>
    )
  }
  return (
    <div className="story">
      <Steps story={story} />
      <StepDetail story={story} />
    </div>
  )
}

function Steps({ story }: { story: Story }) {
  const step = useRaces((state) => state.step)
  const table = useRef<HTMLTableElement>(null)
  useEffect(() => {
    table.current?.querySelector(`[data-step="${step}"]`)?.scrollIntoView({ block: 'nearest' })
  }, [step])
  return (
    <div className="steps">
      <table ref={table} aria-label="Steps of the schedule">
        <thead>
          <tr>
            <th scope="col">
              <span className="hidden-visually">step</span>
            </th>
            {story.lanes.map(({ task, name }, lane) => (
              <th key={task} scope="col" className={`race-lane lane-${lane % 6}`}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {story.steps.map((one) => (
            <tr
              key={one.step}
              data-step={one.step}
              aria-current={one.step === step ? 'step' : undefined}
              className={one.isPreemption ? 'preempted' : one.isSwitch ? 'switched' : undefined}
              onClick={() => lookAtStep(one.step)}
            >
              <th scope="row">
                <button type="button" onClick={() => lookAtStep(one.step)}>
                  {one.step}
                </button>
              </th>
              {story.lanes.map(({ task }, lane) => (
                <td key={task} className={`race-lane lane-${lane % 6}`}>
                  {one.lane === lane && (
                    <>
                      {one.access}
                      {one.changes.length > 0 && <span className="dot" title="It changed something" />}
                    </>
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** `remap_anon_pages_pte, step 8, called by remap_anon_pages`. */
function placeText({ function: name, step, callers }: NonNullable<Story['steps'][number]['place']>): string {
  return [name, step === null ? '' : `step ${step}`, callers[0] === undefined ? '' : `called by ${callers[0]}`]
    .filter(Boolean)
    .join(', ')
}

function StepDetail({ story }: { story: Story }) {
  const step = useRaces((state) => state.step)
  const one = story.steps[step - 1]
  const isLast = step === story.steps.length
  return (
    <div className="step-detail" aria-live="polite">
      {one !== undefined && (
        <>
          <p>
            <b>
              Step {one.step} of {story.steps.length}
            </b>{' '}
            {story.lanes[one.lane]?.name}: {one.access}
          </p>
          {one.place !== null && <p className="muted">{placeText(one.place)}</p>}
          <dl>
            {one.changes.map(({ what, before, after }) => (
              <div key={what}>
                <dt>{what}</dt>
                <dd>
                  {before || 'none'} → {after || 'none'}
                </dd>
              </div>
            ))}
          </dl>
        </>
      )}
      {isLast && story.violation !== null && (
        <div className="verdict bad">
          <b>
            <span aria-hidden="true">✕</span> {story.violation.invariant}
          </b>
          <p>{story.violation.message}</p>
        </div>
      )}
      <p className="race-replay">
        <code className="replay-line">replay {story.schedule}</code>
      </p>
    </div>
  )
}
