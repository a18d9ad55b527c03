/**
 * `--inject FAULT`: one grammar for all of them.
 *
 *     SHARE=PERCENT                          loss=1%   duplicate=0.5%   reorder=1%
 *     WHAT@STATE+TIME[:DURATION][=VALUE]     link-down@postcopy+10ms:2s   latency@active+10ms:1s=50ms   cancel@precopy+5ms
 *
 * TIME counts from the moment the migration first enters STATE. What each means is core/run/injection.ts.
 */
import { type Parsed, parseRate, parseShare, parseTime } from '../../base/units.ts'
import { INCIDENTS, INJECTION_STATES, type Incident, type Injection, LINK_SHARES } from '../../run/injection.ts'
import { ArgumentError } from '../arguments.ts'
import type { Choice } from '../command.ts'
import { shown } from '../layout.ts'
import { didYouMean } from '../suggestion.ts'

const SHARE_MEANING = {
  loss: 'of the messages are lost and sent again',
  duplicate: 'of the messages arrive twice',
  reorder: 'of the messages overtake others',
} as const

const NAMES: readonly string[] = [...LINK_SHARES, ...Object.keys(INCIDENTS)]
const FORM = 'WHAT@STATE+TIME[:DURATION], for example link-down@postcopy+10ms:2s'

export const INJECT_CHOICES: readonly Choice[] = [
  ...LINK_SHARES.map((what) => ({ word: `${what}=1%`, meaning: SHARE_MEANING[what] })),
  ...incidents().map((what) => ({ word: exampleOf(what), meaning: INCIDENTS[what].meaning })),
]

/** One fault, checked. */
export function injectionOf(text: string): Injection {
  const name = /^[^@=+:]*/.exec(text)?.[0] ?? ''
  const share = LINK_SHARES.find((one) => one === name)
  if (share !== undefined) {
    const value = /^[^=]*=(.*)$/.exec(text)?.[1]
    if (value === undefined) throw new ArgumentError(`--inject ${shown(text)} needs a share, for example --inject ${name}=1%`)
    return { what: share, share: checked(parseShare(value), value, `--inject ${name}=`) }
  }
  const what = incidents().find((one) => one === name)
  if (what === undefined) {
    const nearest = didYouMean(name, NAMES)
    throw new ArgumentError(`--inject ${shown(name)} is not one of ${NAMES.join(', ')}${nearest}`)
  }
  return incidentOf(what, text)
}

function incidentOf(what: Incident, text: string): Injection {
  const parts = /^[^@=+:]*@([^@=+:]*)\+([^@=+:]*)(?::([^@=+:]*))?(?:=(.*))?$/.exec(text)
  if (parts === null) throw new ArgumentError(`--inject ${shown(text)} is not ${FORM}`)
  const [, where = '', after = '', lasts, told] = parts
  const state = INJECTION_STATES.find((one) => one === where)
  if (state === undefined) {
    const nearest = didYouMean(where, INJECTION_STATES)
    throw new ArgumentError(`--inject ${what}@${shown(where)} is not one of ${INJECTION_STATES.join(', ')}${nearest}`)
  }
  const before = `--inject ${what}@${state}+`
  const { duration, value: wanted }: { duration: string; value?: 'time' | 'rate' } = INCIDENTS[what]
  if (duration === 'none' && lasts !== undefined)
    throw new ArgumentError(`--inject ${what} takes no duration; leave :${shown(lasts)} out`)
  if (duration === 'needed' && lasts === undefined)
    throw new ArgumentError(`--inject ${what} needs a duration, for example --inject ${exampleOf(what)}`)
  if (wanted === undefined && told !== undefined)
    throw new ArgumentError(`--inject ${what} takes no value; leave =${shown(told)} out`)
  if (wanted !== undefined && told === undefined)
    throw new ArgumentError(`--inject ${what} needs a value, for example --inject ${exampleOf(what)}`)
  const afterNs = checked(parseTime(after), after, before)
  const durationNs = lasts === undefined ? null : checked(parseTime(lasts), lasts, `${before}${after}:`)
  const incident = { what, state, afterNs, durationNs }
  if (told === undefined) return incident
  return { ...incident, value: checked(wanted === 'rate' ? parseRate(told) : parseTime(told), told, `--inject ${what}=`) }
}

function checked(parsed: Parsed, text: string, before: string): number {
  if (parsed.ok) return parsed.value
  throw new ArgumentError(`${before}${shown(text)} ${parsed.message}`)
}

function incidents(): Incident[] {
  return Object.keys(INCIDENTS) as Incident[]
}

function exampleOf(what: Incident): string {
  const { duration, value }: { duration: string; value?: 'time' | 'rate' } = INCIDENTS[what]
  const where = what === 'cancel' ? 'precopy' : 'postcopy'
  return `${what}@${where}+5ms${duration === 'none' ? '' : ':1s'}${value === undefined ? '' : value === 'rate' ? '=100Mbps' : '=50ms'}`
}
