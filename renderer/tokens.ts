/**
 * The one source of every colour on the screen. From here come the CSS custom properties (`light-dark()`), the palette
 * of the heat maps, the colours of canvases and charts, and the terminal's theme, so that they can never disagree.
 *
 * The seven page-state colours were chosen by computation to stay apart under normal vision and under full protanopia,
 * deuteranopia and tritanopia; they are values, not taste: change them only together with that computation.
 * Hues belong to page states. Everything else on the screen is grey, but for severity: amber with a triangle, vermilion
 * with a cross, green only beside a check mark.
 */
import type { PAGE_STATE_NAME } from '../core/api/protocol.ts'

export type Scheme = 'dark' | 'light'
export type Shade = Readonly<Record<Scheme, string>>
export type StateName = (typeof PAGE_STATE_NAME)[number]

const shade = (dark: string, light: string): Shade => ({ dark, light })

export const STATE_SHADE: Readonly<Record<StateName, Shade>> = {
  missing: shade('#242424', '#EDEFEF'),
  zero: shade('#50575C', '#919295'),
  resident: shade('#3174F1', '#1354A3'),
  inflight: shade('#3FF3E9', '#0DCAFE'),
  dirty: shade('#FEDC63', '#EEAB17'),
  fault: shade('#F54E0E', '#B6380E'),
  stale: shade('#CA89B8', '#4D1E4F'),
  error: shade('#F54E0E', '#B6380E'),
}

/** Marks drawn inside a cell: chevron, hatch; the X and the ring stand out more, hence a colour of their own. */
export const CUE_SHADE = {
  mark: shade('#10141A', '#FFFFFF'),
  chevron: shade('#06403D', '#003A55'),
  ring: shade('#FFFFFF', '#1B0A03'),
  cross: shade('#FFFFFF', '#000000'),
  outlineInflight: shade('#3FF3E9', '#00587A'),
  outlineDirty: shade('#FEDC63', '#7A5200'),
} as const

export const CHROME = {
  ground: shade('#12171E', '#FFFFFF'),
  chrome: shade('#0D1116', '#F3F5F7'),
  panel: shade('#12171E', '#FFFFFF'),
  raised: shade('#1D2530', '#E9EDF1'),
  hover: shade('#283342', '#DCE2E9'),
  line: shade('#2B3542', '#D3D9E0'),
  lineStrong: shade('#6C7C8F', '#74808E'),
  text: shade('#E4E9EF', '#161B21'),
  muted: shade('#A3B0BF', '#4C5967'),
  faint: shade('#8593A4', '#5F6B79'),
  focus: shade('#A9CBFF', '#0B57D0'),
  playhead: shade('#FFFFFF', '#000000'),
  good: shade('#62D592', '#16703F'),
  warn: shade('#EDBB4E', '#855600'),
  bad: shade('#FF8A5C', '#B6380E'),
  bandQuiet: shade('#1B222B', '#EEF1F4'),
  bandSetup: shade('#303B48', '#D5DBE2'),
  bandPrecopy: shade('#394655', '#C9D2DB'),
  bandPostcopy: shade('#465566', '#B9C4CF'),
  bandDone: shade('#25303B', '#E0E6EB'),
  bandTrouble: shade('#54421A', '#F2DDA4'),
} as const

/** Lanes of the race explorer: Okabe and Ito's colours, each taken lighter or darker until it stands out on its ground. */
export const LANE_SHADE = {
  laneA: shade('#4FA3DB', '#0072B2'),
  laneB: shade('#E69F00', '#A86F00'),
  laneC: shade('#2FBF93', '#00785A'),
  laneD: shade('#CC79A7', '#A84D80'),
  laneE: shade('#56B4E9', '#2B7FAF'),
  laneF: shade('#F08A4B', '#B84A00'),
} as const

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** Custom properties `--ground`, `--state-fault`, …; the scheme comes from `color-scheme` on the root element. */
export function tokensCss(): string {
  const declare = (name: string, { dark, light }: Shade) => `  --${name}: light-dark(${light}, ${dark});`
  const lines = [
    ...Object.entries(CHROME).map(([name, value]) => declare(kebab(name), value)),
    ...Object.entries(LANE_SHADE).map(([name, value]) => declare(kebab(name), value)),
    ...Object.entries(STATE_SHADE).map(([name, value]) => declare(`state-${name}`, value)),
  ]
  return `:root {\n${lines.join('\n')}\n}\n`
}

/** What xterm takes as `theme`. Its colour names are mapped to ours by meaning: red is bad, green is good. */
export function terminalTheme(scheme: Scheme) {
  const is = (value: Shade) => value[scheme]
  return {
    background: is(CHROME.panel),
    foreground: is(CHROME.text),
    cursor: is(CHROME.text),
    cursorAccent: is(CHROME.panel),
    selectionBackground: scheme === 'dark' ? '#3A4B61' : '#BFD4F2',
    black: scheme === 'dark' ? '#50575C' : '#161B21',
    red: is(CHROME.bad),
    green: is(CHROME.good),
    yellow: is(CHROME.warn),
    blue: scheme === 'dark' ? '#79A6FF' : '#1354A3',
    magenta: scheme === 'dark' ? '#CA89B8' : '#4D1E4F',
    cyan: scheme === 'dark' ? '#3FF3E9' : '#00587A',
    white: is(CHROME.text),
    brightBlack: is(CHROME.faint),
    brightRed: is(CHROME.bad),
    brightGreen: is(CHROME.good),
    brightYellow: is(CHROME.warn),
    brightBlue: scheme === 'dark' ? '#79A6FF' : '#1354A3',
    brightMagenta: scheme === 'dark' ? '#CA89B8' : '#4D1E4F',
    brightCyan: scheme === 'dark' ? '#3FF3E9' : '#00587A',
    brightWhite: is(CHROME.playhead),
  }
}

/** `#RRGGBB` as the little-endian RGBA word of an ImageData. */
export function rgbaWord(hex: string): number {
  const rgb = Number.parseInt(hex.slice(1), 16)
  return (0xff00_0000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16)) >>> 0
}
