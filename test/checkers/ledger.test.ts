/**
 * The invariants that read the ledger: a sound migration tells a story without a fault, each planted fault is named, and without
 * a ledger nothing is said.
 */
import { describe, expect, it } from 'vitest'
import { brokenAtRest, brokenInFlight, INVARIANTS } from '../../core/checkers/invariants.ts'
import { Ledger } from '../../core/checkers/ledger.ts'
import { makePte, PTE_P } from '../../core/hw/pte.ts'
import { RESOLVER_NAMES, World } from '../migration/world.ts'
import { Rig } from '../mm/rig.ts'

const PAGES = 4

function says(id: string, ledger: Ledger, look: 'inFlight' | 'atRest' = 'inFlight'): string | null {
  return INVARIANTS.find((invariant) => invariant.id === id)?.[look]?.({ kernels: [], ledger }) ?? null
}

/** Stores at the source, an iteration of pre-copy, a discard, the hand-over, and post-copy of what is left. */
function migration(ledger: Ledger, look: () => void): void {
  const dirty = new Set<number>()
  ledger.dirty = (page) => dirty.has(page)
  const store = (page: number, version: number): void => {
    if (!ledger.handedOver) dirty.add(page)
    ledger.stored(page, version)
  }
  const send = (page: number): void => {
    const version = ledger.newest[page] ?? 0
    ledger.sent(page, version)
    dirty.delete(page)
    ledger.placed(page, version)
  }
  const tell: (() => void)[] = [
    () => ledger.runs('source', true),
    () => store(0, 1),
    () => store(1, 1),
    () => send(0),
    () => ledger.loaded(0, 1),
    () => store(0, 2),
    () => ledger.runs('source', false),
    () => ledger.discarded(0),
    () => ledger.handsOver(),
    () => ledger.runs('destination', true),
    () => send(1),
    () => ledger.loaded(1, 1),
    () => store(1, 2),
    () => send(0),
    () => ledger.loaded(0, 2),
    () => ledger.answered('copy', 0, [0, -17]),
    () => ledger.completes(),
  ]
  for (const step of tell) {
    step()
    look()
  }
}

describe('a sound migration', () => {
  it('breaks nothing on the way, nor at the end', () => {
    const ledger = new Ledger(PAGES)
    let looks = 0
    migration(ledger, () => {
      looks++
      expect(brokenInFlight({ kernels: [], ledger })).toBeNull()
    })
    expect(looks).toBe(17)
    expect(brokenAtRest({ kernels: [], ledger })).toBeNull()
  })

  it('says nothing at all where nobody keeps account', () => {
    for (const { inFlight, atRest } of INVARIANTS)
      expect([inFlight?.({ kernels: [] }) ?? null, atRest?.({ kernels: [] }) ?? null]).toEqual([null, null])
  })

  it('may be told of a placement after the store that followed it', () => {
    const ledger = new Ledger(PAGES)
    ledger.stored(2, 1)
    ledger.handsOver()
    ledger.stored(2, 2)
    ledger.placed(2, 1)
    expect(says('I-DATA', ledger)).toBeNull()
    ledger.placed(2, 1)
    expect(says('I-DATA', ledger)).toBe('page 2 shows version 1 at the destination, the newest is 2')
  })
})

describe('a whole post-copy migration of two machines', () => {
  it.each(RESOLVER_NAMES)(
    'by %s places every page once, and shows the newest version of each; a page placed anew is found',
    (resolver) => {
      const world = new World({ gear: 'step', resolver, seed: 5 })
      expect([world.run(), world.fault()]).toEqual([true, null])
      const { ledger } = world
      expect([...ledger.placements]).toEqual(Array.from({ length: world.pages }, () => 1))
      expect([...ledger.shown]).toEqual([...world.shadow.version])
      expect([ledger.handedOver, ledger.running.size]).toEqual([true, 0])
      ledger.placed(0, 0)
      expect(world.fault()).toBe('page 0 was placed 2 times in epoch 0')
    },
  )
})

describe('planted', () => {
  it.each<[string, string, (ledger: Ledger) => void, string]>([
    [
      'I-RUN',
      'two machines that run',
      (l) => {
        l.runs('source', true)
        l.runs('destination', true)
      },
      'the guest runs on source and on destination',
    ],
    [
      'I-ONCE',
      'a page placed twice',
      (l) => {
        l.placed(1, 1)
        l.placed(1, 1)
      },
      'page 1 was placed 2 times in epoch 0',
    ],
    [
      'I-ONCE',
      'a packet from before the discard (R82)',
      (l) => {
        l.discarded(1)
        l.placed(1, 1, 0)
      },
      'page 1 was placed from a packet of epoch 0 in epoch 1',
    ],
    [
      'I-DATA',
      'an old version that was not discarded (R66)',
      (l) => {
        l.stored(1, 1)
        l.placed(1, 1)
        l.stored(1, 2)
        l.handsOver()
      },
      'page 1 shows version 1 at the destination, the newest is 2',
    ],
    [
      'I-DATA',
      'a second placement over the guest’s own store (R58)',
      (l) => {
        l.stored(1, 1)
        l.handsOver()
        l.placed(1, 1)
        l.stored(1, 2)
        l.placed(1, 1)
      },
      'page 1 shows version 1 at the destination, the newest is 2',
    ],
    [
      'I-LIN',
      'a load of an older version',
      (l) => {
        l.stored(3, 1)
        l.stored(3, 2)
        l.loaded(3, 1)
        l.stored(3, 3)
      },
      'a load of page 3 saw version 1, the newest is 2',
    ],
    [
      'I-LIN',
      'a load of what the guest threw away (R73)',
      (l) => {
        l.stored(3, 1)
        l.stored(3, 0)
        l.loaded(3, 1)
      },
      'a load of page 3 saw version 1, the newest is 0',
    ],
    [
      'I-BMAP',
      'a dirty bit cleared after the page was read (R63)',
      (l) => {
        l.dirty = () => false
        l.stored(2, 1)
        l.sent(2, 1)
        l.stored(2, 2)
      },
      'page 2 has version 2, was sent as version 1, and is not dirty',
    ],
    [
      'I-ERR',
      'an answer that no serial execution gives',
      (l) => l.answered('reader', 'sigsegv', ['ok']),
      'reader got sigsegv, a serial execution gives ok',
    ],
  ])('%s finds %s, in flight and at rest', (id, _what, plant, message) => {
    const ledger = new Ledger(PAGES)
    plant(ledger)
    expect([says(id, ledger), says(id, ledger, 'atRest')]).toEqual([message, message])
  })

  it('I-DATA finds a page that never came, once the migration is complete', () => {
    const ledger = new Ledger(PAGES)
    ledger.stored(2, 5)
    ledger.handsOver()
    expect(says('I-DATA', ledger, 'atRest')).toBeNull()
    ledger.completes()
    expect(says('I-DATA', ledger, 'atRest')).toBe('page 2, version 5, never came to the destination')
    expect(says('I-DATA', ledger)).toBeNull()
  })

  it('I-ZERO finds a page that has not come and reads as zeros, and not one that has come, or holds something', () => {
    const rig = new Rig()
    const first = rig.map(PAGES)
    const ledger = new Ledger(PAGES)
    ledger.memory = { mm: rig.mm, first }
    ledger.stored(2, 5)
    rig.load(first + 2)
    expect(says('I-ZERO', ledger)).toBeNull()
    ledger.handsOver()
    expect(says('I-ZERO', ledger)).toBe('page 2, version 5, has not come and is readable as zeros')
    ledger.placed(2, 5)
    expect(says('I-ZERO', ledger)).toBeNull()
    ledger.discarded(2)
    rig.store(first, 7)
    rig.kernel.tables.set(rig.mm.table.walk(first + 2), makePte(rig.frame(first), PTE_P))
    expect(says('I-ZERO', ledger)).toBeNull()
  })
})
