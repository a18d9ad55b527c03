/**
 * Calls drawn by chance: what a sequence starts from, and one call of one actor at a time.
 *
 * Two small regions, one of them registered, so that calls meet; ranges reach one page beyond a region. Most calls are right, some are
 * misaligned, of no length, or have a mode that is none. What comes back from a kernel at an address of its own choice is not drawn: only
 * fixed addresses mean the same in every world.
 */
import type { Prng } from '../base/prng.ts'
import type { ArgumentValue, Region } from './case.ts'
import type { Call, Setting } from './telling.ts'
import type { CallName } from './vocabulary.ts'

const PAGES = 4
const REGIONS = ['A', 'B'] as const

const FEATURES: readonly (readonly string[])[] = [
  [],
  [],
  ['EVENT_REMOVE'],
  ['EVENT_UNMAP', 'EVENT_REMAP'],
  ['EVENT_FORK'],
  ['SIGBUS'],
  ['WP_UNPOPULATED'],
  ['EXACT_ADDRESS', 'THREAD_ID'],
  ['EVENT_FORK', 'EVENT_REMOVE', 'EVENT_REMAP', 'EVENT_UNMAP'],
]
const MODES: readonly (readonly string[])[] = [['MISSING'], ['MISSING'], ['WP'], ['MISSING', 'WP']]
const PROTS: readonly (readonly string[])[] = [['READ', 'WRITE'], ['READ', 'WRITE'], ['READ'], []]

export function drawSetting(prng: Prng): Setting {
  const region = (fill: number): Region => ({
    pages: PAGES,
    prot: 'rw',
    backing: 'anon',
    shared: false,
    ...(prng.below(3) > 0 && { fill }),
    ownTable: false,
  })
  const fresh: Region = { pages: PAGES, prot: 'rw', backing: 'anon', shared: false, ownTable: false }
  const uffd = (register: Setting['uffds'][string]['register']) => ({
    blocking: false,
    userModeOnly: prng.below(8) === 0,
    features: pick(prng, FEATURES),
    register,
  })
  return {
    regions: { A: region(17), B: prng.below(3) === 0 ? region(18) : fresh },
    uffds: {
      U: uffd([{ at: 'B', length: `${PAGES}p`, mode: pick(prng, MODES) }]),
      ...(prng.below(4) === 0 && { V: uffd([{ at: 'A+1p', length: '2p', mode: pick(prng, MODES) }]) }),
    },
  }
}

/**
 * Room for how many bytes of messages a read has: for one where there are events, because whoever waited for the first one to be read may or
 * may not have sent another before the read returns.
 */
export function readSizeOf({ uffds }: Setting): number {
  const hasEvents = Object.values(uffds).some(({ features }) => features.some((feature) => feature.startsWith('EVENT_')))
  return hasEvents ? 32 : 96
}

type Arguments = Readonly<Record<string, ArgumentValue>>
type Draw = (prng: Prng, place: Place) => Arguments

/** What there is to be named. */
interface Place {
  readonly descriptors: readonly string[]
  readonly readSize: number
  readonly children: readonly string[]
}

function pick<T>(prng: Prng, list: readonly T[]): T {
  return list[prng.below(list.length)]
}

/** The start of a page, now and then of the one behind a region. */
function page(prng: Prng): string {
  const at = prng.below(prng.below(12) === 0 ? PAGES + 1 : PAGES)
  return `${pick(prng, REGIONS)}+${at}p`
}

/** One place in each eighth of a page: what is stored to one byte stands for that eighth on the model. */
function byte(prng: Prng): string {
  return `${page(prng)}+${520 * prng.below(8)}`
}

/** Whole pages, rarely none or a part of one. */
function length(prng: Prng): string {
  return prng.below(40) === 0 ? '0p' : prng.below(40) === 0 ? '100' : `${1 + prng.below(3)}p`
}

/** A page, rarely an address inside. */
function start(prng: Prng): string {
  return prng.below(40) === 0 ? `${page(prng)}+8` : page(prng)
}

const range: Draw = (prng) => ({ at: start(prng), length: length(prng) })
const ioctl = (modes: readonly (readonly string[])[]): Draw => {
  return (prng, { descriptors }) => ({
    fd: pick(prng, descriptors),
    start: start(prng),
    length: length(prng),
    ...(modes.length > 0 && { mode: pick(prng, modes) }),
  })
}
const transfer = (modes: readonly (readonly string[])[]): Draw => {
  return (prng, { descriptors }) => ({
    fd: pick(prng, descriptors),
    dst: prng.below(3) > 0 ? `B+${prng.below(PAGES)}p` : start(prng),
    src: prng.below(3) > 0 ? `A+${prng.below(PAGES)}p` : start(prng),
    length: length(prng),
    mode: pick(prng, modes),
  })
}
const advice = (...words: readonly string[]): Draw => {
  return (prng) => ({ at: start(prng), length: length(prng), advice: pick(prng, words) })
}

/** How often, which call, and its arguments. */
const CALLS: readonly (readonly [weight: number, call: CallName, draw: Draw])[] = [
  [8, 'load', (prng) => ({ at: byte(prng) })],
  [5, 'store', (prng) => ({ at: byte(prng), value: 20 + prng.below(200) })],
  [8, 'fill', (prng) => ({ at: page(prng), value: 20 + prng.below(200) })],
  [3, 'inspect', (prng) => ({ at: page(prng) })],
  [3, 'mmap', (prng) => ({ at: page(prng), length: length(prng), prot: pick(prng, PROTS), flags: ['PRIVATE', 'FIXED'] })],
  [3, 'munmap', range],
  [4, 'mprotect', (prng) => ({ at: start(prng), length: length(prng), prot: pick(prng, PROTS) })],
  [3, 'mremap', drawMove],
  [1, 'mremap', (prng) => ({ at: page(prng), length: length(prng), newLength: length(prng) })],
  [5, 'madvise', advice('DONTNEED')],
  [2, 'madvise', advice('DONTFORK', 'DOFORK', 'POPULATE_READ', 'POPULATE_WRITE')],
  [1, 'mlock', range],
  [1, 'mincore', range],
  [2, 'fork', (_prng, { children }) => ({ child: `c${children.length}` })],
  [9, 'read', (prng, { descriptors, readSize }) => ({ fd: pick(prng, descriptors), size: readSize })],
  [2, 'poll', (prng, { descriptors }) => ({ fd: pick(prng, descriptors) })],
  [2, 'uffdio_register', ioctl([...MODES, ['BIT_5'], []])],
  [2, 'uffdio_unregister', ioctl([])],
  [4, 'uffdio_wake', ioctl([])],
  [8, 'uffdio_copy', transfer([[], [], [], ['DONTWAKE'], ['WP'], ['BIT_5']])],
  [5, 'uffdio_zeropage', ioctl([[], [], [], ['DONTWAKE'], ['BIT_5']])],
  [7, 'uffdio_move', transfer([[], [], [], ['DONTWAKE'], ['ALLOW_SRC_HOLES'], ['BIT_3']])],
  [2, 'uffdio_poison', ioctl([[], ['DONTWAKE'], ['BIT_5']])],
  [7, 'uffdio_writeprotect', ioctl([['WP'], ['WP'], [], ['DONTWAKE'], ['BIT_5'], ['WP', 'DONTWAKE']])],
  [2, 'vmas', (prng) => ({ at: page(prng), length: `${1 + prng.below(3)}p` })],
  [3, 'pagemap', (prng) => ({ at: page(prng), length: `${1 + prng.below(3)}p` })],
]
const WEIGHT = CALLS.reduce((sum, [weight]) => sum + weight, 0)

/** To a fixed place: the only one that is the same in every world. */
function drawMove(prng: Prng): Arguments {
  const bytes = length(prng)
  return {
    at: start(prng),
    length: bytes,
    newLength: prng.below(4) === 0 ? length(prng) : bytes,
    flags: prng.below(4) === 0 ? ['MAYMOVE', 'FIXED', 'DONTUNMAP'] : ['MAYMOVE', 'FIXED'],
    to: start(prng),
  }
}

/** A call of one of the actors. Children are rarely asked, and may end. */
export function drawCall(prng: Prng, actors: readonly string[], place: Place): Call {
  const actor = pick(prng, actors)
  if (actor.startsWith('c') && prng.below(6) === 0) return { actor, call: 'exit', args: {} }
  let left = prng.below(WEIGHT)
  for (const [weight, call, draw] of CALLS) {
    left -= weight
    if (left < 0) return { actor, call, args: draw(prng, place) }
  }
  return { actor, call: 'load', args: { at: 'A' } }
}
