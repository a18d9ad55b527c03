/**
 * Starts the screen: theme, engine, keys, dropped files, and the opening run, so that the first thing one sees moves.
 * Everything is made here once and handed down through ControlsContext; nothing else holds the parts together.
 */
import { createRoot } from 'react-dom/client'
import '@xterm/xterm/css/xterm.css'
import 'uplot/dist/uPlot.min.css'
import './styles/base.css'
import './styles/frame.css'
import './styles/machines.css'
import './styles/time.css'
import './styles/races.css'
import './styles/narrow.css'
import { App } from './app.tsx'
import { startCensus } from './census.ts'
import { connectEngine } from './engine_client.ts'
import { OPENING } from './examples.ts'
import { offerDownloads, takeDroppedFiles } from './files.ts'
import { ControlsContext } from './hooks.tsx'
import { takeToken, wantPort } from './kernel_line.ts'
import type { Binding } from './keys.ts'
import { findBinding, isTyping } from './keys.ts'
import { Player } from './player.ts'
import { RaceClient } from './races/race_client.ts'
import { makeBindings } from './shortcuts.ts'
import { useScreen } from './state.ts'
import { TerminalSession } from './terminal/terminal_session.ts'
import { startTheme } from './theme.ts'

function start(): void {
  startTheme()
  startCensus()
  const engine = connectEngine((problem) => useScreen.setState({ problem }))
  const token = takeToken(location, history, sessionStorage)
  if (token !== null) void engine.connectKernel(location.origin, token)
  if ('pageferryHost' in window) wantPort((port) => void engine.connectKernelPort(port))
  const player = new Player(engine, {
    nowMs: () => performance.now(),
    nextFrame: (callback) => void requestAnimationFrame(callback),
    later: (callback, ms) => void setTimeout(callback, ms),
  })
  const races = new RaceClient(engine, (callback, ms) => void setTimeout(callback, ms))
  const terminal = new TerminalSession({
    run: (line, output, columns) => {
      useScreen.setState({ kernelRun: null })
      const answer = player.run(line, output, columns)
      void answer.then(async () => useScreen.setState({ kernelRun: await engine.kernelRun() }))
      void races.follow(() => useScreen.getState().running !== null)
      return answer
    },
    interrupt: () => engine.interrupt(),
    complete: (line) => engine.complete(line),
  })
  const bindings = makeBindings(player)
  listenToKeys(bindings)
  takeDroppedFiles(engine, (sentence) => terminal.notify(sentence))
  offerDownloads(engine)
  const screen = document.getElementById('screen')
  if (!screen) throw new Error('index.html has no element with the id "screen"')
  createRoot(screen).render(
    <ControlsContext value={{ player, terminal, bindings }}>
      <App />
    </ControlsContext>,
  )
  terminal.execute(OPENING)
  void races.start()
}

function listenToKeys(bindings: readonly Binding[]): void {
  window.addEventListener('keydown', (event) => {
    if (event.isComposing || event.defaultPrevented) return
    const binding = findBinding(bindings, event, isTyping(event.target, event))
    if (!binding) return
    event.preventDefault()
    binding.act()
  })
}

start()
