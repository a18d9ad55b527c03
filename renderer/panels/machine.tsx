/**
 * The panels Source and Destination: a map of every page, with the numbers that tell this machine's side of the story.
 * The source's frame is dashed and the destination's solid: a machine is told by place, label and frame, never by hue.
 */
import { formatCount } from '../format.ts'
import { Heatmap } from '../heatmap/heatmap.tsx'
import { Hot } from '../hooks.tsx'
import { shownFrame, useScreen } from '../state.ts'
import { Panel } from './panel.tsx'

export function SourcePanel() {
  return (
    <Panel name="Source" className="source" facts={<Hot sources={[shownFrame]} text={sourceFacts} />}>
      <Heatmap machine="source" />
    </Panel>
  )
}

export function DestinationPanel() {
  return (
    <Panel name="Destination" className="destination" facts={<Hot sources={[shownFrame]} text={destinationFacts} />}>
      <Heatmap machine="destination" />
    </Panel>
  )
}

function sourceFacts(): string {
  const counters = shownFrame.value?.counters
  if (!counters) return ''
  const throttle = counters.throttlePercent > 0 ? `vCPUs throttled by ${counters.throttlePercent} %` : ''
  return [throttle, `sent ${formatCount(counters.pagesSent)} pages`].filter(Boolean).join(' · ')
}

function destinationFacts(): string {
  const counters = shownFrame.value?.counters
  const { info } = useScreen.getState()
  if (!counters || !info) return ''
  const asleep = counters.vcpusBlocked > 0 ? `${counters.vcpusBlocked} of ${info.vcpus} asleep` : ''
  return [asleep, `placed ${formatCount(counters.pagesPlaced)} pages`].filter(Boolean).join(' · ')
}
