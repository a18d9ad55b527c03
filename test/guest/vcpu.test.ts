/**
 * A vCPU on one machine: it boots its share, does its workload's accesses in order, checks every load, and stops when asked.
 *
 * The workload is a list of accesses played again and again; the machine is real, with 64 pages of guest RAM.
 */
import { describe, expect, it } from 'vitest'
import { type Proc, SLEEP } from '../../core/engine/op.ts'
import { Timeline } from '../../core/engine/timeline.ts'
import { Shadow } from '../../core/guest/shadow.ts'
import { type GuestContext, type Mismatch, Vcpu } from '../../core/guest/vcpu.ts'
import { access, type Workload } from '../../core/guest/workload.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { Identity, Machine } from '../../core/machine/machine.ts'
import { Process } from '../../core/machine/process.ts'
import { pageOfAddress, sys } from '../../core/machine/syscall.ts'
import { EventKind } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'

const PAGES = 64
const THINK_NS = 50

/** The accesses that `fill` hands out, block after block; an empty block asks for input. */
class Played implements Workload {
  readonly accessesPerOp = 2
  readonly thinkNs = THINK_NS
  readonly bootPages = PAGES
  fills = 0
  constructor(readonly blocks: readonly (readonly number[])[]) {}

  fill(out: Int32Array): number {
    const block = this.blocks[this.fills++ % this.blocks.length] ?? []
    out.set(block)
    return block.length
  }
}

function setUp(workload: Workload | null) {
  const timeline = new Timeline(10_000)
  const recorder = new Recorder({ keep: true })
  const machine = new Machine(
    { name: 'source', preset: ZEN5, frames: PAGES + 64, windowPages: PAGES + 64, without: new Set() },
    timeline,
    new Identity(),
    recorder,
  )
  const process = new Process(machine)
  const mismatches: Mismatch[] = []
  const context: GuestContext = { shadow: new Shadow(PAGES), recorder, phase: 'before', onMismatch: (m) => mismatches.push(m) }
  const vcpu = new Vcpu(0, workload, context)
  const k = machine.makeThread('vCPU 0')
  const director = machine.makeThread('director')
  /** Boots, then runs until the director asks it to stop at `ns`; at half that time the director does `halfway`. */
  const live = (ns: number, halfway: () => void = () => {}) => {
    let ramPage = 0
    function* life(thread: Thread): Proc<void> {
      process.adopt(thread)
      ramPage = pageOfAddress(yield* sys.mmap(thread, process, PAGES * 4096))
      yield* vcpu.boot(thread, process, ramPage, 0, PAGES)
      yield* vcpu.run(thread, process, ramPage)
    }
    function* direct(thread: Thread): Proc<void> {
      thread.wakeAtNs = ns / 2
      yield SLEEP
      halfway()
      thread.wakeAtNs = ns
      yield SLEEP
      vcpu.stopRequested = true
      k.wake(thread.nowNs)
    }
    machine.start(k, life(k))
    machine.start(director, direct(director))
    return { state: timeline.run(10_000), ramPage: () => ramPage }
  }
  return { timeline, recorder, machine, process, context, vcpu, k, mismatches, live }
}

const BUSY = [access(3, 0, true), access(3, 0, false), access(7, 1, true), access(3, 1, false)]

describe('a vCPU', () => {
  it('boots by writing both words of each page once', () => {
    const { context, vcpu, live } = setUp(null)
    live(1e6)
    expect(vcpu.accesses.boot).toBe(2 * PAGES)
    expect([...context.shadow.version]).toEqual(new Array<number>(PAGES).fill(2))
  })

  it('sees what it last wrote in every load, and counts loads and accesses', () => {
    const { vcpu, mismatches, context, live, k } = setUp(new Played([BUSY]))
    expect(live(2e6).state).toBe('idle')
    const done = vcpu.accesses.before
    expect(mismatches).toEqual([])
    expect(done).toBeGreaterThan(1000)
    // Two of four accesses load; two accesses are an operation.
    expect(Math.abs(vcpu.loadsChecked - done / 2)).toBeLessThanOrEqual(2)
    expect(vcpu.ops('before')).toBe(Math.floor(done / 2))
    expect(vcpu.totalAccesses).toBe(done + 2 * PAGES)
    expect(context.shadow.version[3]).toBe(2 + Math.ceil(done / 4))
    expect(k.state).toBe('done')
  })

  it('keeps to the rate of its workload', () => {
    const { vcpu, live, recorder } = setUp(new Played([BUSY]))
    live(5e6)
    const runs = Array.from({ length: recorder.rows }, (_, r) => r).filter((r) => recorder.kind(r) === EventKind.VcpuRun)
    const [from = 0, to = 0] = runs.map((r) => recorder.time(r))
    // An access takes its thinking time; the TLB misses of two pages do not show.
    expect((to - from) / vcpu.accesses.before).toBeGreaterThan(THINK_NS - 1e-6)
    expect((to - from) / vcpu.accesses.before).toBeLessThan(THINK_NS * 1.01)
  })

  it('names page, word and values of a load that did not see the last store', () => {
    const { live, process, machine, mismatches, context } = setUp(new Played([[access(5, 1, false), access(5, 0, false)]]))
    /** The address is known once life has run; RAM is the only mapping. */
    const firstMapped = () => {
      let first = -1
      process.mm.table.forEachLeaf((node, page) => {
        for (let i = 0; i < 512 && first < 0; i++) if (machine.kernel.tables.get(node * 512 + i) !== 0) first = page + i
      })
      return first
    }
    const lived = live(1e6, () => {
      const slot = process.mm.table.walk(firstMapped() + 5)
      const pfn = Math.floor(machine.kernel.tables.get(slot) / 4096)
      machine.kernel.phys.words[pfn * 2 + 1] = 0xbad
    })
    expect(lived.state).toBe('idle')
    expect(lived.ramPage()).toBe(firstMapped())
    expect(mismatches.length).toBeGreaterThan(0)
    expect(mismatches[0]).toMatchObject({ vcpu: 0, page: 5, word: 1, expected: context.shadow.words[11], found: 0xbad })
    expect(mismatches.every((m) => m.word === 1)).toBe(true)
  })

  it('reports all its operations in events that add up', () => {
    const { vcpu, live, recorder } = setUp(new Played([BUSY]))
    live(3e6)
    let sum = 0
    for (let row = 0; row < recorder.rows; row++) if (recorder.kind(row) === EventKind.GuestOps) sum += recorder.arg(row)
    expect(sum).toBe(vcpu.ops('before'))
  })

  it('asks the host for input when its workload is dry, and goes on with what it gets', () => {
    const workload = new Played([BUSY, [], BUSY])
    const { timeline, vcpu, live, k } = setUp(workload)
    expect(live(1e9).state).toBe('input')
    expect([k.state, vcpu.accesses.before]).toEqual(['input', 4])
    timeline.resumeInput()
    expect(timeline.run(10_000)).toBe('input')
    expect(vcpu.accesses.before).toBe(12)
  })

  it('without a workload sleeps until it is asked to stop', () => {
    const { vcpu, live, k } = setUp(null)
    const stops: number[] = []
    vcpu.onStopped = (thread) => stops.push(thread.nowNs)
    expect(live(1e6).state).toBe('idle')
    expect([k.state, vcpu.accesses.before, stops]).toEqual(['done', 0, [1e6]])
  })

  it('stops between two accesses and keeps the rest of its block for the thread that goes on', () => {
    const marks = Array.from({ length: 64 }, (_, page) => access(page, 0, true))
    const { machine, process, vcpu, live, timeline, context } = setUp(new Played([marks]))
    const lived = live(200_000)
    const before = vcpu.accesses.before
    const versions = [...context.shadow.version]
    expect(before).toBeGreaterThan(64)
    vcpu.stopRequested = false
    const next = machine.makeThread('vCPU 0 again')
    process.adopt(next)
    machine.start(next, vcpu.run(next, process, lived.ramPage()), 300_000)
    const director = machine.makeThread('second director')
    machine.start(
      director,
      (function* (): Proc<void> {
        vcpu.stopRequested = true
        director.wakeAtNs = 300_000 + 1
        yield SLEEP
      })(),
      300_000 + THINK_NS * 2.5,
    )
    timeline.run(10_000)
    const more = vcpu.accesses.before - before
    expect(more).toBeGreaterThan(0)
    // Page p gets its next store in its turn: no access was left out or done twice.
    for (let i = 0; i < more; i++) versions[(before + i) % 64] = (versions[(before + i) % 64] ?? 0) + 1
    expect([...context.shadow.version]).toEqual(versions)
  })
})
