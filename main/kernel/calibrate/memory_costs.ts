/**
 * What one thread measures alone: faults, the calls of userfaultfd, madvise, mprotect and munmap, and what copying memory costs.
 *
 * Pages are placed in memory that is given back before each round, so each is placed anew; what MOVE moves is written anew. Calls are
 * made page by page and with BATCH pages a call. madvise, mprotect and munmap of one page are measured once more while another CPU is
 * busy in this address space: then they have to interrupt it.
 */
import { closeSync, openSync, statSync } from 'node:fs'
import { KernelError } from '../sys/errors.ts'
import { errnoName, isMapFailed, libc } from '../sys/libc.ts'
import { Mapping, PAGE_BYTES } from '../sys/mapping.ts'
import { HOLDS_SOMETHING, PagemapScanner } from '../sys/pagemap_scan.ts'
import { MADV, MAP, PROT, UFFDIO_REGISTER_MODE, UFFDIO_WRITEPROTECT_MODE } from '../sys/uapi.ts'
import { Userfaultfd } from '../sys/userfaultfd.ts'
import { besideSpinner, type Measurement, type Timer, timed } from './measurement.ts'

export const PAGES = 512
/** As many as one call places when much has come. */
export const BATCH = 64
const ROUNDS = 15
const BYTES = PAGES * PAGE_BYTES
/** Short rounds, so that in most of them nobody else takes the CPU of the thread beside. */
const SHORT_PAGES = 64
const SHORT_ROUNDS = 41
const COPIED_BYTES = 32 * 1024 * 1024

export const MEMORY_COSTS: readonly Measurement[] = [
  {
    name: 'ffi',
    what: 'a call of abs(): from here into C and back',
    unit: 'ns',
    calls: 0,
    rounds: ({ calls }) => {
      return timed(ROUNDS, 20_000, () => {
        for (let i = 0; i < 20_000; i++) calls.abs(i)
      })
    },
  },
  {
    name: 'syscall',
    what: 'getppid()',
    unit: 'ns',
    calls: 1,
    rounds: ({ calls }) => {
      return timed(ROUNDS, 10_000, () => {
        for (let i = 0; i < 10_000; i++) calls.getppid()
      })
    },
  },
  fault('readFault', 'first read of an anonymous page: the zero page is mapped', () => 0, false),
  fault('fault', 'first write to an anonymous page', () => 0, true),
  fault('zeroPageWrite', 'write to an anonymous page that was read before: out of the zero page', touchAll, true),
  { name: 'copyOnWrite', what: 'first write to a page of a private file mapping', unit: 'ns', calls: 0, rounds: copyOnWrite },
  placing('copy', 'UFFDIO_COPY', 1),
  placing('copyBatch', 'UFFDIO_COPY', BATCH),
  placing('move', 'UFFDIO_MOVE', 1),
  placing('moveBatch', 'UFFDIO_MOVE', BATCH),
  placing('zeropage', 'UFFDIO_ZEROPAGE', 1),
  placing('zeropageBatch', 'UFFDIO_ZEROPAGE', BATCH),
  protecting('writeprotect', 1),
  protecting('writeprotectBatch', BATCH),
  { name: 'pagemapScan', what: 'PAGEMAP_SCAN of a page', unit: 'ns', calls: 1, rounds: pagemapScan },
  ...aloneAndBeside('madvise', 'madvise(MADV_DONTNEED) of a page', madvise),
  ...aloneAndBeside('mprotect', 'mprotect of a page, to read only and back, and a store', mprotect),
  ...aloneAndBeside('munmap', 'munmap of a page', munmap),
  {
    name: 'clearPage',
    what: 'memset of 4 KiB, in 32 MiB',
    unit: 'ns',
    calls: 1,
    rounds: ({ calls }) => overMemory((_from, to) => calls.memset(to, 0, PAGE_BYTES)),
  },
  {
    name: 'copyPage',
    what: 'memcpy of 4 KiB, in 32 MiB',
    unit: 'ns',
    calls: 1,
    rounds: () => overMemory((from, to) => libc().memcpy(to, from, PAGE_BYTES)),
  },
  { name: 'memory', what: 'memcpy of 32 MiB: bytes copied', unit: 'bytes/s', calls: 1, rounds: bandwidth },
]

function touchAll(memory: Uint32Array): number {
  let sum = 0
  for (let i = 0; i < memory.length; i += PAGE_BYTES / 4) sum += memory[i] ?? 0
  return sum
}

function fault(name: string, what: string, before: (memory: Uint32Array) => number, writes: boolean): Measurement {
  const rounds = () => {
    const mapping = Mapping.anonymous(BYTES)
    const memory = new Uint32Array(mapping.buffer)
    const values = timed(
      ROUNDS,
      PAGES,
      () => {
        if (writes) for (let i = 0; i < memory.length; i += PAGE_BYTES / 4) memory[i] = 1
        else touchAll(memory)
      },
      () => {
        mapping.advise(MADV.dontNeed)
        before(memory)
      },
    )
    mapping.unmap()
    return values
  }
  return { name, what, unit: 'ns', calls: 0, rounds }
}

/** The program of Node itself is a file that is there, larger than this, and in the page cache. */
function copyOnWrite(): number[] {
  const file = openSync(process.execPath, 'r')
  const bytes = Math.min(BYTES, Math.floor(statSync(process.execPath).size / PAGE_BYTES) * PAGE_BYTES)
  const address = libc().mmap(0, bytes, PROT.read | PROT.write, MAP.private, file, 0)
  if (isMapFailed(address)) {
    const errno = libc().errno()
    throw new KernelError('mmap', errno, errnoName(errno))
  }
  closeSync(file)
  const mapping = Mapping.existing(address, bytes)
  const memory = new Uint32Array(mapping.buffer)
  const values = timed(
    ROUNDS,
    bytes / PAGE_BYTES,
    () => {
      for (let i = 0; i < memory.length; i += PAGE_BYTES / 4) memory[i] = 1
    },
    () => {
      mapping.advise(MADV.dontNeed)
      mapping.advise(MADV.populateRead)
    },
  )
  mapping.unmap()
  return values
}

function placing(name: string, call: 'UFFDIO_COPY' | 'UFFDIO_MOVE' | 'UFFDIO_ZEROPAGE', batch: number): Measurement {
  const rounds = () => {
    const uffd = Userfaultfd.open(call === 'UFFDIO_MOVE' ? ['MOVE'] : [])
    const from = Mapping.anonymous(BYTES, { populate: true })
    const to = Mapping.anonymous(BYTES)
    uffd.register(to.address, BYTES, UFFDIO_REGISTER_MODE.missing)
    const length = batch * PAGE_BYTES
    const place = (offset: number) => {
      if (call === 'UFFDIO_COPY') return uffd.copy(to.address + offset, from.address + offset, length)
      if (call === 'UFFDIO_MOVE') return uffd.move(to.address + offset, from.address + offset, length)
      return uffd.zeropage(to.address + offset, length)
    }
    const values = timed(
      ROUNDS,
      PAGES,
      () => {
        for (let offset = 0; offset < BYTES; offset += length) {
          const placed = place(offset)
          if (placed !== length) throw new Error(`${call} of ${length} bytes answered ${placed}`)
        }
      },
      () => {
        to.advise(MADV.dontNeed)
        from.advise(MADV.populateWrite)
      },
    )
    uffd.close()
    from.unmap()
    to.unmap()
    return values
  }
  const many = batch === 1 ? 'a page' : `a page, ${batch} by one call`
  return { name, what: `${call} of ${many}`, unit: 'ns', calls: 1 / batch, rounds }
}

/** Protecting alone: pages are unprotected in between, untimed. */
function protecting(name: string, batch: number): Measurement {
  const rounds = () => {
    const uffd = Userfaultfd.open(['PAGEFAULT_FLAG_WP'])
    const memory = Mapping.anonymous(BYTES, { populate: true })
    uffd.register(memory.address, BYTES, UFFDIO_REGISTER_MODE.wp)
    const length = batch * PAGE_BYTES
    const values = timed(
      ROUNDS,
      PAGES,
      () => {
        for (let offset = 0; offset < BYTES; offset += length)
          uffd.writeprotect(memory.address + offset, length, UFFDIO_WRITEPROTECT_MODE.wp)
      },
      () => uffd.writeprotect(memory.address, BYTES, 0),
    )
    uffd.close()
    memory.unmap()
    return values
  }
  const many = batch === 1 ? 'a page' : `a page, ${batch} by one call`
  return { name, what: `UFFDIO_WRITEPROTECT of ${many}`, unit: 'ns', calls: 1 / batch, rounds }
}

function pagemapScan(): number[] {
  const mapping = Mapping.anonymous(BYTES, { populate: true })
  const scanner = new PagemapScanner()
  let found = 0
  const values = timed(ROUNDS, PAGES, () => {
    for (let at = mapping.address; at < mapping.address + BYTES; at += PAGE_BYTES)
      scanner.each(at, at + PAGE_BYTES, HOLDS_SOMETHING, () => found++)
  })
  if (found !== ROUNDS * PAGES) throw new Error(`PAGEMAP_SCAN found ${found} of ${ROUNDS * PAGES} pages`)
  scanner.close()
  mapping.unmap()
  return values
}

function aloneAndBeside(name: string, what: string, rounds: (timer: Timer) => number[]): readonly Measurement[] {
  return [
    { name, what, unit: 'ns', calls: 1, rounds: () => rounds(timed) },
    {
      name: `${name}Shared`,
      what: `${what}, another CPU busy in the same mm`,
      unit: 'ns',
      calls: 1,
      rounds: (rig) => rounds(besideSpinner(rig)),
      needsTwoCpus: true,
    },
  ]
}

function madvise(timer: Timer): number[] {
  const mapping = Mapping.anonymous(SHORT_PAGES * PAGE_BYTES)
  const values = timer(
    SHORT_ROUNDS,
    SHORT_PAGES,
    () => {
      for (let at = mapping.address; at < mapping.address + mapping.length; at += PAGE_BYTES)
        libc().madvise(at, PAGE_BYTES, MADV.dontNeed)
    },
    () => mapping.advise(MADV.populateWrite),
  )
  mapping.unmap()
  return values
}

/** The whole area changes: a single page of it would be split off first. */
function mprotect(timer: Timer): number[] {
  const mapping = Mapping.anonymous(PAGE_BYTES, { populate: true })
  const memory = new Uint32Array(mapping.buffer)
  const values = timer(SHORT_ROUNDS, 2 * SHORT_PAGES, () => {
    for (let i = 0; i < SHORT_PAGES; i++) {
      libc().mprotect(mapping.address, PAGE_BYTES, PROT.read)
      libc().mprotect(mapping.address, PAGE_BYTES, PROT.read | PROT.write)
      memory[0] = i
    }
  })
  mapping.unmap()
  return values
}

/** From the start of an area on: each call makes it a page shorter, the last takes it away. */
function munmap(timer: Timer): number[] {
  let address = 0
  const bytes = SHORT_PAGES * PAGE_BYTES
  return timer(
    SHORT_ROUNDS,
    SHORT_PAGES,
    () => {
      for (let at = address; at < address + bytes; at += PAGE_BYTES) libc().munmap(at, PAGE_BYTES)
    },
    () => {
      address = Mapping.anonymous(bytes, { populate: true }).address
    },
  )
}

/** Page by page through memory that no cache of a core holds. */
function overMemory(work: (from: number, to: number) => number): number[] {
  const from = Mapping.anonymous(COPIED_BYTES, { populate: true })
  const to = Mapping.anonymous(COPIED_BYTES, { populate: true })
  const values = timed(5, COPIED_BYTES / PAGE_BYTES, () => {
    for (let offset = 0; offset < COPIED_BYTES; offset += PAGE_BYTES) work(from.address + offset, to.address + offset)
  })
  from.unmap()
  to.unmap()
  return values
}

function bandwidth(): number[] {
  const from = Mapping.anonymous(COPIED_BYTES, { populate: true })
  const to = Mapping.anonymous(COPIED_BYTES, { populate: true })
  const values = timed(7, COPIED_BYTES, () => libc().memcpy(to.address, from.address, COPIED_BYTES))
  from.unmap()
  to.unmap()
  return values.map((nsAByte) => 1e9 / nsAByte)
}
