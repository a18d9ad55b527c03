/**
 * What the screen knows. Slow facts (theme, run, whether it plays) live in one zustand store that React reads; hot
 * ones (frame, playhead, hover) live in signals that canvases watch, and never pass through React.
 *
 * Written by player.ts and by the panels; read by everybody.
 */
import { create } from 'zustand'
import type { EngineApi, Frame, KernelRunView, Milestones, Prediction, RunInfo, RunStatus, Series } from '../core/api/protocol.ts'
import { Signal } from './signal.ts'
import type { TimelineView } from './timeline/scale.ts'
import type { Sleep } from './timeline/sleeps.ts'

export type RunReport = NonNullable<Awaited<ReturnType<EngineApi['report']>>>
export type ThemeChoice = 'dark' | 'light' | 'system'

export interface ScreenState {
  readonly theme: ThemeChoice
  readonly playing: boolean
  readonly speedNsPerSec: number
  readonly info: RunInfo | null
  readonly status: RunStatus | null
  readonly report: RunReport | null
  /** The newest migration on the real kernel, where it is newer than what the maps show. */
  readonly kernelRun: KernelRunView | null
  /** The command the engine is working on, or null. */
  readonly running: string | null
  /** The page a click chose, or -1: the inspector then follows the newest fault. */
  readonly pinnedPage: number
  readonly sheetOpen: boolean
  /** Only matters where the window is too narrow for a column of its own. */
  readonly inspectorOpen: boolean
  /** One sentence about the screen itself (the engine would not start); empty when all is well. */
  readonly problem: string
}

export const useScreen = create<ScreenState>(() => ({
  theme: 'system',
  playing: false,
  speedNsPerSec: 1e6,
  info: null,
  status: null,
  report: null,
  kernelRun: null,
  running: null,
  pinnedPage: -1,
  sheetOpen: false,
  inspectorOpen: false,
  problem: '',
}))

/** The picture on the screen. */
export const shownFrame = new Signal<Frame | null>(null)
export const playheadNs = new Signal(0)
export const hoveredPage = new Signal(-1)
/** The page the inspector speaks of: hovered, else pinned, else that of the newest fault. */
export const focusedPage = new Signal(-1)
export const shownSeries = new Signal<Series | null>(null)
export const shownMilestones = new Signal<Milestones | null>(null)
/** What the model had said of a real run. */
export const shownPrediction = new Signal<Prediction | null>(null)
export const shownSleeps = new Signal<readonly Sleep[]>([])
export const timelineView = new Signal<TimelineView>({ fromNs: 0, toNs: 1e6 })
