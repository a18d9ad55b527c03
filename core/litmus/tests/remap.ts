/**
 * Litmus tests of remap_anon_pages: against itself, against stores through old TLB entries, and against fork.
 * Its races with walks of the reverse map are in rmap.ts. Source: Andrea Arcangeli, remap_anon_pages, 2013 and 2014.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import { answers, expectEqual, type Litmus } from '../litmus.ts'
import { contentOf, forkChild, loadWord, remap, remapAndStore, sourceAndDestination, storeOrSignal } from '../scenes.ts'
import { P, RW, type World } from '../world.ts'

/** Moves the page, stores to its old address, and loads it at the new one. */
function* remapAndStoreBehind(k: Thread, world: World, dst: number, src: number): Proc<number> {
  yield* remap(k, world, dst, src)
  yield* world.process.writePage(k, src, contentOf(2))
  return yield* loadWord(k, world.process, dst)
}

/** Answers whether two loads of the moved page agree. */
function* remapAndLoadTwice(k: Thread, world: World, dst: number, src: number): Proc<boolean> {
  yield* remap(k, world, dst, src)
  const placed = yield* loadWord(k, world.process, dst)
  return (yield* loadWord(k, world.process, dst)) === placed
}

export const REMAP: readonly Litmus[] = [
  {
    name: 'two-movers-one-destination',
    title: 'Two calls of remap_anon_pages place a page at one destination, one over the other',
    result: 'never',
    refs: ['R36'],
    protections: ['remap-pte-recheck'],
    memoryModel: 'sc',
    start: `
      src0 -> page 100     src1 -> page 101     dst -> none
      A: remap dst <- src0                      B: remap dst <- src1`,
    world: {},
    build(world) {
      const { src, dst } = sourceAndDestination(world, 2)
      const movers = [0, 1].map((n) => world.actor(`mover${n}`, n, (k) => remap(k, world, dst, src + n)))
      return {
        judge: () => expectEqual('I-ONCE', 'calls that placed a page', 1, movers.filter((m) => m.value === P).length),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'remap-and-the-own-tlb',
    title: 'A thread that moved a page goes on storing to it at its old address',
    result: 'never',
    refs: ['R33'],
    protections: ['remap-tlb-flush'],
    memoryModel: 'sc',
    start: `
      src -> page 100, writable in the TLB of CPU 0     dst -> none
      mover on CPU 0: remap dst <- src; store src = 2; load dst`,
    world: {},
    build(world) {
      const { src, dst } = sourceAndDestination(world)
      const mover = world.actor('mover', 0, (k) => remapAndStoreBehind(k, world, dst, src))
      return {
        judge: () => expectEqual('I-LIN', 'the moved page', 100, mover.value),
        outcome: () => answers(world),
      }
    },
  },
  {
    name: 'remap-and-another-tlb',
    title: 'Another CPU stores through its TLB to a page that has been moved and given to the guest',
    result: 'never',
    refs: ['R34'],
    protections: ['remap-tlb-flush', 'remap-flush-other-cpus'],
    memoryModel: 'sc',
    start: `
      src -> page 1, writable in the TLB of CPU 1     dst -> none
      mover on CPU 0: remap dst <- src; load dst; load dst
      loader on CPU 1: store src = 2`,
    world: {},
    build(world) {
      const { src, dst } = sourceAndDestination(world)
      world.store(src, 1, 1)
      const mover = world.actor('mover', 0, (k) => remapAndLoadTwice(k, world, dst, src))
      world.actor('loader', 1, (k) => storeOrSignal(k, world.process, src, 2))
      return {
        judge: () => expectEqual('I-LIN', 'two loads of the moved page agree', true, mover.value),
        outcome: () => `${answers(world)} dst=${world.word(dst)}`,
      }
    },
  },
  {
    name: 'remap-against-fork',
    title: 'A page that parent and child share is moved and written by the parent, and the child sees it',
    result: 'never',
    refs: ['R31'],
    protections: ['remap-mapcount'],
    memoryModel: 'sc',
    start: `
      src -> page 100     dst -> none
      mover: remap dst <- src; if it went, store dst = 2
      forker: fork; the child has src too`,
    world: {},
    build(world) {
      const { src, dst } = sourceAndDestination(world, 1, 'src')
      world.actor('mover', 0, (k) => remapAndStore(k, world, dst, src))
      const forker = world.actor('forker', 1, (k) => forkChild(k, world))
      return {
        judge: () =>
          forker.value !== undefined && world.word(src, forker.value.mm) === 2
            ? { invariant: 'I-LIN', message: 'the child sees a store of its parent', expected: '100', found: '2' }
            : null,
        outcome: () => `mover=${String(world.actors[0].value)} child=${world.word(src, world.processes[1].mm)}`,
      }
    },
  },
  {
    name: 'remap-there-and-back',
    title: 'Two calls of remap_anon_pages in opposite directions wait for one another',
    result: 'never',
    refs: ['R35'],
    protections: ['remap-table-order'],
    memoryModel: 'sc',
    start: `
      table X: a -> page 1, a+1 -> none     table Y: b -> none, b+1 -> page 2
      there: remap b <- a                   back: remap a+1 <- b+1`,
    world: { windowPages: 1024 },
    build(world) {
      const a = world.map(2)
      const b = world.map(2, RW, world.process, 512)
      world.store(a, 1)
      world.store(b + 1, 2)
      world.actor('there', 0, (k) => remap(k, world, b, a))
      world.actor('back', 1, (k) => remap(k, world, a + 1, b + 1))
      return {
        judge: () => expectEqual('I-ERR', 'moves that went', 2, world.actors.filter((m) => m.value === P).length),
        outcome: () => answers(world),
      }
    },
  },
]
