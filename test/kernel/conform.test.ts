/**
 * Conformance cases on the host's kernel: the cases agree, what is wrong is found, and a case harms nobody, whatever it does.
 *
 * Needs Linux on x86-64 with userfaultfd permitted; skipped by name elsewhere.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import type { ConformCase } from '../../core/conform/case.ts'
import { caseGroups } from '../../core/conform/catalog.ts'
import { readGroup } from '../../core/conform/reader.ts'
import { CASE_LIMIT_MS } from '../../main/kernel/conform/kernel_world.ts'
import { Patience } from '../../main/kernel/conform/patience.ts'
import { processors } from '../../main/kernel/conform/processors.ts'
import { runCasesOnKernel } from '../../main/kernel/conform/run_cases.ts'
import { named, noPuppets } from './host.ts'

type Json = Record<string, unknown>

const REGIONS = { D: { pages: 2 }, S: { pages: 2, fill: 17 } }
const UFFDS = { U: { register: [{ at: 'D', length: '2p', mode: ['MISSING'] }] } }
const COPY = { actor: 't0', call: 'uffdio_copy', args: { fd: 'U', dst: 'D', src: 'S', length: '1p' } }
const LOAD = { actor: 't1', call: 'load', args: { at: 'D' } }

function caseOf(steps: readonly Json[], more: Json = {}): ConformCase {
  const one = { id: 'x1-planted', title: 'planted', source: ['test'], regions: REGIONS, uffds: UFFDS, steps, ...more }
  const found = readGroup({ group: 'x', title: 'X', cases: [one] }, 'x.json').cases[0]
  if (found === undefined) throw new Error('no case')
  return found
}

async function run(steps: readonly Json[], more: Json = {}, limitMs = CASE_LIMIT_MS) {
  return (await runCasesOnKernel([caseOf(steps, more)], { limitMs }))[0]?.disagreement
}

/** Sessions of processes that this one started: each nursery has its own. */
const nurseries = new Set<string>()

/** Processes of these sessions that are still there. */
function puppets(): readonly number[] {
  const names = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isPuppet(name))
  return names.map(Number)
}

const children = () => puppets().length

/** A case has a process of its own, which was not there before. */
function begun(before: readonly number[]): Promise<void> {
  return vi.waitFor(() => expect(puppets().every((pid) => before.includes(pid))).toBe(false), { interval: 1 })
}

function isPuppet(pid: string): boolean {
  try {
    const [, , , parent, , session] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(' ')
    const isOurs = parent === String(process.pid) || nurseries.has(session ?? '')
    if (isOurs) nurseries.add(session ?? '')
    return isOurs
  } catch {
    return false
  }
}

it('a puppet keeps to one of the processors that this program may use', () => {
  expect(processors('Cpus_allowed:\t13\nCpus_allowed_list:\t0-1,4\n')).toEqual([0, 1, 4])
})

it('time in which this program was stopped does not count as time that a case has taken', () => {
  let now = 0
  const patience = new Patience(1000, () => now)
  const after = (milliseconds: number) => {
    now += milliseconds
    return patience.isOver()
  }
  expect(after(60_000)).toBe(false)
  const looks = Array.from({ length: 100 }, () => after(10))
  expect(looks.indexOf(true)).toBe(95)
  expect(patience.wasStopped).toBe(true)
  patience.startOver()
  expect(after(10)).toBe(false)
})

describe.skipIf(noPuppets !== null)(named("the host's kernel", noPuppets), () => {
  it('agrees with every case that applies to it, and skips none for any other reason than that', {
    timeout: 60_000,
  }, async () => {
    const runs = await runCasesOnKernel(caseGroups().flatMap(({ cases }) => cases))
    expect(runs.flatMap(({ disagreement }) => disagreement ?? [])).toEqual([])
    expect(runs.filter(({ skipped }) => skipped === null).length).toBeGreaterThan(100)
  })

  it('is found to disagree with a planted expectation, at its step', async () => {
    expect(await run([COPY, { ...COPY, expect: { errno: 'ENOENT' } }])).toEqual({
      case: 'x1-planted',
      step: 2,
      expected: 't0 uffdio_copy: ENOENT',
      found: 'EEXIST, copy -EEXIST',
    })
    expect(await run([{ ...LOAD, expect: { content: 0 } }])).toMatchObject({ step: 1, found: 'blocked' })
    expect(await run([COPY, { ...LOAD, expect: { blocked: true } }])).toMatchObject({ step: 2, found: 'content 17' })
    expect(await run([COPY, { ...LOAD, expect: { content: 18 } }])).toMatchObject({ step: 2, found: 'content 17' })
  })

  it('delivers signals with their codes and addresses, and the thread goes on', async () => {
    const at = { actor: 't0', args: { at: 'S+1p+5' } }
    const steps = [
      { actor: 't0', call: 'munmap', args: { at: 'S+1p', length: '1p' } },
      { ...at, call: 'load', expect: { signal: { name: 'SIGSEGV', code: 1, address: 'S+1p+5' } } },
      { ...at, call: 'inspect', expect: { signal: { name: 'SIGSEGV', code: 1, address: 'S+1p' } } },
      { actor: 't0', call: 'load', args: { at: 'S' }, expect: { content: 17 } },
    ]
    expect(await run(steps)).toBeNull()
  })

  it('forks for real: children and grandchildren act, and end, by themselves', async () => {
    const inspect = (actor: string, content: number) => ({ actor, call: 'inspect', args: { at: 'S' }, expect: { content } })
    const steps = [
      { actor: 't1', call: 'fork', args: { child: 'c0' } },
      { actor: 'c0', call: 'fork', args: { child: 'c1' } },
      { actor: 'c0', call: 'fill', args: { at: 'S', value: 18 } },
      { actor: 'c0', call: 'exit' },
      inspect('c1', 17),
      inspect('t0', 17),
    ]
    expect(await run(steps)).toBeNull()
  })

  it('is left alone by a case that hangs, when its time is over', async () => {
    const spin = { actor: 't1', call: 'spin', args: { at: 'S', times: 1e12 } }
    expect(await run([COPY, spin], {}, 200)).toEqual({
      case: 'x1-planted',
      step: 2,
      expected: 't1 spin: an outcome',
      found: 'Error: not at rest after 0.2 s: t1 in state R',
    })
  })

  it('is told of by name where a case kills its own process', async () => {
    // The page with the code that runs.
    const unmap = { actor: 't1', call: 'munmap', args: { at: 0x400000, length: '1p' } }
    expect(await run([unmap])).toMatchObject({ step: 1, found: 'Error: the process of t1 was killed' })
  })

  it('has no process of ours any more when all is done, though threads slept in it', async () => {
    const sleeps = { ...LOAD, expect: { blocked: true } }
    const fork = { actor: 't0', call: 'fork', args: { child: 'c0' } }
    const before = children()
    expect(await run([fork, sleeps, { ...sleeps, actor: 't2', args: { at: 'D+1p' } }])).toBeNull()
    // The first of them is reaped when the event loop comes round to it.
    await vi.waitFor(() => expect(children()).toBeLessThanOrEqual(before), { timeout: 5000 })
  })

  it('runs a case again in which somebody was stopped: that wakes whoever sleeps on a userfault', {
    timeout: 20_000,
  }, async () => {
    const spin = { actor: 't2', call: 'spin', args: { at: 'S', times: 1_000_000 } }
    const unmap = { actor: 't0', call: 'munmap', args: { at: 'D', length: '1p' } }
    const steps = [{ ...LOAD, expect: { blocked: true } }, unmap, spin, { actor: 't1', call: 'await', expect: { blocked: true } }]
    const before = puppets()
    const running = run(steps)
    await begun(before)
    for (const pid of puppets()) process.kill(pid, 'SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, 100))
    for (const pid of puppets()) process.kill(pid, 'SIGCONT')
    expect(await running).toBeNull()
  })

  it('is let go at once when it is told to stop, in the middle of a case, and leaves no process', async () => {
    const spin = { actor: 't1', call: 'spin', args: { at: 'S', times: 1e12 } }
    const stop = { aborted: false }
    const before = puppets()
    const running = runCasesOnKernel([caseOf([spin])], { stop })
    await begun(before)
    stop.aborted = true
    expect(await running).toEqual([])
    await vi.waitFor(() => expect(puppets()).toEqual([]), { timeout: 5000 })
  })

  it('lets two threads meet: in each round one of them wins and the other is told', async () => {
    const other = { ...COPY, actor: 't1', args: { fd: 'U', dst: 'D', src: 'S+1p', length: '1p' } }
    const one = caseOf([{ together: [COPY, other], anyOrder: [{ ret: 0 }, { errno: 'EEXIST' }] }], { rounds: 200 })
    const [result] = await runCasesOnKernel([one])
    expect(result?.disagreement).toBeNull()
    // Who wins is up to the host, and need not change.
    const outcomes = [...new Set(result?.told.map(([outcome]) => outcome))]
    expect(outcomes.length).toBeGreaterThan(0)
    expect(['ret 0, copy 4096; EEXIST, copy -EEXIST', 'EEXIST, copy -EEXIST; ret 0, copy 4096']).toEqual(
      expect.arrayContaining(outcomes),
    )
  })
})
