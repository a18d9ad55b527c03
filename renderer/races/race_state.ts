/**
 * What the race explorer knows: the museum's list, which test is chosen and what is left out of it, and the newest search with
 * its story. Facts here change seldom; React reads them.
 *
 * Written by race_client.ts (what the engine says) and by the panels (what a person chose).
 */
import { create } from 'zustand'
import type { RaceListing, RaceView } from '../../core/api/protocol.ts'

export interface RaceState {
  /** The explorer fills the window; else it is one line at its foot. */
  readonly open: boolean
  readonly museum: readonly RaceListing[]
  readonly chosen: string
  /** Protections to leave out in the next search. */
  readonly without: readonly string[]
  /** What the list is narrowed to. */
  readonly filter: string
  readonly view: RaceView | null
  /** Step of the story that is looked at, from 1; 0: the start. */
  readonly step: number
}

export const useRaces = create<RaceState>(() => ({
  open: false,
  museum: [],
  chosen: '',
  without: [],
  filter: '',
  view: null,
  step: 0,
}))

export function chosenRace({ museum, chosen }: RaceState): RaceListing | null {
  return museum.find(({ litmus }) => litmus === chosen) ?? null
}

/** Another test: what was left out of the last one means nothing to it; its first protection is a good thing to try. */
export function choose(litmus: string): void {
  const { museum, chosen } = useRaces.getState()
  if (litmus === chosen) return
  const first = museum.find((one) => one.litmus === litmus)?.protections[0]
  useRaces.setState({ chosen: litmus, without: first === undefined ? [] : [first.name] })
}

export function toggleProtection(name: string): void {
  useRaces.setState(({ without }) => ({
    without: without.includes(name) ? without.filter((one) => one !== name) : [...without, name],
  }))
}

export function lookAtStep(step: number): void {
  const last = useRaces.getState().view?.story?.steps.length ?? 0
  useRaces.setState({ step: Math.max(0, Math.min(last, step)) })
}

/** Words that narrow the list: each must be in the name, the title, a reference or a protection. */
export function narrowed(museum: readonly RaceListing[], filter: string): readonly RaceListing[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return museum
  return museum.filter(({ litmus, title, refs, protections }) => {
    const text = [litmus, title, ...refs, ...protections.map(({ name }) => name)].join(' ').toLowerCase()
    return words.every((word) => text.includes(word))
  })
}
