/** Which key does what, and where it must not. */
import { describe, expect, test } from 'vitest'
import type { KeyPress } from '../../renderer/keys.ts'
import { findBinding, tooltip } from '../../renderer/keys.ts'
import { Player } from '../../renderer/player.ts'
import { makeBindings } from '../../renderer/shortcuts.ts'
import { EngineDouble } from './double/engine_double.ts'

const bindings = makeBindings(new Player(new EngineDouble(), { nowMs: () => 0, nextFrame: () => {}, later: () => {} }))

const key = (name: string, code: string, modifiers: Partial<KeyPress> = {}): KeyPress => ({
  key: name,
  code,
  ctrlKey: false,
  altKey: false,
  shiftKey: false,
  metaKey: false,
  ...modifiers,
})
const bound = (press: KeyPress, typing = false) => findBinding(bindings, press, typing)?.id ?? null

describe('keys', () => {
  test('the muscle-memory map holds', () => {
    expect(bound(key(' ', 'Space'))).toBe('play')
    expect(bound(key('.', 'Period'))).toBe('step-forward')
    expect(bound(key(',', 'Comma'))).toBe('step-back')
    expect(bound(key('.', 'Period', { altKey: true }))).toBe('next-fault')
    expect(bound(key(',', 'Comma', { altKey: true }))).toBe('previous-fault')
    expect(bound(key('>', 'Period', { shiftKey: true }))).toBe('next-of-page')
    expect(bound(key('<', 'Comma', { shiftKey: true }))).toBe('previous-of-page')
    expect(bound(key('+', 'Equal', { shiftKey: true }))).toBe('faster')
    expect(bound(key('-', 'Minus'))).toBe('slower')
    expect(bound(key('?', 'Slash', { shiftKey: true }))).toBe('sheet')
    expect(bound(key('F6', 'F6'))).toBe('next-region')
    expect(bound(key('F6', 'F6', { shiftKey: true }))).toBe('previous-region')
    expect(bound(key('`', 'Backquote', { ctrlKey: true }))).toBe('terminal')
  })

  test('keys hold on layouts that print other signs there', () => {
    // German: Shift and the period key print a colon, the plus needs no Shift.
    expect(bound(key(':', 'Period', { shiftKey: true }))).toBe('next-of-page')
    expect(bound(key('+', 'BracketRight'))).toBe('faster')
    // macOS: Alt and the period key print another sign.
    expect(bound(key('≥', 'Period', { altKey: true }))).toBe('next-fault')
  })

  test("while one types, only the keys that print nothing are the window's", () => {
    const fired = bindings.filter((binding) => binding.chords.some((chord) => chord.everywhere)).map((binding) => binding.id)
    expect(fired).toEqual(['terminal', 'next-region', 'previous-region'])
    for (const press of [
      key(' ', 'Space'),
      key('.', 'Period'),
      key('?', 'Slash', { shiftKey: true }),
      key('f', 'KeyF'),
      key('w', 'KeyW'),
    ]) {
      expect(bound(press, true)).toBeNull()
    }
  })

  test('the browser keeps its own keys', () => {
    expect(bound(key('+', 'Equal', { ctrlKey: true }))).toBeNull()
    expect(bound(key('-', 'Minus', { metaKey: true }))).toBeNull()
    expect(bound(key('w', 'KeyW', { ctrlKey: true }))).toBeNull()
  })

  test('tooltips come from the registry', () => {
    expect(tooltip(bindings, 'step-forward')).toBe('Step forward (.)')
    expect(tooltip(bindings, 'faster')).toBe('Twice as fast (+, =)')
  })
})
