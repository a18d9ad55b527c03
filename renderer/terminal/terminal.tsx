/**
 * The terminal panel: xterm on the screen, TerminalSession behind it. xterm is loaded after the first picture.
 *
 * Ctrl-C copies when something is selected and interrupts otherwise. F6, Ctrl+` and Escape belong to the window, so that
 * the keyboard is never trapped here.
 */

import type { ITheme, Terminal } from '@xterm/xterm'
import { useEffect, useRef } from 'react'
import { EXAMPLES } from '../examples.ts'
import { useControls, useSignal } from '../hooks.tsx'
import { Panel } from '../panels/panel.tsx'
import { useScreen } from '../state.ts'
import { scheme } from '../theme.ts'
import { terminalTheme } from '../tokens.ts'

const SCROLLBACK_LINES = 5000

export function TerminalPanel() {
  const { terminal: session } = useControls()
  const running = useScreen((state) => state.running !== null)
  const place = useRef<HTMLDivElement>(null)
  const xterm = useRef<Terminal | null>(null)
  const theme = useSignal(scheme)

  useEffect(() => {
    const parent = place.current
    if (!parent) return
    let gone = false
    let observer: ResizeObserver | null = null
    void Promise.all([import('@xterm/xterm'), import('@xterm/addon-fit')]).then(([{ Terminal }, { FitAddon }]) => {
      if (gone) return
      const style = getComputedStyle(parent)
      const terminal = new Terminal({
        fontFamily: style.fontFamily,
        fontSize: 12,
        lineHeight: 1.25,
        scrollback: SCROLLBACK_LINES,
        minimumContrastRatio: 4.5,
        macOptionIsMeta: true,
        cursorBlink: false,
        theme: terminalTheme(scheme.value) satisfies ITheme,
      })
      const fit = new FitAddon()
      terminal.loadAddon(fit)
      terminal.open(parent)
      terminal.textarea?.setAttribute('aria-label', 'Terminal input')
      xterm.current = terminal
      terminal.attachCustomKeyEventHandler((event) => isOurs(event, terminal))
      terminal.onData((data) => session.type(data))
      observer = new ResizeObserver(() => {
        if (parent.clientWidth > 0 && parent.clientHeight > 0) fit.fit()
      })
      observer.observe(parent)
      fit.fit()
      session.attach({
        write: (text) => terminal.write(text),
        get columns() {
          return terminal.cols
        },
      })
    })
    return () => {
      gone = true
      observer?.disconnect()
      xterm.current?.dispose()
      xterm.current = null
    }
  }, [session])

  useEffect(() => {
    if (xterm.current) xterm.current.options.theme = terminalTheme(theme)
  }, [theme])

  return (
    <Panel
      name="Terminal"
      className="terminal"
      facts={running && 'running · Ctrl+C stops it'}
      action={!running && <Examples run={(command) => session.execute(command)} />}
    >
      <div ref={place} className="xterm-place" />
    </Panel>
  )
}

function Examples({ run }: { run: (command: string) => void }) {
  return (
    <ul className="examples" aria-label="Examples">
      {EXAMPLES.map(({ name, question, command }) => (
        <li key={name}>
          <button type="button" className="small" title={`${question}\n${command}`} onClick={() => run(command)}>
            {name}
          </button>
        </li>
      ))}
    </ul>
  )
}

/** False: xterm leaves the key to the window. */
function isOurs(event: KeyboardEvent, terminal: Terminal): boolean {
  if (event.type !== 'keydown') return true
  if (event.key === 'F6' || (event.ctrlKey && event.code === 'Backquote')) return false
  const copy = event.ctrlKey && event.code === 'KeyC' && (event.shiftKey || terminal.hasSelection())
  if (copy) {
    void navigator.clipboard.writeText(terminal.getSelection())
    if (!event.shiftKey) terminal.clearSelection()
    event.preventDefault()
    return false
  }
  return true
}
