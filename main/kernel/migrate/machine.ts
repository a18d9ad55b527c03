/**
 * One machine of a real migration: a process with the guest's memory, and a thread for everything in it that can sleep.
 *
 * The main thread takes orders from the coordinator and never touches guest memory while a page may be missing. It ends with the
 * coordinator, whatever ends that: by the channel that closes, and by a signal of the kernel's; at once, since a thread that sleeps on a
 * page cannot be asked. The board comes as descriptor 4, and what the guest's files hold as 5.
 */
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { NotPermitted } from '../sys/errors.ts'
import { Mapping } from '../sys/mapping.ts'
import { endWithParent } from '../sys/parent.ts'
import { listenAt, portOf } from '../sys/socket.ts'
import { Userfaultfd } from '../sys/userfaultfd.ts'
import { Area } from './area.ts'
import { Board, type Shape } from './board.ts'
import { compareAll } from './compare.ts'
import { cutConnection, endpointOf } from './connection.ts'
import { Control, newControl, type SharedControl } from './control.ts'
import { NO_GUEST, readGuest, type SharedGuest } from './guest_memfd.ts'
import type { MachineSetup, News, Order, ThreadRole, ThreadSetup, Usage } from './setup.ts'

const BOARD_FD = 4
const GUEST_FD = 5

/** The process's life. */
export function runMachine(): void {
  endWithParent()
  // Ctrl-C goes to the whole group; what it means is the coordinator's to say.
  process.on('SIGINT', () => undefined)
  let machine: Machine | null = null
  process.on('message', (order: Order) => {
    try {
      if (order.order === 'start') machine = new Machine(order.setup)
      else machine?.take(order)
    } catch (error) {
      say(error instanceof NotPermitted ? { news: 'refused', why: error.message } : { news: 'failed', why: sentenceOf(error) })
    }
  })
}

function say(news: News): void {
  process.send?.(news)
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

class Machine {
  readonly #setup: MachineSetup
  readonly #shape: Shape
  readonly #area: Area
  readonly #board: Board
  readonly #boardAddress: number
  readonly #guestAddress: number
  readonly #guest: SharedGuest
  readonly #shared: SharedControl
  readonly #control: Control
  readonly #uffd: Userfaultfd | null
  readonly #listener: number

  constructor(setup: MachineSetup) {
    const { options, side } = setup
    this.#setup = setup
    this.#shape = { pages: options.memBytes / 4096, vcpus: options.vcpus, keepsEvents: setup.keepsEvents }
    this.#uffd = openUffd(setup)
    const board = Mapping.shared(BOARD_FD, Board.bytes(this.#shape))
    this.#boardAddress = board.address
    this.#board = new Board(board.buffer, this.#shape)
    const files = setup.guest === null ? null : Mapping.shared(GUEST_FD, setup.guest.bytes)
    this.#guestAddress = files?.address ?? 0
    this.#guest = files === null || setup.guest === null ? NO_GUEST : readGuest(files.buffer, setup.guest)
    this.#area = Area.make(this.#shape.pages)
    this.#shared = newControl(this.#shape.pages, this.#shape.vcpus)
    this.#control = new Control(this.#shared)
    this.#control.set('standing', this.#shape.vcpus)
    this.#listener = side === 'destination' ? listenAt(endpointOf(setup, 0)) : -1
    for (let vcpu = 0; vcpu < this.#shape.vcpus; vcpu++) this.#startThread('vcpu', vcpu)
    const roles: ThreadRole[] = side === 'source' ? ['migration', 'return path'] : ['listen', 'fault']
    if (side === 'destination' && options.capabilities['postcopy-preempt']) roles.push('preempt')
    for (const role of roles) this.#startThread(role, 0)
    this.#untilStarted(this.#shape.vcpus + roles.length)
  }

  #untilStarted(threads: number): void {
    const timer = setInterval(() => {
      if (this.#control.get('threads') < threads) return
      clearInterval(timer)
      say({ news: 'ready', port: this.#listener >= 0 && this.#setup.wire === 'tcp' ? portOf(this.#listener) : 0 })
    }, 1)
  }

  #startThread(role: ThreadRole, index: number): void {
    const setup: ThreadSetup = {
      ...this.#setup,
      role,
      index,
      shape: this.#shape,
      control: this.#shared,
      boardAddress: this.#boardAddress,
      guestAddress: this.#guestAddress,
      areaAddress: this.#area.address,
      uffd: this.#uffd?.fd ?? -1,
      listener: this.#listener,
    }
    const worker = new Worker(fileURLToPath(new URL('kernel_machine.mjs', import.meta.url)), { workerData: setup })
    worker.on('error', (error) => say({ news: 'failed', why: `the ${role} thread: ${sentenceOf(error)}` }))
  }

  take(order: Exclude<Order, { order: 'start' }>): void {
    const control = this.#control
    switch (order.order) {
      case 'boot':
        control.set('mayBoot', 1)
        this.#whenBooted()
        return
      case 'run':
        control.set('run', 1)
        return
      case 'migrate':
        control.set('port', order.port)
        control.set('migrating', 1)
        return
      case 'cancel':
        control.set('cancelled', 1)
        return
      case 'link':
        control.set('linkDown', order.isDown ? 1 : 0)
        if (order.isDown) cutConnection(this.#control)
        return
      case 'recover':
        control.add('recoveries', 1)
        return
      case 'abandon':
        this.#abandon()
        return
      case 'finish':
        this.#finish(order.onlyReceived)
    }
  }

  #whenBooted(): void {
    const timer = setInterval(() => {
      if (this.#control.get('booted') < this.#shape.vcpus) return
      clearInterval(timer)
      say({ news: 'booted' })
    }, 1)
  }

  /** Those who sleep on a missing page wake on zeros, and see that they must not look at them. */
  #abandon(): void {
    const control = this.#control
    control.set('abandoned', 1)
    control.set('run', 0)
    control.set('exit', 1)
    control.set('armed', 0)
    cutConnection(this.#control)
    if (this.#setup.side === 'destination') this.#uffd?.unregister(this.#area.address, this.#area.ramBytes)
  }

  #finish(onlyReceived: boolean): void {
    const control = this.#control
    const timer = setInterval(() => {
      // Again each time: a migration that fails just now lets the vCPUs go on.
      control.set('run', 0)
      if (control.get('standing') < this.#shape.vcpus) return
      clearInterval(timer)
      control.set('exit', 1)
      const comparison = compareAll(this.#area, this.#board, onlyReceived, this.#guest.contentOf)
      say({ news: 'finished', comparison, usage: usage() })
    }, 1)
  }
}

/** Of a source, the one that tells what is written; of a destination, the one that tells what is missing. */
function openUffd({ side, options }: MachineSetup): Userfaultfd | null {
  if (side === 'source') return options.mode === 'postcopy' ? null : Userfaultfd.open(['WP_ASYNC', 'WP_UNPOPULATED'])
  return Userfaultfd.open(options.resolver === 'copy' ? [] : ['MOVE'])
}

function usage(): Usage {
  const { minorPageFault, majorPageFault, userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  return {
    minorFaults: minorPageFault,
    majorFaults: majorPageFault,
    userSeconds: userCPUTime / 1e6,
    systemSeconds: systemCPUTime / 1e6,
    peakRssBytes: maxRSS * 1024,
  }
}
