/**
 * The registry of key bindings: one list that dispatches keys, writes the shortcut sheet and the buttons' tooltips.
 *
 * A binding names the keys, what they do, and the action. Letters and signs are matched by what they print (`key`), so
 * they work on every layout; keys that print nothing, and those pressed together with Alt or Shift, by `code` where one
 * is given. Keys that print something never fire while the terminal or an input has the focus.
 */

export interface Chord {
  /** KeyboardEvent.key, or null where only the code counts. */
  readonly key: string | null
  /** KeyboardEvent.code, or null where only the key counts. */
  readonly code: string | null
  readonly ctrl?: boolean
  readonly alt?: boolean
  readonly shift?: boolean
  /** What the sheet and the tooltips print. */
  readonly cap: string
  /** Fires in the terminal and in inputs as well. */
  readonly everywhere?: boolean
}

export interface Binding {
  readonly id: string
  readonly group: 'Play' | 'Look' | 'Window'
  readonly label: string
  readonly chords: readonly Chord[]
  readonly act: () => void
}

/** The part of KeyboardEvent that matters. */
export interface KeyPress {
  readonly key: string
  readonly code: string
  readonly ctrlKey: boolean
  readonly altKey: boolean
  readonly shiftKey: boolean
  readonly metaKey: boolean
}

export function chordMatches(chord: Chord, press: KeyPress): boolean {
  if (press.metaKey || press.ctrlKey !== (chord.ctrl ?? false) || press.altKey !== (chord.alt ?? false)) return false
  const printed = chord.key !== null && press.key === chord.key
  const placed = chord.code !== null && press.code === chord.code
  // A sign such as ? or + needs Shift on some layouts and not on others: when it is matched as printed, Shift is part of it.
  if (printed && chord.shift === undefined) return true
  return (printed || placed) && press.shiftKey === (chord.shift ?? false)
}

/** The binding for a key press, or null. `typing` says that the terminal or an input has the focus. */
export function findBinding(bindings: readonly Binding[], press: KeyPress, typing: boolean): Binding | null {
  for (const binding of bindings) {
    for (const chord of binding.chords) {
      if ((!typing || chord.everywhere) && chordMatches(chord, press)) return binding
    }
  }
  return null
}

/** `Step forward (.)`. */
export function tooltip(bindings: readonly Binding[], id: string): string {
  const binding = bindings.find((candidate) => candidate.id === id)
  return binding ? `${binding.label} (${binding.chords.map((chord) => chord.cap).join(', ')})` : ''
}

/** Whether keys belong to whatever has the focus. Space on a button presses that button, so it counts for Space. */
export function isTyping(target: EventTarget | null, press: KeyPress): boolean {
  if (!(target instanceof HTMLElement)) return false
  if (target.closest('.xterm')) return true
  if (target instanceof HTMLInputElement) return target.type !== 'range' || /^Arrow|^Page|^Home|^End/.test(press.key)
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true
  return target instanceof HTMLButtonElement && (press.key === ' ' || press.key === 'Enter')
}
