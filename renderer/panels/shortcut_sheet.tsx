/**
 * All key bindings on one sheet, made from the registry.
 * A modal dialog of the browser's own, so that focus and Escape behave as everywhere.
 */
import { useEffect, useRef } from 'react'
import { useControls } from '../hooks.tsx'
import type { Binding } from '../keys.ts'
import { useScreen } from '../state.ts'

const GROUPS: readonly Binding['group'][] = ['Play', 'Look', 'Window']

export function ShortcutSheet() {
  const { bindings } = useControls()
  const open = useScreen((state) => state.sheetOpen)
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    if (open) dialog.current?.showModal()
    else dialog.current?.close()
  }, [open])
  const close = (): void => useScreen.setState({ sheetOpen: false })
  return (
    <dialog ref={dialog} className="sheet" aria-label="Shortcuts" onClose={close}>
      <div className="sheet-body">
        <button type="button" className="quiet sheet-close" aria-label="Close" onClick={close}>
          ✕
        </button>
        <h2>Shortcuts</h2>
        {GROUPS.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {bindings
                .filter((binding) => binding.group === group)
                .map((binding) => (
                  <div key={binding.id}>
                    <dt>{binding.label}</dt>
                    <dd>
                      {binding.chords.map((chord) => (
                        <kbd key={chord.cap}>{chord.cap}</kbd>
                      ))}
                    </dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
        <p className="faint">Drag a .lackey or .lackey.gz memory trace onto the window to migrate a real program.</p>
      </div>
    </dialog>
  )
}
