/**
 * The numbers of the userfaultfd ABI, as include/uapi/linux/userfaultfd.h of 6.18 has them. They are written out here a second
 * time: user code is compiled with them, so that none may ever change. Section 2.2 and 2.3 of the kernel's rules.
 */
import { describe, expect, it } from 'vitest'
import * as abi from '../../core/mm/uffd_abi.ts'

const { UFFD_API_FEATURES, UFFD_FEATURE, UFFDIO, ioctlMask } = abi

describe('features', () => {
  it('are bits 0 to 16 in the order of the header, one each', () => {
    expect(Object.entries(UFFD_FEATURE).map(([name, bit]) => [Math.log2(bit), name])).toEqual([
      [0, 'PAGEFAULT_FLAG_WP'],
      [1, 'EVENT_FORK'],
      [2, 'EVENT_REMAP'],
      [3, 'EVENT_REMOVE'],
      [4, 'MISSING_HUGETLBFS'],
      [5, 'MISSING_SHMEM'],
      [6, 'EVENT_UNMAP'],
      [7, 'SIGBUS'],
      [8, 'THREAD_ID'],
      [9, 'MINOR_HUGETLBFS'],
      [10, 'MINOR_SHMEM'],
      [11, 'EXACT_ADDRESS'],
      [12, 'WP_HUGETLBFS_SHMEM'],
      [13, 'WP_UNPOPULATED'],
      [14, 'POISON'],
      [15, 'WP_ASYNC'],
      [16, 'MOVE'],
    ])
  })

  it('together are what the handshake reports, 0x1ffff', () => {
    expect(Object.values(UFFD_FEATURE).reduce((mask, bit) => mask | bit, 0)).toBe(UFFD_API_FEATURES)
    expect(UFFD_API_FEATURES).toBe(0x1ffff)
  })
})

describe('ioctls', () => {
  it('have the numbers of the header; the API has the last', () => {
    expect(UFFDIO).toEqual({
      REGISTER: 0,
      UNREGISTER: 1,
      WAKE: 2,
      COPY: 3,
      ZEROPAGE: 4,
      MOVE: 5,
      WRITEPROTECT: 6,
      CONTINUE: 7,
      POISON: 8,
      API: 0x3f,
    })
  })

  it('make masks: 0x13c for missing anonymous pages, 0x17c with write protection, bits 0, 1 and 63 for the handshake', () => {
    const missing = [UFFDIO.WAKE, UFFDIO.COPY, UFFDIO.ZEROPAGE, UFFDIO.MOVE, UFFDIO.POISON]
    expect(ioctlMask(missing)).toBe(0x13cn)
    expect(ioctlMask([...missing, UFFDIO.WRITEPROTECT])).toBe(0x17cn)
    expect(ioctlMask([UFFDIO.REGISTER, UFFDIO.UNREGISTER, UFFDIO.API])).toBe(0x8000_0000_0000_0003n)
  })

  it('each set one bit of 64, exactly, also above bit 31 and bit 52; none set none, twice is once', () => {
    for (let bit = 0; bit < 64; bit++) {
      const mask = ioctlMask([bit])
      expect(mask.toString(2)).toBe(`1${'0'.repeat(bit)}`)
      expect(BigInt.asUintN(64, mask)).toBe(mask)
      expect(ioctlMask([bit, bit])).toBe(mask)
    }
    expect(ioctlMask([])).toBe(0n)
    expect(ioctlMask(Array.from({ length: 64 }, (_, bit) => bit))).toBe(2n ** 64n - 1n)
  })
})

const VALUES: ReadonlyMap<string, unknown> = new Map(Object.entries(abi))

/** Names that share a field: their values may not meet. */
const FIELDS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'the mode of REGISTER': { UFFDIO_REGISTER_MODE_MISSING: 1, UFFDIO_REGISTER_MODE_WP: 2, UFFDIO_REGISTER_MODE_MINOR: 4 },
  'the mode of COPY': { UFFDIO_COPY_MODE_DONTWAKE: 1, UFFDIO_COPY_MODE_WP: 2 },
  'the mode of ZEROPAGE': { UFFDIO_ZEROPAGE_MODE_DONTWAKE: 1 },
  'the mode of WRITEPROTECT': { UFFDIO_WRITEPROTECT_MODE_WP: 1, UFFDIO_WRITEPROTECT_MODE_DONTWAKE: 2 },
  'the mode of CONTINUE': { UFFDIO_CONTINUE_MODE_DONTWAKE: 1, UFFDIO_CONTINUE_MODE_WP: 2 },
  'the mode of POISON': { UFFDIO_POISON_MODE_DONTWAKE: 1 },
  'the mode of MOVE': { UFFDIO_MOVE_MODE_DONTWAKE: 1, UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES: 2 },
  'the flags of userfaultfd(2)': { UFFD_USER_MODE_ONLY: 1, O_NONBLOCK: 0x800, O_CLOEXEC: 0x80000 },
  'the flags of a fault': { UFFD_PAGEFAULT_FLAG_WRITE: 1, UFFD_PAGEFAULT_FLAG_WP: 2, UFFD_PAGEFAULT_FLAG_MINOR: 4 },
  'the events of poll(2)': { POLLIN: 1, POLLERR: 8 },
}

describe('fields', () => {
  it.each(Object.entries(FIELDS))('%s: the values of the header, one bit each', (_field, values) => {
    for (const [name, value] of Object.entries(values)) expect(VALUES.get(name), name).toBe(value)
    const bits = Object.values(values)
    expect(bits.every((bit) => Number.isInteger(Math.log2(bit)))).toBe(true)
    expect(new Set(bits).size).toBe(bits.length)
  })

  it('every mode and flag of this ABI is in one of the fields above', () => {
    const listed = new Set(Object.values(FIELDS).flatMap((values) => Object.keys(values)))
    const flags = [...VALUES.keys()].filter((name) => /_MODE_|_FLAG_|^O_|^POLL/.test(name))
    expect(flags.filter((name) => !listed.has(name))).toEqual([])
  })
})

describe('messages', () => {
  it('have 32 bytes, and events count up from 0x12', () => {
    expect(abi.UFFD_MSG_BYTES).toBe(32)
    expect([
      abi.UFFD_EVENT_PAGEFAULT,
      abi.UFFD_EVENT_FORK,
      abi.UFFD_EVENT_REMAP,
      abi.UFFD_EVENT_REMOVE,
      abi.UFFD_EVENT_UNMAP,
    ]).toEqual([0x12, 0x13, 0x14, 0x15, 0x16])
  })

  it('the one API is 0xaa', () => {
    expect(abi.UFFD_API).toBe(0xaa)
  })
})
