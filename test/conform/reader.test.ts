/**
 * The reader of conformance cases: whatever is wrong in a file is refused with its exact place, and nothing that only the
 * model may do can slip into a case for a real kernel.
 */
import { describe, expect, it } from 'vitest'
import { amountOf, isAmount } from '../../core/conform/amount.ts'
import { caseGroups, casesNamed } from '../../core/conform/catalog.ts'
import { CaseError } from '../../core/conform/fields.ts'
import { readGroup } from '../../core/conform/reader.ts'

type Json = Record<string, unknown>

/** A good case; `change` spoils it. */
function groupWith(change: Json, step: Json = {}): Json {
  const load = { actor: 't0', call: 'load', args: { at: 'A' }, expect: { content: 0 }, ...step }
  const one = { id: 'x1-one', title: 'one', source: ['2.1'], regions: { A: { pages: 1 } }, steps: [load], ...change }
  return { group: 'x', title: 'X', cases: [one] }
}

/** The message of the refusal. */
function refusal(data: unknown): string {
  try {
    readGroup(data, 'x.json')
  } catch (error) {
    if (error instanceof CaseError) return error.message
    throw error
  }
  return 'accepted'
}

describe('a file of cases', () => {
  it('is read with its defaults filled in', () => {
    const one = readGroup(groupWith({}), 'x.json').cases[0]
    expect(one).toMatchObject({
      rounds: 1,
      needs: [],
      uffds: {},
      regions: { A: { pages: 1, prot: 'rw', backing: 'anon', shared: false } },
    })
  })

  const places: readonly [string, Json, string][] = [
    ['a field that is not known', groupWith({ tilte: 'one' }), 'x.json.cases[0].tilte: is not known here'],
    ['an id that is none', groupWith({ id: 'One' }), 'x.json.cases[0].id: One is not of the form'],
    ['a case without a source', groupWith({ source: [] }), 'x.json.cases[0].source: says nothing'],
    ['a case without steps', groupWith({ steps: [] }), 'x.json.cases[0].steps: is empty'],
    [
      'a feature that is none',
      groupWith({ needs: ['FLYING'] }),
      'x.json.cases[0].needs[0]: "FLYING" is not one of PAGEFAULT_FLAG_WP',
    ],
    ['a release that is none', groupWith({ kernel: 'new' }), 'x.json.cases[0].kernel: new is no release'],
    ['a region without pages', groupWith({ regions: { A: {} } }), 'x.json.cases[0].regions.A.pages: nothing is no whole number'],
    [
      'an alias of private memory',
      groupWith({ regions: { A: { pages: 1 }, B: { pages: 1, alias: 'A' } } }),
      'regions.B.alias: A is no region on a memfd',
    ],
    ['a call that is none', groupWith({}, { call: 'jump' }), 'x.json.cases[0].steps[0].call: jump is no call'],
    ['an argument that is missing', groupWith({}, { args: {} }), 'x.json.cases[0].steps[0].args.at: is missing'],
    ['an argument too many', groupWith({}, { args: { at: 'A', of: 1 } }), 'x.json.cases[0].steps[0].args.of: is not known here'],
    ['a number that is none', groupWith({}, { args: { at: 'A*2' } }), 'x.json.cases[0].steps[0].args.at: "A*2" is no number'],
    [
      'a name that nothing bound',
      groupWith({}, { args: { at: 'B+1p' } }),
      'x.json.cases[0].steps[0].args.at: nothing is called B yet',
    ],
    ['an actor that nobody forked', groupWith({}, { actor: 'c0' }), 'x.json.cases[0].steps[0].actor: c0 is neither a thread'],
    [
      'an errno that is none',
      groupWith({}, { expect: { errno: 'EVIL' } }),
      'x.json.cases[0].steps[0].expect.errno: "EVIL" is not one of',
    ],
    [
      'ret beside errno',
      groupWith({}, { expect: { ret: 0, errno: 'EINVAL' } }),
      'x.json.cases[0].steps[0].expect: has both ret and errno',
    ],
  ]
  it.each(places)('with %s is refused with the place', (_what, data, message) => {
    expect(refusal(data)).toContain(message)
  })

  it('may not name a case twice', () => {
    const twice = groupWith({})
    const cases = twice.cases as unknown[]
    expect(refusal({ ...twice, cases: [...cases, ...cases] })).toBe('x.json.cases[1].id: x1-one is the id of an earlier case')
  })
})

describe('what a real kernel must never see', () => {
  const userfault = { call: 'madvise', args: { at: 'A', length: '1p', advice: 'USERFAULT' }, expect: {} }
  const remap = { call: 'remap_anon_pages', args: { dst: 'A', src: 'A', length: '1p' }, expect: {} }

  it('is advice 18 and 19 outside a case for the model only', () => {
    expect(refusal(groupWith({}, userfault))).toContain('args.advice: USERFAULT means something else on a real kernel')
    expect(refusal(groupWith({ only: 'model' }, userfault))).toBe('accepted')
  })

  it('is a call of 2014 outside a case for the model only', () => {
    expect(refusal(groupWith({}, remap))).toContain('call: remap_anon_pages stands in cases with "only": "model" only')
    expect(refusal(groupWith({ only: 'model' }, remap))).toBe('accepted')
  })

  it('is not in any case of the catalogue', () => {
    const forAnyKernel = caseGroups().flatMap(({ cases }) => cases.filter(({ only }) => only === undefined))
    expect(forAnyKernel.length).toBeGreaterThan(125)
    expect(JSON.stringify(forAnyKernel)).not.toMatch(/USERFAULT"|remap_anon_pages|_2014|swap_out/)
  })
})

describe('the catalogue', () => {
  it('has a case for each of the 116 assertions', () => {
    const ids = caseGroups().flatMap(({ cases }) => cases.map(({ id }) => id))
    const wanted = [...Array.from({ length: 115 }, (_, i) => String(i + 1)), '71b']
    expect(wanted.filter((n) => !ids.some((id) => id.startsWith(`${n}-`)))).toEqual([])
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('finds cases by id, by assertion and by group', () => {
    expect(casesNamed('30-copy-one-page').map(({ id }) => id)).toEqual(['30-copy-one-page'])
    expect(casesNamed('84')).toHaveLength(5)
    expect(casesNamed('move').length).toBeGreaterThan(20)
    expect(casesNamed('nothing')).toEqual([])
  })
})

describe('a number in a case', () => {
  const lookUp = (name: string) => (name === 'A' ? 0x10000 : Number.NaN)
  it.each([
    [100, 100],
    ['100', 100],
    ['2p', 8192],
    ['A', 0x10000],
    ['A+1p+8', 0x10000 + 4096 + 8],
    ['A-1p', 0x10000 - 4096],
  ])('%s is %d', (text, value) => {
    expect(amountOf(text, lookUp)).toBe(value)
    expect(isAmount(String(text))).toBe(true)
  })

  it.each(['', 'A+', '+1', 'A B', '1.5p'])('is not %j', (text) => {
    expect(isAmount(text)).toBe(false)
  })
})
