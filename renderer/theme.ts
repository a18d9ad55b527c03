/**
 * Which colour scheme is on: the user's choice, or the system's where there is none. Puts the tokens into the page and
 * tells canvases, charts and terminal through a signal when the scheme changes. The choice is remembered.
 */
import { Signal } from './signal.ts'
import type { ThemeChoice } from './state.ts'
import { useScreen } from './state.ts'
import type { Scheme } from './tokens.ts'
import { tokensCss } from './tokens.ts'

const STORED_AS = 'pageferry.theme'

export const scheme = new Signal<Scheme>('dark')

export function startTheme(): void {
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(tokensCss())
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]
  const stored = localStorage.getItem(STORED_AS)
  useScreen.setState({ theme: stored === 'dark' || stored === 'light' ? stored : 'system' })
  const system = matchMedia('(prefers-color-scheme: light)')
  const apply = (): void => {
    const { theme } = useScreen.getState()
    document.documentElement.style.colorScheme = theme === 'system' ? 'dark light' : theme
    scheme.set(theme === 'system' ? (system.matches ? 'light' : 'dark') : theme)
  }
  apply()
  system.addEventListener('change', apply)
  useScreen.subscribe((now, before) => {
    if (now.theme !== before.theme) apply()
  })
}

export function chooseTheme(theme: ThemeChoice): void {
  localStorage.setItem(STORED_AS, theme)
  useScreen.setState({ theme })
}

/** Whether the user asked for less movement. */
export const stillness = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches
