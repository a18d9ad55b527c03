/**
 * dirty-limit: a vCPU that writes too fast sleeps when its ring is full, one that reads never does; and QEMU's arithmetic.
 */
import { describe, expect, it } from 'vitest'
import type { Proc } from '../../core/engine/op.ts'
import { SLEEP } from '../../core/engine/op.ts'
import { Timeline } from '../../core/engine/timeline.ts'
import { Shadow } from '../../core/guest/shadow.ts'
import type { GuestContext } from '../../core/guest/vcpu.ts'
import { access, type Workload } from '../../core/guest/workload.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { Identity, Machine } from '../../core/machine/machine.ts'
import { Process } from '../../core/machine/process.ts'
import { sys } from '../../core/machine/syscall.ts'
import { DirtyLimit } from '../../core/migration/dirty_limit.ts'
import { DirtyRings } from '../../core/migration/dirty_rings.ts'
import { DEFAULT_PARAMETERS, type MigrationParameters } from '../../core/migration/migration_parameters.ts'
import { ThrottleTrigger } from '../../core/migration/throttle_trigger.ts'
import { VirtualMachine } from '../../core/run/virtual_machine.ts'
import { Recorder } from '../../core/trace/recorder.ts'

const PAGES = 4096
const RAM_PAGE = 1
const MS = 1e6

/** Goes over its pages, one access each, again and again. */
class Walk implements Workload {
  readonly accessesPerOp = 1
  readonly bootPages = PAGES
  readonly thinkNs: number
  readonly #store: boolean
  #at = 0

  constructor(store: boolean, thinkNs: number) {
    this.#store = store
    this.thinkNs = thinkNs
  }

  fill(out: Int32Array): number {
    for (let i = 0; i < 64; i++) out[i] = access(this.#at++ % PAGES, 0, this.#store)
    return 64
  }
}

class Guest {
  readonly vm: VirtualMachine
  readonly limit: DirtyLimit
  readonly rings: DirtyRings
  readonly mismatches: unknown[] = []
  readonly machine: Machine
  /** Accesses a second of each vCPU, by period. */
  readonly rates: number[][] = []

  /** Two readers of all pages and a writer of all pages, 2 us and 1 us an access; small rings. */
  constructor(parameters: Partial<MigrationParameters>, periods: number, periodMs: number) {
    const engine = new Timeline(10_000)
    const recorder = new Recorder({ keep: false })
    const machine = new Machine(
      { name: 'source', preset: ZEN5, frames: PAGES + 512, windowPages: PAGES + 64, without: new Set() },
      engine,
      new Identity(),
      recorder,
    )
    this.machine = machine
    const process = new Process(machine)
    const context: GuestContext = {
      shadow: new Shadow(PAGES),
      recorder,
      phase: 'boot',
      onMismatch: (m) => this.mismatches.push(m),
    }
    this.vm = new VirtualMachine([new Walk(false, 2000), new Walk(true, 1000), new Walk(false, 2000)], context)
    const { vm, rates } = this
    const main = machine.makeThread('main')
    const guest = this
    function* sleep(k: Thread, ms: number): Proc<void> {
      k.wakeAtNs = k.nowNs + ms * MS
      yield SLEEP
    }
    function* story(k: Thread): Proc<void> {
      process.adopt(k)
      yield* sys.mmap(k, process, PAGES * 4096)
      yield* vm.boot(k, process, RAM_PAGE)
      context.exits = guest.rings
      yield* guest.rings.start(k)
      const t = machine.makeThread('dirtyrate-stat')
      machine.start(t, guest.limit.limit(t), k.nowNs)
      for (let period = 0; period < periods; period++) {
        const before = vm.vcpus.map((v) => v.totalAccesses)
        yield* sleep(k, periodMs)
        rates.push(vm.vcpus.map((v, i) => ((v.totalAccesses - (before[i] ?? 0)) * 1000) / periodMs))
      }
      const stopNs = k.nowNs
      yield* vm.stop(k)
      guest.stopTookNs = k.nowNs - stopNs
      guest.limit.cancel()
      engine.stop()
    }
    const cpuOf = (vcpu: number) => main.cpu.id + 1 + vcpu
    this.rings = new DirtyRings(process, RAM_PAGE, PAGES, [0, 1, 2].map(cpuOf), 1024)
    this.limit = new DirtyLimit(this.rings, { ...DEFAULT_PARAMETERS, ...parameters })
    machine.start(main, story(main))
    while (engine.run(10_000) === 'running');
  }

  stopTookNs = Number.NaN
}

describe('a writer beside two readers', () => {
  // Half of 4 GB/s would be 2 GB/s; every look protects what was written, so most stores fault: some 900 MB/s are left.
  const guest = new Guest({ 'x-vcpu-dirty-limit-period': 20, 'vcpu-dirty-limit': 50 }, 12, 20)
  const [first, last] = [guest.rates[0] ?? [], guest.rates.at(-1) ?? []]

  it('is slowed, and the readers are not', () => {
    expect(last[1] ?? 0).toBeLessThan((first[1] ?? 0) / 4)
    for (const reader of [0, 2]) expect((last[reader] ?? 0) / (first[reader] ?? 0)).toBeGreaterThan(0.98)
    expect(guest.limit.throttleUs[0]).toBe(0)
    expect(guest.limit.throttleUs[2]).toBe(0)
    expect(guest.limit.throttleTimePerRound).toBeGreaterThan(0)
    expect(guest.mismatches).toEqual([])
  })

  it('stops at once though it sleeps', () => {
    expect(guest.limit.throttleTimePerRound).toBeGreaterThan(1000)
    expect(guest.stopTookNs).toBeLessThan(MS)
  })

  it('only the writer has dirtied pages', () => {
    expect(guest.rings.dirtyPages[0]).toBe(0)
    expect(guest.rings.dirtyPages[1]).toBeGreaterThan(1000)
    expect(guest.rings.dirtyPages[2]).toBe(0)
  })
})

it('a writer within 25 MB/s of its quota is left alone', () => {
  const { limit } = new Guest({ 'x-vcpu-dirty-limit-period': 20, 'vcpu-dirty-limit': 100_000 }, 3, 20)
  expect(limit.throttleTimePerRound).toBe(0)
  const rate = limit.rates[1] ?? 0
  expect(rate).toBeGreaterThan(25)
  const near = new Guest({ 'x-vcpu-dirty-limit-period': 20, 'vcpu-dirty-limit': rate }, 3, 20)
  expect(near.limit.throttleTimePerRound).toBe(0)
})

it('the first step is what brings the writer to its quota, and no more than 99 times the time in which its ring fills', () => {
  const { limit } = new Guest({ 'x-vcpu-dirty-limit-period': 20, 'vcpu-dirty-limit': 1 }, 2, 15)
  const rate = limit.rates[1] ?? 0
  const fullUs = Math.floor(4e6 / rate)
  const percent = Math.floor(((rate - 1) * 100) / rate)
  expect(limit.throttleTimePerRound).toBe(Math.floor((fullUs * percent) / (100 - percent)))
  expect(limit.throttleTimePerRound).toBeLessThanOrEqual(99 * fullUs)
  expect(limit.ringFullTime).toBe(Math.floor(4e6 / rate))
})

describe('the trigger', () => {
  const triggered = (dirtied: readonly number[], stepNs = 1.5e9) => {
    const calls: number[] = []
    const trigger = new ThrottleTrigger(50, (bytes) => calls.push(bytes))
    for (const [i, bytes] of dirtied.entries()) trigger.synced((i + 1) * stepNs, bytes, (i + 1) * 100)
    return calls
  }

  it('sets in the second time that more than half of what was sent became dirty', () => {
    expect(triggered([51, 51, 51, 51])).toEqual([51, 51])
    expect(triggered([50, 50, 50, 50])).toEqual([])
    expect(triggered([51, 0, 60])).toEqual([60])
  })

  it('counts syncs within a second together', () => {
    expect(triggered([60, 60, 60, 60], 0.6e9)).toEqual([120])
  })
})
