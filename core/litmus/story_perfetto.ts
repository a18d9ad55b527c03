/**
 * A story in Chrome's JSON trace format, which ui.perfetto.dev opens: a lane is a thread, a step a slice of one microsecond.
 *
 * Each slice carries the place and what changed; every switch is an arrow (a flow) from the step before; the broken invariant is
 * an instant over all lanes. Pairs with core/trace/perfetto.ts, which writes migrations.
 */
import type { Story } from './story.ts'
import { placeWords } from './story_text.ts'

export function* writeStoryPerfetto(story: Story): Generator<string> {
  const { lanes, steps, violation } = story
  const events: object[] = [
    { ph: 'M', pid: 1, tid: 0, name: 'process_name', args: { name: `${story.litmus} (${story.memoryModel})` } },
    ...lanes.map(({ name }, i) => ({ ph: 'M', pid: 1, tid: i + 1, name: 'thread_name', args: { name } })),
  ]
  let previous = -1
  for (const { step, lane, isSwitch, isPreemption, access, place, changes } of steps) {
    const changed = Object.fromEntries(changes.map(({ what, before, after }) => [what, `${before} -> ${after}`]))
    const args = { step, place: place === null ? '' : placeWords(place), ...changed }
    if (isSwitch) {
      const flow = { cat: 'switch', name: isPreemption ? 'preemption' : 'switch', id: step, pid: 1 }
      events.push({ ...flow, ph: 's', tid: previous + 1, ts: step - 0.5 })
      events.push({ ...flow, ph: 'f', bp: 'e', tid: lane + 1, ts: step + 0.5 })
    }
    events.push({ ph: 'X', cat: 'step', name: access, pid: 1, tid: lane + 1, ts: step, dur: 1, args })
    previous = lane
  }
  if (violation !== null) {
    const name = `${violation.invariant}: ${violation.message}`
    events.push({ ph: 'i', s: 'g', name, pid: 1, tid: previous + 1, ts: steps.length + 1 })
  }
  yield `{"displayTimeUnit":"ns","otherData":{"producer":"pageferry","schedule":${JSON.stringify(story.schedule)}},"traceEvents":[\n`
  yield `${events.map((event) => JSON.stringify(event)).join(',\n')}\n]}\n`
}
