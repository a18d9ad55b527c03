/**
 * Pages placed by one call: which pages make a batch, what becomes of it where somebody was faster, and that no schedule of the
 * loader beside a vCPU, the fault thread and the urgent channel loses a page, a store or a wake-up.
 */
import { describe, expect, it } from 'vitest'
import { searchDpor } from '../../core/explore/dpor.ts'
import { searchRandom } from '../../core/explore/random.ts'
import { roundRobin } from '../../core/explore/schedulers.ts'
import { finish } from '../../core/explore/search.ts'
import { answers, expectEqual, type Litmus, type Scene } from '../../core/litmus/litmus.ts'
import { incomingRam, inFlight, litmusLink, theEnd } from '../../core/litmus/migration_scenes.ts'
import { programOf } from '../../core/litmus/program.ts'
import { contentOf, loadWord } from '../../core/litmus/scenes.ts'
import { World as LitmusWorld } from '../../core/litmus/world.ts'
import type { Process } from '../../core/machine/process.ts'
import { PageMapState } from '../../core/migration/page_map.ts'
import { IoctlResolver, RemapResolver, type Resolver } from '../../core/migration/resolver.ts'
import { RESOLVER_NAMES, type ResolverName, World } from './world.ts'

function makeResolver(name: ResolverName, process: Process, channels = 1, batchPages = 2): Resolver {
  return name === 'remap'
    ? new RemapResolver(process, 1, channels, batchPages)
    : new IoctlResolver(process, name, 1, channels, false, batchPages)
}

/** First page and length of each call that placed more than one page, and what it answered. */
function watchRuns(resolver: Resolver, ramPage: number): [first: number, pages: number, placed: number][] {
  const runs: [number, number, number][] = []
  const placeRun = resolver.placeRun.bind(resolver)
  resolver.placeRun = function* (k, page, batch, pages, channel) {
    const placed = yield* placeRun(k, page, batch, pages, channel)
    runs.push([page - ramPage, pages, placed])
    return placed
  }
  return runs
}

/** `values` of pages 0, 1, 2 ... are on their way; null: that page is not among them. */
function loadAll(name: ResolverName, batchPages: number, values: readonly (number | null)[], before?: (scene: Loaded) => void) {
  const world = new LitmusWorld(roundRobin(), new Set(), { cpus: 3, framesPerCpu: 12 })
  const resolver = makeResolver(name, world.process, 1, batchPages)
  const { page, incoming, stream } = incomingRam(world, resolver, { pages: values.length })
  const runs = watchRuns(resolver, page)
  before?.({ world, page, resolver, incoming })
  values.forEach((value, i) => {
    if (value !== null) inFlight(world, stream, i, value)
  })
  theEnd(world, stream)
  world.actor('listen', 1, (k) => incoming.load(k, stream))
  expect(world.execution.run(5000)).toBe('done')
  return { runs, words: values.map((_, i) => world.word(page + i)), incoming }
}

type Loaded = Pick<ReturnType<typeof incomingRam>, 'page' | 'incoming'> & {
  readonly world: LitmusWorld
  readonly resolver: Resolver
}

describe.each(RESOLVER_NAMES)('with %s', (name) => {
  it('what has come goes by one call, as many pages as it may be', () => {
    const { runs, words, incoming } = loadAll(name, 4, [1, 2, 3, 4, 5, 6])
    expect(runs).toEqual([
      [0, 4, 4],
      [4, 2, 2],
    ])
    expect(words).toEqual([1, 2, 3, 4, 5, 6])
    expect([...incoming.map.states]).toEqual(new Array(6).fill(PageMapState.received))
  })

  it('a gap ends it', () => {
    const { runs, words } = loadAll(name, 4, [1, 2, null, 4, 5])
    expect(runs).toEqual([
      [0, 2, 2],
      [3, 2, 2],
    ])
    expect(words.filter((_, i) => i !== 2)).toEqual([1, 2, 4, 5])
  })

  it('zeros end it where they go as the zero page', () => {
    const { runs, words } = loadAll(name, 8, [1, 2, 0, 0, 5, 6])
    const together = [[0, 6, 6]]
    const apart = [
      [0, 2, 2],
      [2, 2, 2],
      [4, 2, 2],
    ]
    expect(runs).toEqual(name === 'remap' ? together : apart)
    expect(words).toEqual([1, 2, 0, 0, 5, 6])
  })

  it('a page that was asked for is the last of its batch', () => {
    const { runs, words } = loadAll(name, 4, [1, 2, 3, 4], ({ incoming }) => incoming.map.request(1))
    expect(runs).toEqual([
      [0, 2, 2],
      [2, 2, 2],
    ])
    expect(words).toEqual([1, 2, 3, 4])
  })

  it('a page that is there already stays, and what the call left goes alone', () => {
    const { runs, words, incoming } = loadAll(name, 4, [1, 2, 3, 4], ({ world, page, resolver }) => {
      world.call((k) => resolver.place(k, page + 2, contentOf(9)))
    })
    expect(runs).toEqual([[0, 4, 2]])
    expect(words).toEqual([1, 2, 9, 4])
    expect(incoming.duplicates).toBe(1)
  })

  it('a page that was received before is not placed again', () => {
    const { runs, words, incoming } = loadAll(name, 4, [1, 2, 3, 4], ({ incoming: { map } }) => map.receive(2))
    expect(runs).toEqual([[0, 2, 2]])
    expect([words[0], words[1], words[3]]).toEqual([1, 2, 4])
    expect(incoming.duplicates).toBe(1)
  })

  it('100 random schedules of a whole migration are consistent, and make batches', () => {
    const faults = new Map<string, number>()
    let batches = 0
    for (let seed = 1; seed <= 100; seed++) {
      const world = new World({ gear: 'step', resolver: name, batchPages: 3, seed })
      const runs = watchRuns(world.resolver, world.ramPage)
      world.run()
      const fault = world.fault()
      if (fault !== null) faults.set(fault, seed)
      batches += runs.length
    }
    expect([...faults]).toEqual([])
    expect(batches).toBeGreaterThan(100)
  })
})

/** Two pages that make a batch, while a vCPU touches the second, and the fault thread asks for it or acknowledges. */
function batchWhileTouched(name: ResolverName): Litmus {
  return scene(`batch-while-touched-${name}`, (world) => {
    const { page, incoming, stream } = incomingRam(world, makeResolver(name, world.process), { pages: 2 })
    inFlight(world, stream, 0, 6)
    inFlight(world, stream, 1, 7)
    theEnd(world, stream)
    const vcpu = world.actor('vcpu', 0, (k) => loadWord(k, world.process, page + 1))
    world.actor('listen', 1, (k) => incoming.load(k, stream))
    world.daemon('fault', 2, (k) => incoming.fault(k))
    return {
      judge: () => expectEqual('I-LIN', 'what the vCPU read, and the first page', '7 6', `${vcpu.value} ${world.word(page)}`),
      outcome: () => answers(world),
    }
  })
}

/** The second page of a batch comes by the urgent channel, too; whoever waited for it stores, and the store must stay. */
function batchBesideUrgent(name: ResolverName): Litmus {
  return scene(`batch-beside-urgent-${name}`, (world) => {
    const urgent = litmusLink('the urgent channel')
    const resolver = makeResolver(name, world.process, 2)
    const { page, incoming, stream } = incomingRam(world, resolver, { pages: 2, urgent })
    inFlight(world, stream, 0, 6)
    inFlight(world, stream, 1, 7)
    inFlight(world, urgent, 1, 7)
    for (const link of [stream, urgent]) theEnd(world, link)
    world.actor('listen', 0, (k) => incoming.load(k, stream))
    world.actor('preempt', 1, (k) => incoming.load(k, urgent))
    world.actor('vcpu', 2, function* (k) {
      yield* loadWord(k, world.process, page + 1)
      yield* world.process.writePage(k, page + 1, contentOf(9))
    })
    world.daemon('fault', 2, (k) => incoming.fault(k))
    return {
      judge: () => expectEqual('I-LIN', 'both pages at the end', '6 9', `${world.word(page)} ${world.word(page + 1)}`),
      outcome: () => `duplicates=${incoming.duplicates}`,
    }
  })
}

function scene(name: string, build: (world: LitmusWorld) => Scene): Litmus {
  const world = { cpus: 3, framesPerCpu: 8 }
  return {
    name,
    title: name,
    result: 'never',
    refs: [],
    protections: [],
    memoryModel: 'sc',
    start: 'page 0: missing',
    world,
    build,
  }
}

describe.each(RESOLVER_NAMES)('in the schedules of %s', (name) => {
  it('a vCPU that touches a page of a batch reads what came', () => {
    const found = finish(searchDpor(programOf(batchWhileTouched(name), new Set()), { schedules: 150 }))
    expect(found.counterexample).toBeNull()
    expect(found.schedules).toBeGreaterThan(100)
  })

  it('a page that comes by the urgent channel in the middle of a batch is placed once, and a store to it stays', () => {
    const found = finish(searchRandom(programOf(batchBesideUrgent(name), new Set()), { schedules: 250 }))
    expect(found.counterexample).toBeNull()
  })
})
