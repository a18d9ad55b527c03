/**
 * The window's second line: play, step, speed, and where the playhead stands.
 * Its buttons carry the names Play, Pause, Step forward and Step back, and tooltips from the key registry.
 */
import type { MouseEvent, ReactNode } from 'react'
import { useRef } from 'react'
import { formatCount, formatSpeed, formatTime } from '../format.ts'
import { Hot, useControls, usePainter } from '../hooks.tsx'
import { tooltip } from '../keys.ts'
import { forecastAt } from '../moments.ts'
import { sliderToSpeed, speedToSlider } from '../playback.ts'
import { playheadNs, shownFrame, shownMilestones, useScreen } from '../state.ts'
import { Icon } from './icons.tsx'

export function Transport() {
  const { player } = useControls()
  const playing = useScreen((state) => state.playing)
  const hasRun = useScreen((state) => state.info !== null)
  return (
    <div className="transport" role="toolbar" aria-label="Playback">
      <div className="buttons">
        <Button id="step-back" name="Step back" disabled={!hasRun} act={() => player.step(-1)}>
          <Icon name="back" />
        </Button>
        <Button id="play" name={playing ? 'Pause' : 'Play'} strong disabled={!hasRun} act={() => player.toggle()}>
          <Icon name={playing ? 'pause' : 'play'} />
        </Button>
        <Button id="step-forward" name="Step forward" disabled={!hasRun} act={() => player.step(1)}>
          <Icon name="forward" />
        </Button>
      </div>
      <div className="buttons">
        <Button id="previous-fault" name="Previous fault" disabled={!hasRun} act={() => void player.seekEvent(-1, 'Fault', -1)}>
          <Icon name="previousFault" />
        </Button>
        <Button id="next-fault" name="Next fault" disabled={!hasRun} act={() => void player.seekEvent(1, 'Fault', -1)}>
          <Icon name="nextFault" />
        </Button>
      </div>
      <Speed />
      <Forecast />
      <div className="where">
        <span className="pair">
          <span className="faint">t</span>{' '}
          <Hot className="number time" sources={[playheadNs]} text={() => formatTime(playheadNs.value)} />
        </span>
        <span className="pair">
          <span className="faint">event</span>{' '}
          <output aria-label="Event" className="number row" data-testid="row">
            <Hot sources={[shownFrame]} text={() => `#${shownFrame.value?.row ?? 0}`} />
          </output>
        </span>
        <EngineState />
      </div>
    </div>
  )
}

/** Whether the pre-copy under the playhead will end. */
function Forecast() {
  const line = useRef<HTMLParagraphElement>(null)
  usePainter(() => {
    const element = line.current
    if (!element) return
    const forecast = forecastAt(shownMilestones.value, playheadNs.value)
    const text = forecast === null ? '' : `${forecast.never ? '△ ' : ''}${forecast.sentence}`
    if (element.textContent === text) return
    element.textContent = text
    element.title = text
    element.classList.toggle('warn', forecast?.never === true)
  }, [playheadNs, shownMilestones])
  return <p ref={line} className="forecast" role="note" aria-label="Forecast" />
}

interface ButtonProps {
  readonly id: string
  readonly name: string
  readonly strong?: boolean
  readonly disabled: boolean
  readonly act: () => void
  readonly children: ReactNode
}

function Button({ id, name, strong, disabled, act, children }: ButtonProps) {
  const { bindings } = useControls()
  // A click must not take the focus, or Space would press this button again instead of playing.
  const keepFocus = (event: MouseEvent): void => event.preventDefault()
  return (
    <button
      type="button"
      className={strong ? 'strong' : ''}
      aria-label={name}
      title={tooltip(bindings, id)}
      disabled={disabled}
      onMouseDown={keepFocus}
      onClick={act}
    >
      {children}
    </button>
  )
}

function Speed() {
  const { player, bindings } = useControls()
  const speed = useScreen((state) => state.speedNsPerSec)
  return (
    <label
      className="speed"
      title={`Simulated time for each second of real time\n${tooltip(bindings, 'faster')}\n${tooltip(bindings, 'slower')}`}
    >
      <span className="faint">speed</span>
      <input
        type="range"
        min={0}
        max={1}
        step={0.005}
        value={speedToSlider(speed)}
        aria-label="Speed"
        aria-valuetext={`${formatSpeed(speed)} simulated`}
        onChange={(event) => player.setSpeed(sliderToSpeed(Number(event.target.value)))}
      />
      <span className="number">{formatSpeed(speed)}</span>
    </label>
  )
}

function EngineState() {
  const status = useScreen((state) => state.status)
  const isReal = useScreen((state) => state.info?.machine === 'kernel')
  if (!status) return null
  return (
    <span className="pair engine-state">
      <span className="faint">{isReal ? 'kernel' : 'engine'}</span>{' '}
      <span className="number">
        {status.state === 'running' ? `at ${formatTime(status.endNs)}` : `${status.state}, ${formatCount(status.rows)} events`}
      </span>
    </span>
  )
}
