/**
 * The source's migration thread, on real sockets and real memory. The steps are those of core/migration/source.ts:
 *
 *  1. setup: connect; where a pre-copy comes first, the kernel's dirty log. Then active.
 *  2. pre-copy: the model's own iterations (precopy.ts, precopy_drive.ts, rates.ts), on the real clock.
 *  3. completion: stop the vCPUs, send what is left and their state.
 *  4. or post-copy: stop the vCPUs; after a pre-copy say what is old (discard), then LISTEN; then their state, packaged: the hand-over.
 *  5. postcopy-active: a requested page goes first, else what the prepaging policy pushes.
 *  6. end, and the destination's word.
 *  7. The connection broke. Whoever has the guest then is decided once (Board.takeGuest): the source goes on with it and the migration
 *     has failed, or it is the destination's, and the migration is paused until somebody recovers it.
 *
 * There are no devices: the time to stop is that of the vCPUs, the state is a few numbers each.
 */
import { type IterationEnd, iterate } from '../../../core/migration/precopy.ts'
import { drivenPrecopy } from '../../../core/migration/precopy_drive.ts'
import type { PrepagingPolicy } from '../../../core/migration/prepaging/policy.ts'
import { makePolicy, parsePrepaging } from '../../../core/migration/prepaging/registry.ts'
import { StreamMessage } from '../../../core/migration/ram_stream.ts'
import { RateWindow } from '../../../core/migration/rate_window.ts'
import { Rates } from '../../../core/migration/rates.ts'
import { Userfaultfd } from '../sys/userfaultfd.ts'
import type { Area } from './area.ts'
import type { Board } from './board.ts'
import { nowNs, RealClock, runInRealTime } from './clock.ts'
import { connect, cutConnection } from './connection.ts'
import type { Control } from './control.ts'
import type { EventLog } from './event_log.ts'
import { putU64, VCPU_STATE_BYTES } from './framing.ts'
import { Pacer } from './pacer.ts'
import { RamSave } from './ram_save.ts'
import { RecordWriter } from './record_writer.ts'
import type { ThreadSetup } from './setup.ts'

/** Pages that a policy is asked for at a time, and that a request may have to wait behind. */
const RUN_PAGES = 32
/** A destination that does not take the connection within this is none. */
const CONNECT_NS = 5e9

export class MigrationThread {
  readonly #setup: ThreadSetup
  readonly #board: Board
  readonly #control: Control
  readonly #events: EventLog
  readonly #ram: RamSave
  readonly #urgentWriter: RecordWriter
  readonly #uffd: Userfaultfd | null
  readonly #clock = new RealClock()
  readonly #policy: PrepagingPolicy
  readonly #rates: Rates
  readonly #pushWindow: RateWindow
  #recoveriesUsed = 0

  constructor(setup: ThreadSetup, area: Area, board: Board, control: Control) {
    const { options } = setup
    this.#setup = setup
    this.#board = board
    this.#control = control
    this.#events = board.eventsOf('migration')
    this.#uffd = setup.uffd >= 0 ? Userfaultfd.of(setup.uffd) : null
    this.#urgentWriter = new RecordWriter(() => !control.is('exit') && !control.is('broken'))
    this.#ram = new RamSave({
      area,
      board,
      control,
      pacer: new Pacer(setup.bandwidthBytesPerSec, control, setup.control.pace),
      events: this.#events,
      shares: options.capabilities['postcopy-preempt'],
      figures: { bytes: 'sentBytes', normal: 'normal', duplicate: 'duplicate' },
      plantedFault: setup.plantedFault,
    })
    const prepaging = parsePrepaging(options.prepaging)
    const policy = prepaging.ok ? makePolicy(prepaging.choice) : null
    if (policy === null) throw new Error(`there is no prepaging ${options.prepaging} here`)
    this.#policy = policy
    this.#rates = new Rates({
      put: () => this.#ram.bytesSent,
      // What waits in a local socket is less than the destination takes between two looks.
      queued: () => 0,
      downtimeLimitNs: options.downtimeLimitNs,
      fixedNs: () => this.#ram.syncNs,
      availSwitchoverBandwidth: options.parameters['avail-switchover-bandwidth'],
      maxBandwidth: options.parameters['max-bandwidth'],
    })
    this.#pushWindow = new RateWindow(options.parameters['max-postcopy-bandwidth'])
  }

  /** The thread's life. */
  run(): void {
    const control = this.#control
    while (!control.is('migrating') && !control.is('exit')) control.wait('migrating', 0, 1000)
    if (!control.is('exit')) this.#migrate()
  }

  #migrate(): void {
    const board = this.#board
    const precopies = this.#setup.options.mode !== 'postcopy'
    // 1.
    board.set('startNs', nowNs())
    this.#board.enter('setup', this.#events)
    if (!this.#connect()) {
      this.#abandon()
      return
    }
    if (precopies && this.#uffd !== null) this.#ram.start(this.#uffd)
    this.#ram.fill()
    board.set('setupNs', nowNs() - board.get('startNs'))
    this.#board.enter('active', this.#events)
    // 2.
    const end = precopies ? this.#precopy() : 'postcopy'
    board.set('precopyBytes', this.#ram.bytesSent)
    if (end === 'completion') {
      this.#complete()
      return
    }
    // 4.
    if (end === 'cancel' || end === 'broken' || !this.#switchOver()) {
      this.#abandon()
      return
    }
    // 5. and 6.
    while (!(this.#pushAll() && this.#finish())) if (!this.#pause()) return
  }

  /** 1. False: nobody takes it, or it is not wanted any more. */
  #connect(): boolean {
    if (!connect(this.#setup, this.#control, CONNECT_NS)) return false
    this.#ram.isBroken = false
    return true
  }

  get #isCancelled(): boolean {
    return this.#control.is('cancelled')
  }

  get #isBroken(): boolean {
    return this.#ram.isBroken || this.#control.is('broken')
  }

  /** 2. */
  #precopy(): IterationEnd {
    const drive = {
      rates: this.#rates,
      onIteration: () => this.#board.set('remaining', this.#ram.pending),
      asked: () => this.#asked(),
      syncEveryNs: Number.POSITIVE_INFINITY,
    }
    const driven = { ram: this.#ram, state: this.#ram, hostPages: 1, isBroken: () => this.#isBroken }
    const proc = iterate(this.#clock, drivenPrecopy(this.#clock, drive, driven))
    return runInRealTime(this.#clock, proc)
  }

  /** What else is wanted than going on with pre-copy. */
  #asked(): 'postcopy' | 'cancel' | 'broken' | null {
    const { mode, postcopyAfter } = this.#setup.options
    const board = this.#board
    if (this.#isCancelled || this.#control.is('exit')) return 'cancel'
    if (this.#isBroken) return 'broken'
    if (mode !== 'hybrid') return null
    const isTime =
      'passes' in postcopyAfter
        ? board.get('dirtySyncCount') > postcopyAfter.passes
        : nowNs() - board.get('startNs') >= postcopyAfter.ns
    return isTime ? 'postcopy' : null
  }

  /** 3. @qemu migration_completion_precopy */
  #complete(): void {
    const board = this.#board
    const ram = this.#ram
    this.#stopVcpus()
    const before = ram.bytesSent
    if (!this.#isCancelled) {
      this.#board.enter('device', this.#events)
      ram.sync(this.#clock)
      while (ram.pending > 0 && !this.#isBroken) ram.sendNext(ram.pending)
      this.#sendState(StreamMessage.Devices)
      board.set('downtimeBytes', ram.bytesSent - before)
      if (this.#finish()) return
    }
    // 7.
    this.#abandon()
  }

  /** 4. False: the guest goes on here. @qemu postcopy_start */
  #switchOver(): boolean {
    const board = this.#board
    const ram = this.#ram
    const control = this.#control
    this.#stopVcpus()
    if (this.#isCancelled) return false
    this.#board.enter('device', this.#events)
    const before = ram.bytesSent
    if (this.#setup.options.mode !== 'postcopy') {
      ram.sync(this.#clock)
      this.#discard()
      ram.writer.message(StreamMessage.Listen, 0)
      ram.flush()
    }
    if (this.#isBroken) return false
    for (let page = 0; page < control.sent.length; page++) control.sent[page] = ram.dirty.has(page) ? 0 : 1
    control.set('postcopy', 1)
    this.#sendState(StreamMessage.Packaged)
    board.set('downtimeBytes', ram.bytesSent - before)
    // It may have arrived, whatever became of the connection.
    if (this.#isBroken && board.takeGuest('source')) return false
    this.#board.enter('postcopy-active', this.#events)
    return true
  }

  #stopVcpus(): void {
    const control = this.#control
    this.#board.set('downtimeStartNs', nowNs())
    control.set('run', 0)
    const { vcpus } = this.#setup.shape
    for (let standing = control.get('standing'); standing < vcpus; standing = control.get('standing'))
      control.wait('standing', standing, 10)
  }

  #startVcpus(): void {
    this.#control.set('run', 1)
    this.#board.set('downtimeEndNs', nowNs())
  }

  /** Where each vCPU is in its workload, behind whatever the stream has. */
  #sendState(type: number): void {
    const { vcpus } = this.#setup.shape
    const { places } = this.#control
    this.#ram.writer.message(type, vcpus * VCPU_STATE_BYTES, (view, at) => {
      for (let i = 0; i < 2 * vcpus; i++) view.setFloat64(at + 8 * i, places[i] as number, true)
    })
    this.#ram.flush()
  }

  /** What pre-copy sent of dirty pages is old. @qemu ram_postcopy_send_discard_bitmap */
  #discard(): void {
    const { dirty, writer } = this.#ram
    let records = 0
    for (let first = dirty.nextSet(0); first >= 0; ) {
      const count = dirty.run(first, dirty.length)
      writer.message(StreamMessage.Discard, first, (view, at) => {
        putU64(view, at, count)
        putU64(view, at + 8, 0)
      })
      if (++records % 128 === 0) this.#ram.flush()
      first = dirty.nextSet(first + count)
    }
    this.#ram.flush()
  }

  /** 5. False: the connection broke. */
  #pushAll(): boolean {
    const control = this.#control
    const ram = this.#ram
    const policy = this.#policy
    const before = this.#board.get('postcopyBytes') - ram.bytesSent
    while (ram.pending > 0 && !this.#isBroken && !control.is('exit')) {
      if (ram.pending > 0 && this.#sendRequested()) continue
      const seen = control.get('requested')
      const first = policy.next(ram.dirty, RUN_PAGES)
      if (first < 0) this.#waitForRequest(seen)
      else if (this.#mayPush(seen)) ram.sendRun(first, policy.count)
      this.#board.set('remaining', ram.pending)
      this.#board.set('postcopyBytes', before + ram.bytesSent)
    }
    if (this.#isBroken || control.is('exit')) return false
    this.#sayEnd()
    return true
  }

  /** Sends what was asked for and was not sent yet; false: nothing of the kind. */
  #sendRequested(): boolean {
    const control = this.#control
    const { requests } = control
    const ram = this.#ram
    let sent = 0
    for (let at = control.get('looked'); at < control.get('requested'); at++) {
      control.set('looked', at + 1)
      const page = requests[at & (requests.length - 1)] as number
      if (!ram.dirty.has(page)) continue
      this.#policy.requested(page)
      ram.sendPage(page)
      sent++
    }
    return sent > 0
  }

  /** Nothing is pushed unasked: the guest asks for what it wants. With an urgent channel, the other thread has sent that. */
  #waitForRequest(seen: number): void {
    this.#board.add('idleLooks', 1)
    this.#control.wait('requested', seen, 50)
    this.#ram.forgetSent()
  }

  /** max-postcopy-bandwidth; false: not now, or something was asked for. @qemu migration_rate_limit */
  #mayPush(seen: number): boolean {
    const window = this.#pushWindow
    if (!window.isLimited) return true
    const { bytesSent } = this.#ram
    if (nowNs() >= window.endNs) window.start(nowNs(), bytesSent)
    if (window.left(bytesSent) > 0) return true
    this.#control.wait('requested', seen, (window.endNs - nowNs()) / 1e6)
    return false
  }

  /** Every page was sent: the end of each channel. */
  #sayEnd(): void {
    const control = this.#control
    const ram = this.#ram
    ram.writer.message(StreamMessage.End, 0)
    ram.flush()
    if (this.#setup.options.capabilities['postcopy-preempt']) {
      // All pages are taken, and whoever sent the last holds the channel until it is out.
      control.exclusively('urgentBusy', () => {
        this.#urgentWriter.message(StreamMessage.End, 0)
        this.#urgentWriter.flush(control.get('urgent'))
      })
    }
  }

  /** 6. False: the connection broke. */
  #finish(): boolean {
    const control = this.#control
    while (!control.is('shut') && !this.#isBroken && !control.is('exit')) control.wait('shut', 0, 5)
    if (!control.is('shut')) return false
    this.#end(control.get('shut') === 1 ? 'completed' : 'failed')
    return true
  }

  /** 7. False: nobody wants it any more. @qemu postcopy_pause, postcopy_do_resume */
  #pause(): boolean {
    const control = this.#control
    // The hand-over never arrived.
    if (this.#board.takeGuest('source')) {
      this.#abandon()
      return false
    }
    for (;;) {
      cutConnection(control)
      this.#board.enter('postcopy-paused', this.#events)
      while (control.get('recoveries') === this.#recoveriesUsed && !control.is('exit')) {
        control.wait('recoveries', this.#recoveriesUsed, 100)
      }
      if (control.is('exit')) return false
      this.#recoveriesUsed = control.get('recoveries')
      this.#board.enter('postcopy-recover-setup', this.#events)
      if (!this.#connect()) continue
      this.#board.enter('postcopy-recover', this.#events)
      if (!this.#resume()) continue
      this.#board.enter('postcopy-active', this.#events)
      return true
    }
  }

  /** What has not come is dirty again. */
  #resume(): boolean {
    const control = this.#control
    const ram = this.#ram
    ram.writer.message(StreamMessage.RecvBitmap, 0)
    ram.flush()
    if (!this.#untilSaid('reloaded')) return false
    for (let page = 0; page < control.received.length; page++) {
      if (control.received[page] !== 0) ram.dirty.clear(page)
      else ram.dirty.set(page)
      control.sent[page] = control.received[page] as number
    }
    ram.writer.message(StreamMessage.Resume, 0)
    ram.flush()
    return this.#untilSaid('resumed')
  }

  #untilSaid(what: 'reloaded' | 'resumed'): boolean {
    const control = this.#control
    const connection = control.get('connection')
    while (control.get(what) !== connection && !this.#isBroken && !control.is('exit')) control.wait(what, control.get(what), 5)
    return control.get(what) === connection
  }

  /** 7., before the hand-over: the guest goes on here; or it is the destination's, and has everything it needs. */
  #abandon(): void {
    const board = this.#board
    const wasStopped = board.get('downtimeStartNs') > 0
    cutConnection(this.#control)
    if (wasStopped && !board.takeGuest('source')) {
      this.#end('completed')
      return
    }
    if (this.#uffd !== null && this.#setup.options.mode !== 'postcopy') this.#ram.stop(this.#uffd)
    if (wasStopped) this.#startVcpus()
    const isCancelled = this.#isCancelled && (board.status === 'setup' || board.status === 'active')
    if (isCancelled) this.#board.enter('cancelling', this.#events)
    this.#end(isCancelled ? 'cancelled' : 'failed')
  }

  #end(status: 'completed' | 'failed' | 'cancelled'): void {
    this.#board.set('remaining', this.#ram.pending)
    this.#board.set('endNs', nowNs())
    this.#board.enter(status, this.#events)
  }
}
