/**
 * The runner: a case that is right agrees, and each way of being wrong is reported with its case and its step.
 */
import { describe, expect, it } from 'vitest'
import { type KernelTraits, whyNotOnKernel } from '../../core/conform/applies.ts'
import type { ConformCase } from '../../core/conform/case.ts'
import { caseGroups, casesNamed } from '../../core/conform/catalog.ts'
import { ModelWorld } from '../../core/conform/model_world.ts'
import { readGroup } from '../../core/conform/reader.ts'
import { type KernelRun, reportOf, runningOnModel, verdictOf } from '../../core/conform/report.ts'
import { type Disagreement, runCase, toEnd } from '../../core/conform/runner.ts'
import type { FaultPath } from '../../core/mm/kernel.ts'

const PATHS: readonly FaultPath[] = ['classic', 'speculative', 'speculative-2014', 'vma-lock']

type Json = Record<string, unknown>

const REGIONS = { D: { pages: 2 }, S: { pages: 2, fill: 17 } }
const UFFDS = { U: { register: [{ at: 'D', length: '2p', mode: ['MISSING'] }] } }

function caseOf(steps: readonly Json[], more: Json = {}): ConformCase {
  const one = { id: 'x1-planted', title: 'planted', source: ['test'], regions: REGIONS, uffds: UFFDS, steps, ...more }
  const found = readGroup({ group: 'x', title: 'X', cases: [one] }, 'x.json').cases[0]
  if (found === undefined) throw new Error('no case')
  return found
}

function run(steps: readonly Json[], more: Json = {}): Disagreement | null {
  return runCase(caseOf(steps, more), (one, round) => new ModelWorld(one, round))
}

const COPY = { actor: 't0', call: 'uffdio_copy', args: { fd: 'U', dst: 'D', src: 'S', length: '1p' } }
const LOAD = { actor: 't1', call: 'load', args: { at: 'D' } }
const READ = { actor: 't0', call: 'read', args: { fd: 'U', size: 32 } }
const AWAIT = { actor: 't1', call: 'await' }
const fault = (flags: readonly string[], address: string) => ({ messages: [{ event: 'PAGEFAULT', flags, address }] })

describe('a right case', () => {
  it('agrees: a thread sleeps on a hole, its message is read, the page is placed, the thread goes on', () => {
    const steps = [
      { ...LOAD, expect: { blocked: true } },
      { ...READ, expect: fault([], 'D') },
      COPY,
      { ...AWAIT, expect: { content: 17 } },
    ]
    expect(run(steps)).toBeNull()
  })
})

describe('a planted error is reported with its case and step', () => {
  it('where the errno is another', () => {
    expect(run([COPY, { ...COPY, expect: { errno: 'ENOENT' } }])).toEqual({
      case: 'x1-planted',
      step: 2,
      expected: 't0 uffdio_copy: ENOENT',
      found: 'EEXIST, copy -EEXIST',
    })
  })

  it('where a call that should fail succeeds', () => {
    expect(run([{ ...COPY, expect: { errno: 'EEXIST' } }])).toMatchObject({ step: 1, found: 'ret 0, copy 4096' })
  })

  it('where a call that nothing is said about fails', () => {
    expect(run([COPY, COPY])).toMatchObject({ step: 2, expected: 't0 uffdio_copy: success' })
  })

  it('where a result field holds another number', () => {
    expect(run([{ ...COPY, expect: { fields: { copy: '2p' } } }])).toMatchObject({ step: 1, expected: 't0 uffdio_copy: copy 2p' })
  })

  it('where a field is named that the call does not write', () => {
    expect(run([{ ...COPY, expect: { fields: { move: 0 } } }])).toMatchObject({ step: 1 })
  })

  it('where a call should sleep and does not, and the other way round', () => {
    expect(run([COPY, { ...LOAD, expect: { blocked: true } }])).toMatchObject({
      step: 2,
      expected: 't1 load: blocked',
      found: 'content 17',
    })
    expect(run([LOAD])).toMatchObject({ step: 1, expected: 't1 load: success', found: 'blocked' })
  })

  it('where a message has other flags or another address', () => {
    const sleeping = { ...LOAD, expect: { blocked: true } }
    expect(run([sleeping, { ...READ, expect: fault(['WRITE'], 'D') }])).toMatchObject({
      step: 2,
      found: expect.stringContaining('address D'),
    })
    expect(run([sleeping, { ...READ, expect: fault([], 'D+1p') }])).toMatchObject({ step: 2 })
  })

  it('where the content is another', () => {
    expect(run([COPY, { ...LOAD, expect: { content: 18 } }])).toMatchObject({
      step: 2,
      expected: 't1 load: content 18',
      found: 'content 17',
    })
  })

  it('where a signal should come and does not, or comes unasked, or elsewhere', () => {
    const signal = { name: 'SIGSEGV', code: 1, address: 'D' }
    const touch = { actor: 't0', call: 'load', args: { at: 'D+8' } }
    const unmap = { actor: 't0', call: 'munmap', args: { at: 'D', length: '1p' } }
    expect(run([COPY, { ...LOAD, expect: { signal } }])).toMatchObject({ step: 2, expected: 't1 load: SIGSEGV code 1 at D' })
    expect(run([unmap, touch])).toMatchObject({ step: 2, found: 'SIGSEGV code 1 at D+8' })
    expect(run([unmap, { ...touch, expect: { signal } }])).toMatchObject({ step: 2, found: 'SIGSEGV code 1 at D+8' })
  })

  it('where a page should be another frame and is the same', () => {
    const pagemap = { actor: 't0', call: 'pagemap', args: { at: 'S', length: '1p' } }
    expect(
      run([
        { ...pagemap, as: 's' },
        { ...pagemap, expect: { otherFrames: 's' } },
      ]),
    ).toMatchObject({ step: 2 })
    expect(
      run([
        { ...pagemap, as: 's' },
        { ...pagemap, expect: { sameFrames: 's' } },
      ]),
    ).toBeNull()
  })

  it('where two calls at once both win, or none does', () => {
    const other = { ...COPY, actor: 't1', args: { fd: 'U', dst: 'D', src: 'S+1p', length: '1p' } }
    const step = (anyOrder: readonly Json[]) => ({ together: [COPY, other], anyOrder })
    expect(run([step([{ ret: 0 }, { errno: 'EEXIST' }])], { rounds: 8 })).toBeNull()
    expect(run([step([{ ret: 0 }, { ret: 0 }])], { rounds: 8 })).toMatchObject({
      step: 1,
      expected: expect.stringContaining('in any order'),
    })
  })

  it('where an actor acts though it sleeps', () => {
    const sleeping = { ...LOAD, expect: { blocked: true } }
    expect(run([sleeping, LOAD])).toMatchObject({ step: 2, found: 'Error: t1 still sleeps in load' })
  })
})

const onModel = (one: ConformCase) => toEnd(runningOnModel(one, (each, round) => new ModelWorld(each, round)))
const skippedOnKernel = (one: ConformCase): KernelRun => ({ case: one.id, skipped: 'why', disagreement: null, told: [] })

describe('the report', () => {
  const good = caseOf([COPY])
  const bad = caseOf([COPY, { ...COPY, expect: { errno: 'EBUSY' } }])

  it('counts cases that agree and tells the others apart', () => {
    expect(
      reportOf(
        'model',
        null,
        [good, bad].map((one) => verdictOf(one, onModel(one), null)),
      ),
    ).toEqual({
      schema: 'pageferry.conform/1',
      on: 'model',
      kernel: null,
      cases: 2,
      agreed: 1,
      disagreed: [
        { case: 'x1-planted', step: 2, expected: 't0 uffdio_copy: EBUSY', model: 'EEXIST, copy -EEXIST', kernel: null },
      ],
      skipped: [],
    })
  })

  it('names what both sides answered at the first step at which one is wrong', () => {
    const kernel: KernelRun = {
      case: good.id,
      skipped: null,
      disagreement: { case: good.id, step: 1, expected: 't0 uffdio_copy: success', found: 'ENOENT' },
      told: [['ENOENT']],
    }
    expect(verdictOf(good, onModel(good), kernel)).toMatchObject({
      kind: 'disagreed',
      disagreement: { step: 1, model: 'ret 0, copy 4096', kernel: 'ENOENT' },
    })
  })

  it('counts a case as agreed on both sides only if both ran it, but a wrong model is told in any case', () => {
    expect(verdictOf(good, onModel(good), skippedOnKernel(good))).toMatchObject({ kind: 'skipped', skipped: { why: 'why' } })
    expect(verdictOf(bad, onModel(bad), skippedOnKernel(bad))).toMatchObject({
      kind: 'disagreed',
      disagreement: { kernel: null },
    })
  })
})

describe('a case applies to a kernel', () => {
  const traits: KernelTraits = { release: '6.12.3', features: ['MOVE'], tellsFrames: true }
  const why = (more: Json, steps: readonly Json[] = [COPY]) => whyNotOnKernel(caseOf(steps, more), traits)

  it('from the release on that its data names, and until the one that it names', () => {
    expect(why({ kernel: '6.12' })).toBeNull()
    expect(why({ kernel: '6.13' })).toBe('so since 6.13, and this is 6.12.3')
    expect(why({ kernel: '5.20', until: '6.13' })).toBeNull()
    expect(why({ until: '6.12' })).toBe('so until 6.12, and this is 6.12.3')
  })

  it('if the kernel has the features it needs, and tells frames where the case compares them', () => {
    expect(why({ needs: ['MOVE'] })).toBeNull()
    expect(why({ needs: ['MOVE', 'POISON'] })).toBe("this kernel's userfaultfd has no POISON")
    const pagemap = { actor: 't0', call: 'pagemap', args: { at: 'S', length: '1p' }, as: 's' }
    expect(whyNotOnKernel(caseOf([pagemap]), { ...traits, tellsFrames: false })).toContain('CAP_SYS_ADMIN')
  })

  it('and the model is one of them', () => {
    expect(onModel(caseOf([COPY], { until: '5.0' }))).toBeNull()
  })
})

it('every case for the model only names what no kernel offers', () => {
  const only = caseGroups().flatMap(({ cases }) => cases.filter((one) => one.only === 'model'))
  const traits = { release: '6.18.1', features: [], tellsFrames: true }
  const reasons = only.map((one) => whyNotOnKernel(one, traits) ?? '')
  expect(only.length).toBeGreaterThan(30)
  expect(reasons.filter((why) => !/ (no kernel offers \w+|the number of MADV_\w+ of 2014)/.test(why))).toEqual([])
})

describe.each(caseGroups())('every case of $group', ({ cases }) => {
  it.each(cases.map((one) => [one.id, one] as const))('%s agrees', (_id, one) => {
    expect(runCase(one, (each, round) => new ModelWorld(each, round))).toBeNull()
  })

  it.each(PATHS)('agrees with faults on the %s path, by time and in any interleaving', (path) => {
    const once = (one: ConformCase, round: number) =>
      runCase({ ...one, rounds: 1 }, (each) => new ModelWorld(each, round, { faultPath: path }))
    const disagreed = cases.flatMap((one) => [0, 11, 12, 13].map((round) => once(one, round)))
    expect(disagreed.filter((found) => found !== null)).toEqual([])
  })
})

describe('calls at once', () => {
  it('fall together in both orders over the rounds of a case', () => {
    const one = casesNamed('94')[0]
    if (one === undefined) throw new Error('no case 94')
    const winners = new Set<string>()
    for (let round = 0; round < one.rounds; round++) {
      let world: ModelWorld | null = null
      runCase({ ...one, rounds: 1 }, (each) => {
        world = new ModelWorld(each, round)
        return world
      })
      const made = world as ModelWorld | null
      winners.add(made?.outcomes('t1')[0]?.errno === null ? 't1' : 't0')
    }
    expect([...winners].sort()).toEqual(['t0', 't1'])
  })
})

describe('a protection left out', () => {
  it.each([
    ['uffd-must-wait', '96'],
    ['remap-tlb-flush', '93'],
    ['remap-tlb-flush', '78'],
  ] as const)('%s is found by case %s', (protection, id) => {
    const one = casesNamed(id)[0]
    if (one === undefined) throw new Error(`no case ${id}`)
    const found = runCase({ ...one, rounds: 200 }, (each, round) => new ModelWorld(each, round, { without: [protection] }))
    expect(found).toMatchObject({ case: one.id })
  })
})
