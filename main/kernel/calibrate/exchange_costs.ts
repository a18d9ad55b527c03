/**
 * What two threads measure together: userfaults by where the handler runs, switches, pipes, sockets, and a cache line that goes
 * from one CPU to the other.
 *
 * Threads are put on one CPU, or on one each, by sched_setaffinity. A handler sleeps in read() until a fault comes, and places the page
 * by one call: the round trip is what the touching thread waits.
 */
import { VCPU_SLICE_NS } from '../../../core/guest/workload.ts'
import { checked, libc } from '../sys/libc.ts'
import { Mapping, PAGE_BYTES } from '../sys/mapping.ts'
import { threadNs } from '../sys/thread_time.ts'
import { MADV, UFFDIO_REGISTER_MODE } from '../sys/uapi.ts'
import { Userfaultfd } from '../sys/userfaultfd.ts'
import { type Measurement, type Rig, timed } from './measurement.ts'
import { readWhole } from './partner.ts'

const FAULTS = 64
const BYTES = FAULTS * PAGE_BYTES
const ROUNDS = 11
const TRIPS = 200
const SENT_BYTES = 16 * 1024 * 1024
const CHUNK_BYTES = 64 * 1024

type Placed = 'copy' | 'move'
type Where = 'same' | 'other'

export const EXCHANGE_COSTS: readonly Measurement[] = [
  userfault('uffdFault', 'copy', 'other'),
  userfault('uffdFaultMove', 'move', 'other'),
  userfault('uffdFaultSameCpu', 'copy', 'same'),
  userfault('uffdFaultMoveSameCpu', 'move', 'same'),
  {
    name: 'contextSwitch',
    what: 'half of a round trip by two pipes on one CPU: a write, a read and a switch',
    unit: 'ns',
    calls: 2,
    rounds: (rig) => onPipes(rig, 'same').map((ns) => ns / 2),
  },
  {
    name: 'sleep',
    what: 'processor time of a sleep of 100 us on a busy CPU, and waking from it',
    unit: 'ns',
    calls: 0,
    rounds: sleeps,
  },
  {
    name: 'pipeRoundTrip',
    what: 'a byte there and back by two pipes, the other thread on another CPU',
    unit: 'ns',
    calls: 4,
    rounds: (rig) => onPipes(rig, 'other'),
    needsTwoCpus: true,
  },
  roundTrip('unixRoundTrip', 'unixPair', 'a Unix socket'),
  roundTrip('tcpRoundTrip', 'tcpPair', 'TCP on the loopback'),
  throughput('unixThroughput', 'unixPair', 'a Unix socket'),
  throughput('tcpThroughput', 'tcpPair', 'TCP on the loopback'),
  socketWrite('socketWrite', 64),
  socketWrite('socketWritePage', 1),
  {
    name: 'lineTransfer',
    what: "a word from one CPU's cache to the other's",
    unit: 'ns',
    calls: 0,
    rounds: (rig) => placed(rig, 'other', () => Array.from({ length: ROUNDS }, () => rig.partner.bounce(500))),
    needsTwoCpus: true,
  },
]

/** Runs `measure` with both threads on one CPU, or on one each. */
function placed<T>({ calls, partner, cpus }: Rig, where: Where, measure: () => T): T {
  const [first = 0, second = first] = cpus
  calls.pin([first])
  partner.pin(where === 'same' ? first : second)
  try {
    return measure()
  } finally {
    calls.pin(cpus)
    partner.pin(-1)
  }
}

function userfault(name: string, how: Placed, where: Where): Measurement {
  const rounds = (rig: Rig) => {
    const { partner } = rig
    const uffd = Userfaultfd.open(how === 'move' ? ['MOVE'] : [], { blocking: true })
    const from = Mapping.anonymous(BYTES, { populate: true })
    const memory = Mapping.anonymous(BYTES)
    uffd.register(memory.address, BYTES, UFFDIO_REGISTER_MODE.missing)
    const round = () => {
      memory.advise(MADV.dontNeed)
      from.advise(MADV.populateWrite)
      partner.touch(memory.address, FAULTS)
      for (let served = 0; served < FAULTS; ) {
        for (const message of uffd.read()) {
          const at = message.get('word1')
          const source = from.address + (at - memory.address)
          const done = how === 'copy' ? uffd.copy(at, source, PAGE_BYTES) : uffd.move(at, source, PAGE_BYTES)
          if (done !== PAGE_BYTES) throw new Error(`placing a page answered ${done}`)
          served++
        }
      }
      return partner.wait() / FAULTS
    }
    const values = placed(rig, where, () => Array.from({ length: ROUNDS }, round))
    uffd.close()
    from.unmap()
    memory.unmap()
    return values
  }
  const call = how === 'copy' ? 'UFFDIO_COPY' : 'UFFDIO_MOVE'
  const handler = where === 'same' ? 'on the same CPU' : 'on another CPU'
  // read() and the ioctl; what the handler does in between is the program's own.
  return {
    name,
    what: `a userfault, handled ${handler} by ${call}`,
    unit: 'ns',
    calls: 2,
    rounds,
    needsTwoCpus: where === 'other',
  }
}

function onPipes(rig: Rig, where: Where): number[] {
  const [thereOut, thereIn] = rig.calls.pipe()
  const [backOut, backIn] = rig.calls.pipe()
  const values = placed(rig, where, () => trips(rig, [backOut, thereIn], [thereOut, backIn]))
  for (const fd of [thereOut, thereIn, backOut, backIn]) libc().close(fd)
  return values
}

/** `mine` and `theirs`: where each of the two reads and writes. */
function trips({ partner }: Rig, mine: readonly [number, number], theirs: readonly [number, number]): number[] {
  const byte = Mapping.anonymous(PAGE_BYTES, { populate: true })
  partner.echo(...theirs, ROUNDS * TRIPS, 1)
  const values = timed(ROUNDS, TRIPS, () => {
    for (let i = 0; i < TRIPS; i++) {
      checked(libc().write(mine[1], byte.address, 1), 'write')
      readWhole(mine[0], byte.address, 1)
    }
  })
  partner.wait()
  byte.unmap()
  return values
}

/** As a vCPU's thread sleeps until its next accesses are due, where a migration keeps the CPU busy: it need not be woken, too. */
function sleeps(rig: Rig): number[] {
  const never = new Int32Array(new SharedArrayBuffer(4))
  const round = () => {
    const startNs = threadNs()
    for (let i = 0; i < TRIPS; i++) Atomics.wait(never, 0, 0, VCPU_SLICE_NS / 1e6)
    return (threadNs() - startNs) / TRIPS
  }
  return placed(rig, 'same', () => rig.partner.whileSpinning(() => Array.from({ length: ROUNDS }, round)))
}

function roundTrip(name: string, pair: 'unixPair' | 'tcpPair', what: string): Measurement {
  const rounds = (rig: Rig) => {
    const [mine, theirs] = rig.calls[pair]()
    const values = placed(rig, 'other', () => trips(rig, [mine, mine], [theirs, theirs]))
    for (const fd of [mine, theirs]) libc().close(fd)
    return values
  }
  return {
    name,
    what: `a byte there and back by ${what}, the other thread on another CPU`,
    unit: 'ns',
    calls: 4,
    rounds,
    needsTwoCpus: true,
  }
}

function throughput(name: string, pair: 'unixPair' | 'tcpPair', what: string): Measurement {
  const rounds = (rig: Rig) => {
    const { partner, calls } = rig
    const [mine, theirs] = calls[pair]()
    const chunk = Mapping.anonymous(CHUNK_BYTES, { populate: true })
    const round = () => {
      partner.drain(theirs, SENT_BYTES)
      const startedAt = performance.now()
      for (let left = SENT_BYTES; left > 0; )
        left -= checked(libc().write(mine, chunk.address, Math.min(left, CHUNK_BYTES)), 'write')
      partner.wait()
      return (SENT_BYTES / (performance.now() - startedAt)) * 1000
    }
    const values = placed(rig, 'other', () => Array.from({ length: 5 }, round))
    for (const fd of [mine, theirs]) libc().close(fd)
    chunk.unmap()
    return values
  }
  return { name, what: `bytes by ${what}, from one CPU to the other`, unit: 'bytes/s', calls: 0, rounds, needsTwoCpus: true }
}

/** The writer's own: what it sleeps until there is room does not count. */
function socketWrite(name: string, pages: number): Measurement {
  const bytes = pages * PAGE_BYTES
  const rounds = (rig: Rig) => {
    const { partner, calls } = rig
    const [mine, theirs] = calls.unixPair()
    const chunk = Mapping.anonymous(bytes, { populate: true })
    const round = () => {
      partner.drain(theirs, SENT_BYTES)
      const startNs = threadNs()
      for (let left = SENT_BYTES; left > 0; ) left -= checked(libc().write(mine, chunk.address, Math.min(left, bytes)), 'write')
      const ns = threadNs() - startNs
      partner.wait()
      return (ns * PAGE_BYTES) / SENT_BYTES
    }
    const values = placed(rig, 'other', () => Array.from({ length: 5 }, round))
    for (const fd of [mine, theirs]) libc().close(fd)
    chunk.unmap()
    return values
  }
  const many = pages === 1 ? 'of a page' : `of ${pages} pages, a page`
  return {
    name,
    what: `processor time of a write() to a Unix socket ${many}`,
    unit: 'ns',
    calls: 1 / pages,
    rounds,
    needsTwoCpus: true,
  }
}
