/**
 * One load or store of user code at a byte address, with the signal it may end in; and reads of another's memory.
 *
 * A page's content is two words (hw/phys_mem.ts): an address in the first half of a page reaches the first, any other the
 * last. Pairs with process.ts, which throws where this answers.
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { ERRNO } from '../mm/errno.ts'
import { getUserPage } from '../mm/gup.ts'
import { WINDOW_BASE } from '../mm/mm.ts'
import { type Process, SignalError } from './process.ts'

export interface AccessOutcome {
  /** What the thread got instead of its data, or null. */
  readonly signal: 'SIGSEGV' | 'SIGBUS' | 'SIGKILL' | null
  /** si_code: SIGSEGV 1 nothing mapped, 2 no right; SIGBUS 2. 0 without a signal. */
  readonly code: number
  /** si_addr. */
  readonly address: number
  /** The word that was loaded or stored. */
  readonly value: number
}

const SEGV_MAPERR = 1
const SEGV_ACCERR = 2
const BUS_ADRERR = 2

/** Loads the word at `address`. */
export function load(k: Thread, process: Process, address: number): Proc<AccessOutcome> {
  return access(k, process, address, null)
}

/** Stores a word at `address`. */
export function store(k: Thread, process: Process, address: number, value: number): Proc<AccessOutcome> {
  return access(k, process, address, value)
}

function* access(k: Thread, process: Process, address: number, value: number | null): Proc<AccessOutcome> {
  const { mm, machine } = process
  const page = Math.floor((address - WINDOW_BASE) / 4096)
  const offset = address - WINDOW_BASE - page * 4096
  const none = { code: 0, address, value: 0 }
  if (page < 0 || page >= mm.windowPages) return { ...none, signal: 'SIGSEGV', code: SEGV_MAPERR }
  try {
    const pfn = yield* process.touch(k, page, value !== null, offset)
    const { phys } = machine.kernel
    touch(pfn, 'page.content', value === null ? AccessMode.read : AccessMode.write)
    const word = pfn * 2 + (offset < 2048 ? 0 : 1)
    if (value === null) return { ...none, signal: null, value: phys.words[word] }
    phys.words[word] = value
    phys.version[pfn]++
    return { ...none, signal: null, value }
  } catch (e) {
    if (!(e instanceof SignalError)) throw e
    if (e.signal === 'sigbus') return { ...none, signal: 'SIGBUS', code: BUS_ADRERR }
    if (e.signal !== 'sigsegv') return { ...none, signal: 'SIGKILL' }
    const mapped = mm.tree.walk(page)?.contains(page) === true
    return { ...none, signal: 'SIGSEGV', code: mapped ? SEGV_ACCERR : SEGV_MAPERR }
  }
}

/** process_vm_readv(2) of one range: bytes, or EFAULT if not even the first could be read. @kernel process_vm_rw */
export function* processVmReadv(k: Thread, target: Process, address: number, length: number): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  let at = address
  while (at < address + length) {
    const page = Math.floor((at - WINDOW_BASE) / 4096)
    if ((yield* getUserPage(k, target.mm, page, false)) < ZERO_PFN) return at > address ? at - address : ERRNO.EFAULT
    at = Math.min(address + length, WINDOW_BASE + (page + 1) * 4096)
  }
  return length
}
