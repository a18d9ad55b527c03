/**
 * The words of conformance cases: every call with its arguments, and the numbers of Linux behind the names.
 *
 * The reader checks a case against CALLS, so a slip of the pen is found before anything runs; whoever runs cases (the model
 * here, a real kernel elsewhere) takes the numbers from WORDS. Advice 18 and 19 have names of the 2014 series here and other
 * meanings on today's kernels, so they are marked: a case that uses them must be for the model only.
 *
 * Source: man 2 userfaultfd, ioctl_userfaultfd, madvise, mremap; include/uapi/linux/userfaultfd.h.
 */

type Words = Readonly<Record<string, number>>

export const PROT: Words = { NONE: 0, READ: 1, WRITE: 2 }
/** Rights of a region. */
export const REGION_PROT = { rw: PROT.READ + PROT.WRITE, r: PROT.READ, none: PROT.NONE } as const
export const MAP = { SHARED: 1, PRIVATE: 2, FIXED: 16, ANONYMOUS: 32 } as const satisfies Words
export const MREMAP: Words = { MAYMOVE: 1, FIXED: 2, DONTUNMAP: 4 }
export const MADV: Words = { DONTNEED: 4, FREE: 8, REMOVE: 9, DONTFORK: 10, DOFORK: 11, POPULATE_READ: 22, POPULATE_WRITE: 23 }
/** Of the 2014 series. Never sent to a real kernel. */
export const MADV_2014: Words = { USERFAULT: 18, NOUSERFAULT: 19 }
export const UFFD_OPEN = { USER_MODE_ONLY: 1, O_NONBLOCK: 0o4000, O_CLOEXEC: 0o2000000, BIT_1: 2 } as const satisfies Words
export const REGISTER_MODE: Words = { MISSING: 1, WP: 2, MINOR: 4, BIT_5: 32 }
export const COPY_MODE: Words = { DONTWAKE: 1, WP: 2, BIT_5: 32 }
export const WAKE_MODE: Words = { DONTWAKE: 1, BIT_5: 32 }
export const WRITEPROTECT_MODE: Words = { WP: 1, DONTWAKE: 2, BIT_5: 32 }
export const MOVE_MODE: Words = { DONTWAKE: 1, ALLOW_SRC_HOLES: 2, BIT_3: 8 }
export const REMAP_ANON_PAGES: Words = { ALLOW_SRC_HOLES: 1, BIT_5: 32 }
export const FAULT_FLAG: Words = { WRITE: 1, WP: 2, MINOR: 4 }

export const POLL = { POLLIN: 1, POLLERR: 8 } as const satisfies Words
export const EVENT = { PAGEFAULT: 0x12, FORK: 0x13, REMAP: 0x14, REMOVE: 0x15, UNMAP: 0x16 } as const

/** Bit numbers of UFFD_FEATURE_*; the binding to the host's kernel has them from here. */
export const UFFD_FEATURES = {
  PAGEFAULT_FLAG_WP: 0,
  EVENT_FORK: 1,
  EVENT_REMAP: 2,
  EVENT_REMOVE: 3,
  MISSING_HUGETLBFS: 4,
  MISSING_SHMEM: 5,
  EVENT_UNMAP: 6,
  SIGBUS: 7,
  THREAD_ID: 8,
  MINOR_HUGETLBFS: 9,
  MINOR_SHMEM: 10,
  EXACT_ADDRESS: 11,
  WP_HUGETLBFS_SHMEM: 12,
  WP_UNPOPULATED: 13,
  POISON: 14,
  WP_ASYNC: 15,
  MOVE: 16,
} as const satisfies Words
export const FEATURE_BITS: Words = { ...UFFD_FEATURES, BIT_63: 63 }
/** Bit numbers of the ioctls, as API and REGISTER answer them. */
export const IOCTL_BITS: Words = {
  REGISTER: 0,
  UNREGISTER: 1,
  WAKE: 2,
  COPY: 3,
  ZEROPAGE: 4,
  MOVE: 5,
  WRITEPROTECT: 6,
  CONTINUE: 7,
  POISON: 8,
  API: 63,
}

/** The result field that an ioctl writes bytes or an errno into. */
export const RESULT_FIELD: Readonly<Record<string, string>> = {
  uffdio_copy: 'copy',
  uffdio_zeropage: 'zeropage',
  uffdio_move: 'move',
  uffdio_poison: 'updated',
  uffdio_continue: 'mapped',
}

export type ArgumentKind = 'amount' | 'name' | 'flag' | 'words' | 'word'

export interface ArgumentSpec {
  readonly kind: ArgumentKind
  readonly optional?: true
  /** For 'word' and 'words'. */
  readonly words?: Words
  /** Words that only the model understands. */
  readonly modelWords?: Words
}

export interface CallSpec {
  readonly does: string
  readonly args: Readonly<Record<string, ArgumentSpec>>
  readonly only?: 'model'
}

const amount: ArgumentSpec = { kind: 'amount' }
const name: ArgumentSpec = { kind: 'name' }
const some = (words: Words): ArgumentSpec => ({ kind: 'words', words, optional: true })
const maybe: ArgumentSpec = { kind: 'amount', optional: true }
const range = { at: amount, length: amount }
const ioctlRange = { fd: name, start: amount, length: amount }
/** What the result field holds before the call. */
const field = maybe

export const CALLS = {
  // Memory, as user code touches it.
  load: { does: 'reads one byte', args: { at: amount } },
  store: { does: 'writes one byte', args: { at: amount, value: amount } },
  fill: { does: 'writes every byte of whole pages', args: { at: amount, pages: maybe, value: amount } },
  inspect: { does: 'reads every byte of one page: content is the one byte it is full of, or mixed', args: { at: amount } },
  spin: { does: 'fills one page again and again with rising bytes', args: { at: amount, times: amount } },
  await: { does: 'asks for the outcome of the call in which the actor is blocked', args: {} },

  // System calls.
  mmap: { does: 'maps anonymous memory', args: { at: maybe, length: amount, prot: some(PROT), flags: some(MAP) } },
  munmap: { does: 'munmap(2)', args: range },
  mprotect: { does: 'mprotect(2)', args: { ...range, prot: some(PROT) } },
  mremap: { does: 'mremap(2)', args: { ...range, newLength: amount, flags: some(MREMAP), to: maybe } },
  madvise: { does: 'madvise(2)', args: { ...range, advice: { kind: 'word', words: MADV, modelWords: MADV_2014 } } },
  mlock: { does: 'mlock(2) without populating (MLOCK_ONFAULT)', args: range },
  mincore: { does: 'mincore(2): field vec, one number a page', args: range },
  fork: { does: 'fork(2): the child is a new actor', args: { child: name } },
  exit: { does: "ends the actor's process", args: {} },
  write: { does: 'write(2) from memory into a pipe that has room', args: range },
  process_vm_readv: { does: 'process_vm_readv(2) of the own process', args: range },
  close: { does: 'close(2)', args: { fd: name } },

  // userfaultfd.
  userfaultfd: { does: 'userfaultfd(2)', args: { flags: some(UFFD_OPEN) } },
  uffdio_api: { does: 'UFFDIO_API', args: { fd: name, api: amount, features: some(FEATURE_BITS) } },
  uffdio_register: { does: 'UFFDIO_REGISTER', args: { ...ioctlRange, mode: some(REGISTER_MODE) } },
  uffdio_unregister: { does: 'UFFDIO_UNREGISTER', args: ioctlRange },
  uffdio_wake: { does: 'UFFDIO_WAKE', args: ioctlRange },
  uffdio_copy: {
    does: 'UFFDIO_COPY',
    args: { fd: name, dst: amount, src: amount, length: amount, mode: some(COPY_MODE), field },
  },
  uffdio_zeropage: { does: 'UFFDIO_ZEROPAGE', args: { ...ioctlRange, mode: some(WAKE_MODE), field } },
  uffdio_move: {
    does: 'UFFDIO_MOVE',
    args: { fd: name, dst: amount, src: amount, length: amount, mode: some(MOVE_MODE), field },
  },
  uffdio_poison: { does: 'UFFDIO_POISON', args: { ...ioctlRange, mode: some(WAKE_MODE), field } },
  uffdio_continue: { does: 'UFFDIO_CONTINUE', args: { ...ioctlRange, mode: some(COPY_MODE), field } },
  uffdio_writeprotect: { does: 'UFFDIO_WRITEPROTECT', args: { ...ioctlRange, mode: some(WRITEPROTECT_MODE) } },
  read: { does: 'read(2) of messages, 32 bytes each', args: { fd: name, size: amount } },
  poll: { does: 'poll(2) for POLLIN, at once: field revents', args: { fd: name } },

  // Observers.
  vmas: { does: 'how many areas (lines of /proc/self/maps) overlap the range', args: range },
  pagemap: { does: '/proc/self/pagemap: field present, one number a page; the frames can be bound', args: range },
  rss: { does: 'anonymous pages mapped in the process', args: {} },

  // What only the model has.
  remap_anon_pages: {
    does: 'remap_anon_pages of the 2013 and 2014 series',
    args: { dst: amount, src: amount, length: amount, flags: some(REMAP_ANON_PAGES) },
    only: 'model',
  },
  userfaultfd_2014: { does: 'userfaultfd of the 2014 series, handshake still to come', args: {}, only: 'model' },
  write_protocol: { does: 'write(2) of the 8 bytes of the 2014 handshake', args: { fd: name, number: amount }, only: 'model' },
  read_address: { does: 'read(2) of 8 bytes from a 2014 descriptor', args: { fd: name }, only: 'model' },
  write_range: {
    does: 'write(2) of 16 bytes to a 2014 descriptor',
    args: { fd: name, start: amount, end: amount },
    only: 'model',
  },
  swap_out: { does: 'reclaims one page into swap: field swapped', args: { at: amount }, only: 'model' },
  rmap: {
    does: 'fields index (pages from the start of the region named by `in`), own, mapcount, exclusive of the page behind an address',
    args: { at: amount, in: amount },
    only: 'model',
  },
} as const satisfies Readonly<Record<string, CallSpec>>

export type CallName = keyof typeof CALLS

export function isCall(word: string): word is CallName {
  return Object.hasOwn(CALLS, word)
}

export function callSpec(call: CallName): CallSpec {
  return CALLS[call]
}

/** The bits of a list of words; a word that is none is a bug, the reader has checked. */
export function bitsOf(list: readonly string[], words: Words): number {
  return list.reduce((bits, word) => bits + (words[word] ?? Number.NaN), 0)
}

/** The names of the bits of a mask, by bit numbers. */
export function bitNames(mask: bigint, table: Words): readonly string[] {
  return Object.keys(table).filter((name) => ((mask >> BigInt(table[name])) & 1n) === 1n)
}

/** The names of the bits of a mask, by their values. */
export function namesIn(bits: number, table: Words): readonly string[] {
  return Object.keys(table).filter((name) => (bits & table[name]) !== 0)
}
