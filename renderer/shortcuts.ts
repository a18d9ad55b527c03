/**
 * The bindings themselves: which key does what on this screen. See keys.ts for how they are matched.
 * Each action goes through the player or the stores, as a click on the same thing would. F6 visits REGIONS in order.
 */
import type { Binding, Chord } from './keys.ts'
import type { Player } from './player.ts'
import { axisEndNs, bothCrossings } from './prediction.ts'
import { lookAtStep, useRaces } from './races/race_state.ts'
import { focusedPage, playheadNs, shownPrediction, timelineView, useScreen } from './state.ts'
import { pan, wholeRun, zoom } from './timeline/scale.ts'

/** In the order in which F6 visits them. */
export const REGIONS = [
  'Source',
  'Link',
  'Destination',
  'Inspector',
  'Timeline',
  'Terminal',
  'Checks',
  'Charts',
  'Race explorer',
] as const
export type RegionName = (typeof REGIONS)[number]

const sign = (key: string, code: string | null = null): Chord => ({ key, code, cap: key })
const held = (cap: string, code: string, key: string, modifiers: Partial<Chord>): Chord => ({ key, code, cap, ...modifiers })

export function makeBindings(player: Player): readonly Binding[] {
  const change = (factor: number) => player.setSpeed(useScreen.getState().speedNsPerSec * factor)
  const endNs = () => axisEndNs(useScreen.getState().status, shownPrediction.value)
  const look = (share: number) => timelineView.set(pan(timelineView.value, share, endNs()))
  const closer = (factor: number) => timelineView.set(zoom(timelineView.value, playheadNs.value, factor, endNs()))
  return [
    {
      id: 'play',
      group: 'Play',
      label: 'Play or pause',
      chords: [{ key: ' ', code: 'Space', cap: 'Space' }],
      act: () => player.toggle(),
    },
    { id: 'step-forward', group: 'Play', label: 'Step forward', chords: [sign('.')], act: () => step(player, 1) },
    { id: 'step-back', group: 'Play', label: 'Step back', chords: [sign(',')], act: () => step(player, -1) },
    {
      id: 'next-fault',
      group: 'Play',
      label: 'Next fault',
      chords: [held('Alt+.', 'Period', '.', { alt: true, shift: false })],
      act: () => void player.seekEvent(1, 'Fault', -1),
    },
    {
      id: 'previous-fault',
      group: 'Play',
      label: 'Previous fault',
      chords: [held('Alt+,', 'Comma', ',', { alt: true, shift: false })],
      act: () => void player.seekEvent(-1, 'Fault', -1),
    },
    {
      id: 'next-of-page',
      group: 'Play',
      label: 'Next event of the same page',
      chords: [held('Shift+.', 'Period', '>', { shift: true })],
      act: () => void player.seekEvent(1, '', focusedPage.value),
    },
    {
      id: 'previous-of-page',
      group: 'Play',
      label: 'Previous event of the same page',
      chords: [held('Shift+,', 'Comma', '<', { shift: true })],
      act: () => void player.seekEvent(-1, '', focusedPage.value),
    },
    { id: 'faster', group: 'Play', label: 'Twice as fast', chords: [sign('+'), sign('=')], act: () => change(2) },
    { id: 'slower', group: 'Play', label: 'Half as fast', chords: [sign('-')], act: () => change(1 / 2) },
    {
      id: 'zoom-in',
      group: 'Look',
      label: 'Timeline: closer',
      chords: [held('W', 'KeyW', 'w', { shift: false })],
      act: () => closer(1 / 1.5),
    },
    {
      id: 'zoom-out',
      group: 'Look',
      label: 'Timeline: further',
      chords: [held('S', 'KeyS', 's', { shift: false })],
      act: () => closer(1.5),
    },
    {
      id: 'pan-left',
      group: 'Look',
      label: 'Timeline: earlier',
      chords: [held('A', 'KeyA', 'a', { shift: false })],
      act: () => look(-0.2),
    },
    {
      id: 'pan-right',
      group: 'Look',
      label: 'Timeline: later',
      chords: [held('D', 'KeyD', 'd', { shift: false })],
      act: () => look(0.2),
    },
    {
      id: 'fit',
      group: 'Look',
      label: 'Timeline: fit the crossing, then the whole run',
      chords: [held('F', 'KeyF', 'f', { shift: false })],
      act: fit,
    },
    {
      id: 'terminal',
      group: 'Window',
      label: 'Go to the terminal',
      chords: [{ key: '`', code: 'Backquote', ctrl: true, cap: 'Ctrl+`', everywhere: true }],
      act: () => focusRegion('Terminal'),
    },
    {
      id: 'races',
      group: 'Window',
      label: 'Race explorer, or back to the migration',
      chords: [held('R', 'KeyR', 'r', { shift: false })],
      act: () => useRaces.setState(({ open }) => ({ open: !open })),
    },
    {
      id: 'next-region',
      group: 'Window',
      label: 'Next region',
      chords: [{ key: 'F6', code: null, shift: false, cap: 'F6', everywhere: true }],
      act: () => cycleRegion(1),
    },
    {
      id: 'previous-region',
      group: 'Window',
      label: 'Previous region',
      chords: [{ key: 'F6', code: null, shift: true, cap: 'Shift+F6', everywhere: true }],
      act: () => cycleRegion(-1),
    },
    {
      id: 'sheet',
      group: 'Window',
      label: 'This sheet',
      chords: [sign('?')],
      act: () => useScreen.setState(({ sheetOpen }) => ({ sheetOpen: !sheetOpen })),
    },
    {
      id: 'escape',
      group: 'Window',
      label: 'Close, let go of the page',
      chords: [{ key: 'Escape', code: null, cap: 'Esc' }],
      act: () => letGo(player),
    },
  ]
}

/** Of the run, or of the story that is told in its place. */
function step(player: Player, direction: 1 | -1): void {
  const races = useRaces.getState()
  if (races.open) lookAtStep(races.step + direction)
  else player.step(direction)
}

function fit(): void {
  const { status } = useScreen.getState()
  if (!status) return
  const crossing = bothCrossings(status, shownPrediction.value)
  const { fromNs, toNs } = timelineView.value
  timelineView.set(
    crossing.fromNs === fromNs && crossing.toNs === toNs ? wholeRun(axisEndNs(status, shownPrediction.value)) : crossing,
  )
}

function letGo(player: Player): void {
  const { sheetOpen } = useScreen.getState()
  if (sheetOpen) useScreen.setState({ sheetOpen: false })
  else player.pin(-1)
}

export function focusRegion(name: RegionName): void {
  const region = document.querySelector<HTMLElement>(`[data-region="${name}"]`)
  const inner = region?.querySelector<HTMLElement>('.xterm-helper-textarea, [role="slider"]')
  ;(inner ?? region)?.focus()
}

function isShown(name: RegionName): boolean {
  const region = document.querySelector<HTMLElement>(`[data-region="${name}"]`)
  return region !== null && region.offsetParent !== null
}

function cycleRegion(direction: 1 | -1): void {
  const inside = document.activeElement?.closest<HTMLElement>('[data-region]')?.dataset.region
  const at = (REGIONS as readonly (string | undefined)[]).indexOf(inside)
  let next = at < 0 && direction === -1 ? REGIONS.length : at
  for (let tries = 0; tries < REGIONS.length; tries++) {
    next = (next + direction + REGIONS.length) % REGIONS.length
    const name = REGIONS[next]
    // One of two pictures is hidden: the migration or the race explorer.
    if (name === undefined || !isShown(name)) continue
    focusRegion(name)
    return
  }
}
