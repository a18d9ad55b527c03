/** The player against the engine double, with a clock of the test's own. */
import { beforeEach, describe, expect, test } from 'vitest'
import { Player } from '../../renderer/player.ts'
import { playheadNs, shownFrame, useScreen } from '../../renderer/state.ts'
import { EngineDouble } from './double/engine_double.ts'

const silent = { out: () => {}, err: () => {} }

class TestClock {
  ms = 0
  frames: (() => void)[] = []
  nowMs = () => this.ms
  nextFrame = (callback: () => void) => void this.frames.push(callback)
  later = (callback: () => void, ms: number) => void setTimeout(callback, Math.min(ms, 2))

  async frame(ms: number): Promise<void> {
    this.ms += ms
    const due = this.frames
    this.frames = []
    for (const callback of due) callback()
    await settled()
  }
}

/** Lets every answer of the double arrive. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 1))

async function opened() {
  const clock = new TestClock()
  const engine = new EngineDouble(64, 4)
  const player = new Player(engine, clock)
  await player.run('migrate', silent, 80)
  await settled()
  return { clock, engine, player }
}

beforeEach(async () => {
  // The player of the test before has looked at its engine for the last time.
  await new Promise((resolve) => setTimeout(resolve, 10))
  useScreen.setState({ playing: false, info: null, status: null, report: null, running: null, pinnedPage: -1 })
  shownFrame.set(null)
  playheadNs.set(0)
})

describe('player', () => {
  test('a new run plays by itself from shortly before its start, at a speed for twenty seconds of crossing', async () => {
    await opened()
    const { status, playing, speedNsPerSec } = useScreen.getState()
    expect(playing).toBe(true)
    expect(status?.state).toBe('done')
    expect(playheadNs.value).toBeLessThan(status?.startedNs ?? 0)
    expect(playheadNs.value).toBeGreaterThan(0)
    expect(speedNsPerSec * 20).toBeCloseTo((status?.completedNs ?? 0) - (status?.startedNs ?? 0), 0)
  })

  test('the playhead moves with the frames, and the picture with the playhead', async () => {
    const { clock } = await opened()
    const before = playheadNs.value
    for (let frame = 0; frame < 10; frame++) await clock.frame(50)
    expect(playheadNs.value - before).toBeCloseTo(useScreen.getState().speedNsPerSec / 2, 0)
    expect(shownFrame.value?.timeNs).toBeLessThanOrEqual(playheadNs.value)
  })

  test('while paused nothing is scheduled', async () => {
    const { clock, player } = await opened()
    player.pause()
    await clock.frame(16)
    expect(clock.frames).toEqual([])
    const rest = playheadNs.value
    await clock.frame(1000)
    expect(playheadNs.value).toBe(rest)
  })

  test('a step changes the picture by one event, forward and back, also when keys are pressed quickly', async () => {
    const { player } = await opened()
    player.seekRow(70)
    await settled()
    expect(shownFrame.value?.row).toBe(70)
    player.step(1)
    await settled()
    expect(shownFrame.value?.row).toBe(71)
    player.step(-1)
    await settled()
    expect(shownFrame.value?.row).toBe(70)
    player.step(1)
    player.step(1)
    player.step(1)
    await settled()
    expect(shownFrame.value?.row).toBe(73)
    expect(useScreen.getState().playing).toBe(false)
  })

  test('next and previous fault stand on faults, and come back to the same one', async () => {
    const { player, engine } = await opened()
    player.seekRow(70)
    await settled()
    await player.seekEvent(1, 'Fault', -1)
    await settled()
    const first = shownFrame.value?.row ?? 0
    expect((await engine.events(first - 1, first))[0]?.kind).toBe('Fault')
    await player.seekEvent(1, 'Fault', -1)
    await settled()
    expect(shownFrame.value?.row).toBeGreaterThan(first)
    await player.seekEvent(-1, 'Fault', -1)
    await settled()
    expect(shownFrame.value?.row).toBe(first)
  })

  test('events of the same page are found across machines', async () => {
    const { player, engine } = await opened()
    player.seekRow(1)
    await settled()
    const page = shownFrame.value?.page ?? -1
    await player.seekEvent(1, '', page)
    await settled()
    const row = shownFrame.value?.row ?? 0
    const [event] = await engine.events(row - 1, row)
    expect([event?.page, row > 1]).toEqual([page, true])
  })

  test('at the end it stops, and Play starts the crossing again', async () => {
    const { clock, player } = await opened()
    player.seekTime(Number.MAX_SAFE_INTEGER)
    await clock.frame(16)
    expect(useScreen.getState().playing).toBe(false)
    const { status } = useScreen.getState()
    expect(playheadNs.value).toBe(status?.endNs)
    player.play()
    expect(playheadNs.value).toBeLessThan(status?.startedNs ?? 0)
  })

  test('seeking stays inside the run', async () => {
    const { player } = await opened()
    player.seekTime(-5)
    expect(playheadNs.value).toBe(0)
    player.seekRow(-3)
    await settled()
    expect(shownFrame.value?.row).toBe(0)
    player.seekRow(1e9)
    await settled()
    expect(shownFrame.value?.row).toBe(useScreen.getState().status?.rows)
  })

  test('a command that starts no run leaves the picture alone', async () => {
    const { player } = await opened()
    const { info } = useScreen.getState()
    expect(await player.run('help', silent, 80)).toBe(0)
    expect(useScreen.getState().info).toEqual(info)
    expect(useScreen.getState().running).toBeNull()
  })

  test('a run on the real kernel is followed while it goes on, and a short one is then played again, slowly', async () => {
    const clock = new TestClock()
    const engine = new EngineDouble(64, 4)
    engine.machine = 'kernel'
    const followed: boolean[] = []
    const stop = playheadNs.watch(() => {
      const { status } = useScreen.getState()
      if (status?.state === 'running') followed.push(playheadNs.value === status.endNs)
    })
    const player = new Player(engine, clock)
    await player.run('migrate', silent, 80)
    await settled()
    stop()
    expect(followed.length).toBeGreaterThan(0)
    expect(followed).not.toContain(false)
    const { status, playing } = useScreen.getState()
    expect([status?.state, playing]).toEqual(['done', true])
    expect(playheadNs.value).toBeLessThan(status?.startedNs ?? 0)
  })
})
