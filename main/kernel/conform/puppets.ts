/**
 * Puppets: processes and threads that do one system call or one touch of memory at a time, as they are told.
 *
 * 1. A first process, the nursery, is started from an executable in memory (puppet_code.ts). It only forks.
 * 2. A fresh process forked from it has two or three mappings and one thread. Its threads and children are its own affair: they are
 *    made by the puppet's own clone, each with a slot of its own, and what they are told stands in that slot.
 * 3. Whoever gave orders looks at the slots; `wait` sleeps until any puppet is through with something.
 * 4. `endAll` kills every process but the nursery. Should this program end, however that happens, the kernel kills
 *    the nursery, and with it all others: each asked for it (PR_SET_PDEATHSIG).
 *
 * Source: man 2 clone, futex, memfd_create, prctl, sigaction (SIGCHLD ignored)
 */
import { spawn } from 'node:child_process'
import { closeSync, ftruncateSync, readFileSync, writeSync } from 'node:fs'
import { Arena } from '../sys/arena.ts'
import { NotPermitted } from '../sys/errors.ts'
import { checked, libc } from '../sys/libc.ts'
import { Mapping } from '../sys/mapping.ts'
import { Timespec } from '../sys/uapi.ts'
import { Patience } from './patience.ts'
import { puppetExecutable } from './puppet_code.ts'
import { type Answer, CONTROL_BYTES, Header, type Order, SLOTS, Slot } from './slot.ts'

const MFD_CLOEXEC = 1
const FUTEX_WAIT = 0
const FUTEX_WAKE = 1
const NURSERY_SLOT = 0
const SIGCHLD = 17
const SIG_IGN = 1n
const SIGSET_BYTES = 8
const NR_RT_SIGACTION = 13
/** A thread that shares all with its process. */
const CLONE_THREAD = 0x100 + 0x200 + 0x400 + 0x800 + 0x10000 + 0x40000
/** A child whose parent is its maker's parent: the nursery, who reaps it and with whom it ends. */
const CLONE_PARENT = 0x8000
const START_MS = 5000
/** How long a child may live before it is heard of, where the kernel keeps no list of children. */
const BIRTH_MS = 20

/** Null: this host's processors understand them. Else what is missing. */
export function whyNoPuppets(arch: string = process.arch): string | null {
  return arch === 'x64'
    ? null
    : `on a kernel cases are run by x86-64 machine code, and this is ${arch}; use such a machine, or --on model`
}

/** A thread of a puppet process. */
export interface Puppet {
  readonly slot: Slot
  /** The id of its process. */
  readonly pid: number
}

export class Puppets {
  readonly header: Header
  readonly #memory: Mapping
  readonly #arena = new Arena(4096)
  readonly #timeout = this.#arena.place(Timespec)
  readonly nursery: Puppet
  readonly #slots: Slot[] = []
  #used = NURSERY_SLOT + 1
  /** Processes that live, but for the nursery. */
  readonly #processes = new Set<number>()
  /** Slots for children of puppets, of which nobody may have heard yet. */
  readonly #forkSlots: Slot[] = []
  #endedAt = 0
  /** The nursery is gone, and nobody is left. */
  hasEnded = false
  readonly #end: () => void

  /** Throws NotPermitted where there can be none. Only where whyNoPuppets says nothing. */
  constructor() {
    const control = memfd('pageferry-puppets')
    const code = memfd('pageferry-puppet')
    ftruncateSync(control, CONTROL_BYTES)
    writeSync(code, puppetExecutable())
    this.#memory = Mapping.shared(control, CONTROL_BYTES)
    this.header = new Header(this.#memory.buffer)
    for (let i = 0; i < SLOTS; i++) this.#slots.push(new Slot(this.#memory.buffer, i))
    // A group of its own: a Ctrl-C in the terminal is for this program, which then ends the nursery.
    const child = spawn(`/proc/${process.pid}/fd/${code}`, [], {
      stdio: ['ignore', 'ignore', 'ignore', control],
      env: {},
      detached: true,
    })
    // What is wrong is seen below: there is no process id, or no sign of life.
    child.on('error', () => undefined)
    child.on('exit', () => {
      this.hasEnded = true
    })
    child.unref()
    closeSync(control)
    this.#end = () => void child.kill('SIGKILL')
    const slot = this.#slot(NURSERY_SLOT)
    const isAlive = child.pid !== undefined && this.#until(() => slot.tid !== 0, START_MS)
    closeSync(code)
    if (!isAlive || child.pid === undefined) {
      this.close()
      throw new NotPermitted('a program in memory (memfd_create) may not be executed here; see sysctl vm.memfd_noexec')
    }
    this.nursery = { slot, pid: child.pid }
    // Children that end are reaped by the kernel.
    slot.room.setBigUint64(0, SIG_IGN, true)
    this.#ask(this.nursery, { what: 'call', number: NR_RT_SIGACTION, arguments: [SIGCHLD, slot.roomAddress, 0, SIGSET_BYTES] })
  }

  #slot(index: number): Slot {
    const slot = this.#slots[index]
    if (slot === undefined) throw new Error(`more than ${SLOTS - 1} threads in one case`)
    return slot
  }

  /** A slot that nobody has. It is free again when all have ended. */
  freshSlot(): Slot {
    const slot = this.#slot(this.#used++)
    slot.clear()
    return slot
  }

  /** The order to the nursery that makes a fresh process with one thread; its answer is a process id, to be told to `adopt`. */
  orderProcess(slot: Slot): Order {
    return { what: 'clone', arguments: [SIGCHLD, slot.address] }
  }

  /** The order that makes a thread of a puppet's process in `slot`; its answer is a thread id. */
  orderThread(slot: Slot): Order {
    return { what: 'clone', arguments: [CLONE_THREAD, slot.address] }
  }

  /** The order that makes a puppet fork into `slot`; its answer is a process id, to be told to `adopt`. */
  orderFork(slot: Slot): Order {
    this.#forkSlots.push(slot)
    return { what: 'clone', arguments: [CLONE_PARENT + SIGCHLD, slot.address] }
  }

  adopt(slot: Slot, pid: number): Puppet {
    this.#processes.add(pid)
    return { slot, pid }
  }

  tell({ slot }: Puppet, order: Order): void {
    slot.give(order)
    libc().futex(this.#addressOf(slot), FUTEX_WAKE, 1, 0)
  }

  /** Sleeps until a puppet has answered since `notify` was seen, or for so long. */
  wait(notify: number, milliseconds: number): void {
    this.#timeout.set('nanoseconds', milliseconds * 1e6)
    libc().futex(this.#memory.address, FUTEX_WAIT, notify, this.#timeout.address)
  }

  #addressOf(slot: Slot): number {
    return this.#memory.address + slot.offset
  }

  /** For what cannot sleep. Throws where it does. */
  #ask(puppet: Puppet, order: Order): Answer {
    this.tell(puppet, order)
    if (!this.#until(() => puppet.slot.isDone, START_MS)) throw new Error(`process ${puppet.pid} does not answer`)
    return puppet.slot.answer
  }

  #until(isSo: () => boolean, milliseconds: number): boolean {
    const patience = new Patience(milliseconds)
    for (;;) {
      const seen = this.header.notify
      if (isSo()) return true
      if (patience.isOver()) return false
      this.wait(seen, 1)
    }
  }

  /** Kills all processes but the nursery, whatever they do; they are gone when `areGone` says so. */
  endAll(): void {
    for (const pid of this.#processes) kill(pid)
    this.#endedAt = performance.now()
  }

  /** Nobody but the nursery is left, and all slots are free again. */
  areGone(): boolean {
    for (const { tid } of this.#forkSlots) {
      // Forked by one whose fork nobody saw the end of.
      if (tid === 0 || this.#processes.has(tid)) continue
      kill(tid)
      this.#processes.add(tid)
    }
    for (const pid of this.#processes) if (lives(pid)) return false
    // A child that was made in its parent's last moment has yet to be heard of, and would wait in a slot that is somebody else's by then.
    const strays = childrenOf(this.nursery.pid)
    for (const pid of strays ?? []) kill(pid)
    if (strays !== null && strays.length > 0) return false
    if (strays === null && this.#forkSlots.some(({ tid }) => tid === 0) && performance.now() - this.#endedAt < BIRTH_MS)
      return false
    this.#processes.clear()
    this.#forkSlots.length = 0
    this.#used = NURSERY_SLOT + 1
    return true
  }

  /** Ends the nursery and with it all others. */
  close(): void {
    this.#end()
    this.#memory.unmap()
    this.#arena.free()
  }
}

/** Null where the kernel keeps no such list (CONFIG_PROC_CHILDREN). */
function childrenOf(pid: number): readonly number[] | null {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return null
  }
}

function kill(pid: number): void {
  if (lives(pid)) process.kill(pid, 'SIGKILL')
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function memfd(name: string): number {
  return checked(libc().memfdCreate(name, MFD_CLOEXEC), 'memfd_create')
}

/** How a thread stands, as /proc tells it: its state and how often it was switched away from; null when there is none. */
export function threadState({ pid, slot }: Puppet): { readonly state: string; readonly switches: number } | null {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/task/${slot.tid}/status`, 'latin1')
  } catch {
    return null
  }
  const state = /^State:\s+(\w)/m.exec(text)?.[1] ?? '?'
  const switches = [...text.matchAll(/ctxt_switches:\s+(\d+)/g)].reduce((sum, found) => sum + Number(found[1]), 0)
  return { state, switches }
}
