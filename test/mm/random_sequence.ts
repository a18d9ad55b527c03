/**
 * Random calls of three threads, of which any may fork, beside a handler of userfaults and a thread that migrates and evicts
 * pages: what random_calls.test.ts runs to see whether all is well at the end, and the checkers' tests to look on the way.
 *
 * One sequence ends with an audit; then everything exits, and nothing may be left.
 */
import { expect } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { type Broken, brokenInFlight } from '../../core/checkers/invariants.ts'
import type { Proc } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import type { Process } from '../../core/machine/process.ts'
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, sys, type Userfaultfd } from '../../core/machine/syscall.ts'
import type { FaultPath } from '../../core/mm/kernel.ts'
import { MADV_DOFORK, MADV_DONTFORK, MADV_DONTNEED } from '../../core/mm/madvise.ts'
import { migratePage } from '../../core/mm/migrate.ts'
import { shrink } from '../../core/mm/vmscan.ts'
import { at, failure, type Gear, P, Rig, type RigOptions } from './rig.ts'

export const PATHS: readonly FaultPath[] = ['classic', 'speculative-2014', 'speculative', 'vma-lock']
const CALLS = 14
/** Where calls hit: few pages, so that they meet. Two areas, and room behind them for mremap. */
const PAGES = 12
const PAGEFAULT = 0x12

type Call = (k: Thread, p: Process, u: Userfaultfd, draw: (below: number) => number) => Proc<unknown>

const page = (draw: (below: number) => number) => at(1 + draw(PAGES))
const length = (draw: (below: number) => number) => P * (1 + draw(3))

const CALLS_BY_NAME: Readonly<Record<string, Call>> = {
  load: (k, p, _, d) => sys.load(k, p, page(d)),
  store: (k, p, _, d) => sys.store(k, p, page(d), d(100)),
  'store again': (k, p, _, d) => sys.store(k, p, page(d), d(100)),
  mmap: (k, p, _, d) => sys.mmap(k, p, length(d), 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, page(d)),
  munmap: (k, p, _, d) => sys.munmap(k, p, page(d), length(d)),
  mremap: (k, p, _, d) => sys.mremap(k, p, page(d), P, P, 3, page(d)),
  mprotect: (k, p, _, d) => sys.mprotect(k, p, page(d), length(d), d(4)),
  mlock: (k, p, _, d) => sys.mlock(k, p, page(d), length(d)),
  munlock: (k, p, _, d) => sys.munlock(k, p, page(d), length(d)),
  dontneed: (k, p, _, d) => sys.madvise(k, p, page(d), length(d), MADV_DONTNEED),
  dontfork: (k, p, _, d) => sys.madvise(k, p, page(d), length(d), d(2) === 0 ? MADV_DONTFORK : MADV_DOFORK),
  remap: (k, p, _, d) => sys.remapAnonPages(k, p, page(d), page(d), length(d), d(2)),
  move: (k, p, u, d) => sys.uffdioMove(k, p, u, page(d), page(d), length(d), d(4)),
  copy: (k, p, u, d) => sys.uffdioCopy(k, p, u, page(d), page(d), length(d), 0),
  zeropage: (k, _, u, d) => sys.uffdioZeropage(k, u, page(d), length(d), 0),
  register: (k, _, u, d) => sys.uffdioRegister(k, u, page(d), length(d), 1 + d(3)),
  unregister: (k, _, u, d) => sys.uffdioUnregister(k, u, page(d), length(d)),
  writeprotect: (k, _, u, d) => sys.uffdioWriteprotect(k, u, page(d), length(d), d(2)),
}
const NAMES = Object.keys(CALLS_BY_NAME)

/**
 * What the RFC of 2014 did not count as a change of an area: a fault beside it may map a page with the rights of before, or one
 * that somebody else was to bring (litmus tests show it). In the clock gear no fault runs beside anything.
 */
const NOT_COUNTED_2014: readonly string[] = ['mprotect', 'register']

function namesOf(gear: Gear, path: FaultPath): readonly string[] {
  return gear === 'step' && path === 'speculative-2014' ? NAMES.filter((name) => !NOT_COUNTED_2014.includes(name)) : NAMES
}

/** Answers every message with a zero page, or, where that cannot be, with a wake and the protection taken away. */
function* handler(k: Thread, u: Userfaultfd): Proc<void> {
  for (;;) {
    const { ret: bytes, messages } = yield* sys.uffdRead(k, u, 32)
    // Closed.
    if (bytes < 0) return
    for (const message of messages) {
      if (message.event !== PAGEFAULT) continue
      const start = message.address - (message.address % P)
      const { ret } = yield* sys.uffdioZeropage(k, u, start, P, 0)
      if (ret === 0) continue
      yield* sys.uffdioWriteprotect(k, u, start, P, 0)
      yield* sys.uffdioWake(k, u, start, P)
    }
  }
}

/** `I-CNT at step 17: ...` */
function words({ invariant, message }: Broken, step: number): string {
  return `${invariant} at step ${step}: ${message}`
}

/** One sequence; what went wrong, or null. With `looks` every invariant is asked after each step (step gear). */
export function sequence(
  gear: Gear,
  path: FaultPath,
  seed: number,
  looks = false,
  options: Pick<RigOptions, 'preset' | 'without'> = {},
): string | null {
  const prng = new Prng(seed)
  const draw = (below: number) => prng.below(below)
  const rig = new Rig({ gear, seed, frames: 48, swap: 64, windowPages: 64, ...options })
  rig.kernel.faultPath = path
  rig.process.privileged = true
  const u = sys.userfaultfd(rig.process)
  if (typeof u === 'number') return `userfaultfd answered ${u}`
  const api = sys.uffdioApi(rig.process, u, 0xaa, 0)
  if (api.ret !== 0) return `UFFDIO_API answered ${api.ret}`
  const processes = [rig.process]
  const names = namesOf(gear, path)
  return failure(() => {
    rig.call((k) => sys.mmap(k, rig.process, PAGES * P))
    rig.daemon('handler', 3, (k) => handler(k, u))
    for (const n of [0, 1, 2]) {
      rig.spawn(`caller ${n}`, n, function* (k) {
        let mine = rig.process
        for (let i = 0; i < CALLS; i++) {
          const pick = draw(names.length + 1)
          const name = names[pick]
          if (name !== undefined) yield* CALLS_BY_NAME[name]?.(k, mine, u, draw) ?? []
          else if (processes.length < 4) {
            const child = yield* sys.fork(k, mine)
            processes.push(child)
            mine = child
            child.adopt(k)
          }
        }
      })
    }
    rig.spawn('reclaim', 4, function* (k) {
      const { kernel } = rig
      for (let i = 0; i < 4; i++) {
        if (draw(2) === 0) yield* shrink(k, kernel, 2)
        const pfn = 1 + draw(20)
        if ((kernel.pages.refcount[pfn] ?? 0) === 0) continue
        kernel.pages.get(pfn)
        yield* migratePage(k, kernel, pfn)
      }
    })
    const outcome = rig.run(60_000, (step) => {
      const broken = looks ? brokenInFlight(rig.state) : null
      if (broken !== null) throw new Error(words(broken, step))
    })
    if (outcome !== 'done') throw new Error(`${outcome}: ${rig.waits().join('; ')}`)
    const wrong = rig.audit()
    if (wrong !== null) throw new Error(wrong)
    rig.call((k) => sys.close(k, u))
    for (const process of processes) rig.call((k) => sys.exit(k, process), 0, process)
    expect([rig.kernel.pages.used, rig.kernel.swap.used, rig.kernel.anonVmas.live, rig.kernel.lockdep?.undeclared]).toEqual([
      0,
      0,
      0,
      [],
    ])
  })
}
