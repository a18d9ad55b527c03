/**
 * A vCPU: a thread that runs its workload on real memory, keeps to its rate by the clock, and checks every load.
 *
 * 1. The source: boot, as the model's vCPU does: write each page of its share once, and read one that is to be zero. The destination: follow, without touching memory,
 *    where the source's vCPU is in its workload. A workload is a generator of accesses, the same on both sides; what moves is how many
 *    blocks it has made and the next access, and to get there again should not be part of the downtime.
 * 2. Run while `run` says so: the accesses that are due, then sleep until more are. What a fault took is not made up for; what the
 *    host's timer overslept is.
 * 3. At the destination of a post-copy: a page that has not come is touched first, and how long that took is written down. The thread
 *    sleeps in the kernel meanwhile, in the middle of a load. If the page will never come it wakes on a page of zeros, and gives up
 *    before it has looked at it.
 *
 * Pairs with core/guest/vcpu.ts, and with core/guest/own_words.ts, which says what is checked.
 */
import { Prng } from '../../../core/base/prng.ts'
import { freedPages, parseGuest } from '../../../core/guest/catalog.ts'
import { workloadsOf } from '../../../core/guest/guest_data.ts'
import { faultOf, ownStamp, ownWordAt, PAGE_WORDS, versionAt, versionOf } from '../../../core/guest/own_words.ts'
import { BLOCK_ACCESSES, MOST_LATE_NS, VCPU_SLICE_NS, type Workload } from '../../../core/guest/workload.ts'
import { EventKind, VIOLATION_CAUSE } from '../../../core/trace/event.ts'
import { threadNs } from '../sys/thread_time.ts'
import type { Area } from './area.ts'
import { type Board, PageState } from './board.ts'
import { nowNs } from './clock.ts'
import type { Control } from './control.ts'
import type { EventLog } from './event_log.ts'
import type { ContentOf, SharedGuest } from './guest_memfd.ts'
import { PHASES, type ThreadSetup } from './setup.ts'

/** Shorter sleeps are not worth it. */
const WORTH_NS = 30_000
/** Between two words of how far the boot has come. */
const BOOT_PAGES = 512
/** Between two words of how much was done. */
const TELL_NS = 5_000_000
/** Between two looks at where the source's vCPU is. */
const FOLLOW_MS = 5

export class VcpuThread {
  readonly #area: Area
  readonly #board: Board
  readonly #control: Control
  readonly #index: number
  readonly #isSource: boolean
  readonly #workload: Workload | null
  readonly #bootPages: number
  readonly #contentOf: ContentOf
  /** From here on a captured page comes when it is first stored to. */
  readonly #laterPages: number
  readonly #block = new Int32Array(BLOCK_ACCESSES)
  #blocks = 0
  #cursor = 0
  #limit = 0
  /** Of what was just performed: ns slept in faults. */
  #sleptNs = 0
  readonly #events: EventLog
  /** Operations not told of yet, and when it was told last. */
  #done = 0
  #toldNs = 0
  #loads = 0
  /** Whatever a touch reads goes here, so that it is read. */
  touched = 0

  constructor(setup: ThreadSetup, area: Area, board: Board, control: Control, guest: SharedGuest) {
    const { options, index, side, shape } = setup
    this.#area = area
    this.#board = board
    this.#control = control
    this.#index = index
    this.#isSource = side === 'source'
    this.#events = board.eventsOfVcpu(side, index)
    const parsed = parseGuest(options.guest)
    if (!parsed.ok) throw new Error(parsed.message)
    const workloads = workloadsOf(parsed.guest, shape.pages, shape.vcpus, new Prng(options.seed).fork('guest'), guest)
    this.#workload = workloads[index] ?? null
    const set = Math.max(...workloads.map((w) => w?.bootPages ?? 0))
    this.#bootPages = set + freedPages(parsed.guest, set, shape.pages)
    this.#contentOf = guest.contentOf
    this.#laterPages = guest.capture?.firstPages ?? shape.pages
  }

  /** The thread's life. */
  run(): void {
    const control = this.#control
    if (this.#isSource) this.#boot()
    for (;;) {
      // 1.
      while (!control.is('run') && !control.is('exit')) {
        if (!this.#isSource) this.#follow()
        control.wait('run', 0, this.#isSource ? 1000 : FOLLOW_MS)
      }
      if (control.is('exit')) return
      // 2.
      if (!this.#isSource) this.#takePlace()
      control.add('standing', -1)
      this.#events.note(EventKind.VcpuRun, -1, 1)
      this.#events.stamp()
      const beganNs = threadNs()
      const hasGivenUp = !this.#runFreely()
      this.#board.addOfVcpu(this.#index, 'threadNs', threadNs() - beganNs)
      this.#tellOps(nowNs())
      this.#events.note(EventKind.VcpuRun, -1, 0)
      this.#events.stamp()
      this.#leavePlace()
      control.add('standing', 1)
      if (hasGivenUp) return
    }
  }

  /** 1. */
  #boot(): void {
    while (!this.#control.is('mayBoot') && !this.#control.is('exit')) this.#control.wait('mayBoot', 0, 1000)
    const { vcpus } = this.#board.shape
    const edge = (n: number) => Math.floor((this.#bootPages * n) / vcpus)
    const [first, end] = [edge(this.#index), edge(this.#index + 1)]
    const zeros = this.#workload?.zeros
    let accesses = 0
    for (let page = first; page < end && !this.#control.is('exit'); page++) {
      const isZero = zeros?.[page] === 1
      if (isZero) {
        this.touched ^= this.#area.ram[ownWordAt(page, 0, this.#index)] as number
        accesses++
      } else {
        this.#fillIn(page)
        this.#store(page, 0)
        this.#store(page, 1)
        accesses += 2
      }
      this.#events.note(EventKind.Populate, page, isZero ? 1 : 0)
      if (page % BOOT_PAGES === 0 || page === end - 1) this.#events.stamp()
    }
    this.#board.addOfVcpu(this.#index, 'boot', accesses)
    this.#control.add('booted', 1)
  }

  /** 1. */
  #follow(): void {
    const { places } = this.#control
    // Where it is to go on stands there once the state has come; before, the source's is the newest that is known.
    const target = Math.max(places[2 * this.#index] as number, this.#board.ofVcpu(this.#index, 'blocks'))
    while (this.#blocks < target - 1) this.#fill()
  }

  /** The state that came with the hand-over. */
  #takePlace(): void {
    const { places } = this.#control
    const blocks = places[2 * this.#index] as number
    while (this.#blocks < blocks) this.#fill()
    this.#cursor = places[2 * this.#index + 1] as number
  }

  #leavePlace(): void {
    this.#control.places[2 * this.#index] = this.#blocks
    this.#control.places[2 * this.#index + 1] = this.#cursor
  }

  #fill(): boolean {
    this.#cursor = 0
    this.#limit = this.#workload?.fill(this.#block) ?? 0
    if (this.#limit === 0) return false
    this.#blocks++
    return true
  }

  /** 2. False: it gave up. */
  #runFreely(): boolean {
    const control = this.#control
    const board = this.#board
    const workload = this.#workload
    let dueNs = nowNs()
    while (control.is('run')) {
      if (workload === null || (this.#cursor === this.#limit && !this.#fill())) {
        control.wait('run', 1, 1000)
        continue
      }
      if (this.#isSource) board.setOfVcpu(this.#index, 'blocks', this.#blocks)
      const { thinkNs } = workload
      const many = Math.max(1, Math.floor(VCPU_SLICE_NS / Math.max(1, thinkNs)))
      const from = this.#cursor
      this.#loads = 0
      this.#sleptNs = 0
      const isDone = this.#perform(from, Math.min(this.#limit, from + many))
      board.addOfVcpu(this.#index, 'loadsChecked', this.#loads)
      board.addOfVcpu(this.#index, PHASES[board.phase[0] as number] ?? 'before', this.#cursor - from)
      if (!isDone) return false
      dueNs += (this.#cursor - from) * thinkNs + this.#sleptNs
      const now = nowNs()
      if (this.#events.isKept) this.#worked(this.#cursor - from, workload.accessesPerOp, now)
      const lateNs = now - dueNs
      if (lateNs > MOST_LATE_NS) dueNs += lateNs - MOST_LATE_NS
      else if (lateNs < -WORTH_NS) control.wait('run', 1, -lateNs / 1e6)
    }
    return true
  }

  /** Adds to what is told now and then: accesses, as operations. */
  #worked(accesses: number, accessesPerOp: number, now: number): void {
    this.#done += accesses / accessesPerOp
    if (now - this.#toldNs >= TELL_NS) this.#tellOps(now)
  }

  #tellOps(now: number): void {
    const ops = Math.floor(this.#done)
    this.#done -= ops
    this.#toldNs = now
    if (ops > 0) this.#events.note(EventKind.GuestOps, -1, ops)
    this.#events.stamp()
  }

  /** Accesses [from, to) of the block. False: it gave up in the middle. */
  #perform(from: number, to: number): boolean {
    const { states } = this.#board
    const isRemote = !this.#isSource
    for (let i = from; i < to; i++) {
      const access = this.#block[i] as number
      const page = access >>> 2
      const word = (access >>> 1) & 1
      if (isRemote && states[page] !== PageState.received && !this.#touchMissing(page)) {
        this.#cursor = i
        return false
      }
      if ((access & 1) !== 0) this.#store(page, word)
      else this.#load(page, word)
    }
    this.#cursor = to
    return true
  }

  /** 3. False: the page will never come. */
  #touchMissing(page: number): boolean {
    const startNs = this.#events.touches(page)
    this.touched ^= this.#area.ram[ownWordAt(page, 0, this.#index)] as number
    const sleptNs = this.#events.touched()
    if (this.#control.is('abandoned')) return false
    if (sleptNs === 0) return true
    const board = this.#board
    const n = board.ofVcpu(this.#index, 'sleeps')
    if (n < board.shape.pages) {
      const at = (this.#index * board.shape.pages + n) * 2
      board.sleeps[at] = startNs
      board.sleeps[at + 1] = startNs + sleptNs
      board.setOfVcpu(this.#index, 'sleeps', n + 1)
    }
    this.#sleptNs += sleptNs
    return true
  }

  #store(page: number, word: number): void {
    const { versions, shape } = this.#board
    const at = versionAt(page, word, this.#index, shape.pages)
    const version = (versions[at] as number) + 1
    if (version === 1 && page >= this.#laterPages && this.#isNew(page, word)) this.#fillIn(page)
    Atomics.store(versions, at, version)
    this.#area.ram[ownWordAt(page, word, this.#index)] = ownStamp(page, word, this.#index, version)
  }

  /** Nobody has stored to its other word either: to such a page only one vCPU does (captured.ts). */
  #isNew(page: number, word: number): boolean {
    const { versions, shape } = this.#board
    return versions[versionAt(page, 1 - word, this.#index, shape.pages)] === 0
  }

  /** What the page held when it was captured, between the words that vCPUs own. */
  #fillIn(page: number): void {
    const content = this.#contentOf(page)
    if (content === null) return
    const { vcpus } = this.#board.shape
    this.#area.ram.set(content.subarray(vcpus, PAGE_WORDS - vcpus), page * PAGE_WORDS + vcpus)
  }

  #load(page: number, word: number): void {
    const { versions, shape } = this.#board
    const { ram } = this.#area
    const me = this.#index
    this.#loads++
    const version = versions[versionAt(page, word, me, shape.pages)] as number
    const found = ram[ownWordAt(page, word, me)] as number
    if (found !== ownStamp(page, word, me, version)) this.#mismatch(page, word, me, version, found)
    if (shape.vcpus === 1) return
    const other = me + 1 === shape.vcpus ? 0 : me + 1
    const at = versionAt(page, word, other, shape.pages)
    const before = Atomics.load(versions, at)
    const seen = ram[ownWordAt(page, word, other)] as number
    const after = Atomics.load(versions, at)
    const its = versionOf(seen, page, word, other)
    if (its < before - 1 || its > after) this.#mismatch(page, word, other, before, seen)
  }

  #mismatch(page: number, word: number, owner: number, version: number, found: number): void {
    const cause = faultOf(found, page, word, owner, version)
    this.#board.addOfVcpu(this.#index, cause, 1)
    if (!this.#board.wrong(this.#index, page, word, owner, version, found, nowNs())) return
    this.#events.note(EventKind.Violation, page, VIOLATION_CAUSE.indexOf(cause))
    this.#events.stamp()
  }
}
