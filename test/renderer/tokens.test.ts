/** The colours are those that were computed, and can be read. */
import { describe, expect, test } from 'vitest'
import type { Scheme } from '../../renderer/tokens.ts'
import { CHROME, CUE_SHADE, rgbaWord, STATE_SHADE, terminalTheme, tokensCss } from '../../renderer/tokens.ts'

const SCHEMES: readonly Scheme[] = ['dark', 'light']

/** Relative luminance and contrast as WCAG 2.2 defines them. */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x)
  return (high + 0.05) / (low + 0.05)
}

describe('tokens', () => {
  test('the page states have the computed colours, to the digit', () => {
    const table = Object.entries(STATE_SHADE).map(([name, { dark, light }]) => `${name} ${dark} ${light}`)
    expect(table).toEqual([
      'missing #242424 #EDEFEF',
      'zero #50575C #919295',
      'resident #3174F1 #1354A3',
      'inflight #3FF3E9 #0DCAFE',
      'dirty #FEDC63 #EEAB17',
      'fault #F54E0E #B6380E',
      'stale #CA89B8 #4D1E4F',
      'error #F54E0E #B6380E',
    ])
  })

  test.each(SCHEMES)('%s: every text colour reaches 4.5 to 1 on every surface it stands on', (scheme) => {
    for (const text of [CHROME.text, CHROME.muted, CHROME.faint]) {
      for (const surface of [CHROME.ground, CHROME.chrome, CHROME.panel]) {
        expect(contrast(text[scheme], surface[scheme])).toBeGreaterThanOrEqual(4.5)
      }
    }
    for (const grade of [CHROME.good, CHROME.warn, CHROME.bad]) {
      expect(contrast(grade[scheme], CHROME.panel[scheme])).toBeGreaterThanOrEqual(4.5)
    }
    for (const band of [CHROME.bandQuiet, CHROME.bandSetup, CHROME.bandPostcopy, CHROME.bandDone]) {
      expect(contrast(CHROME.text[scheme], band[scheme])).toBeGreaterThanOrEqual(4.5)
    }
  })

  test.each(SCHEMES)('%s: focus ring, frames and playhead reach 3 to 1', (scheme) => {
    for (const shade of [CHROME.focus, CHROME.lineStrong, CHROME.playhead]) {
      expect(contrast(shade[scheme], CHROME.panel[scheme])).toBeGreaterThanOrEqual(3)
    }
  })

  test('dark: every state that asks for action reaches 4.2 to 1; light: the pale ones have an outline that does', () => {
    for (const name of ['inflight', 'dirty', 'fault', 'stale', 'resident'] as const) {
      expect(contrast(STATE_SHADE[name].dark, CHROME.ground.dark)).toBeGreaterThanOrEqual(4.1)
    }
    expect(contrast(CUE_SHADE.outlineInflight.light, CHROME.ground.light)).toBeGreaterThanOrEqual(4.2)
    expect(contrast(CUE_SHADE.outlineDirty.light, CHROME.ground.light)).toBeGreaterThanOrEqual(4.2)
  })

  test('the style sheet carries both schemes of each token', () => {
    expect(tokensCss()).toContain('--state-inflight: light-dark(#0DCAFE, #3FF3E9);')
    expect(tokensCss()).toContain(`--line-strong: light-dark(${CHROME.lineStrong.light}, ${CHROME.lineStrong.dark});`)
  })

  test.each(SCHEMES)('%s: the terminal can be read', (scheme) => {
    const theme = terminalTheme(scheme)
    for (const colour of [theme.foreground, theme.red, theme.green, theme.yellow, theme.brightBlack]) {
      expect(contrast(colour, theme.background)).toBeGreaterThanOrEqual(4.5)
    }
  })

  test('a colour becomes the little-endian RGBA word of an ImageData', () => {
    const bytes = new Uint8Array(Uint32Array.of(rgbaWord('#3174F1')).buffer)
    expect([...bytes]).toEqual([0x31, 0x74, 0xf1, 0xff])
  })
})
