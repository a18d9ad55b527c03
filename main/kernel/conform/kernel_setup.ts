/**
 * What a case finds before its first step, made on the host by the first thread: regions mapped and filled, descriptors open.
 *
 * Regions lie where nothing else of a puppet does and where the kernel puts nothing by itself: above its code, far below its stack.
 * Pairs with core/conform/model_setup.ts.
 */
import { statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { ConformCase, Region, UffdSetup } from '../../../core/conform/case.ts'
import type { Names } from '../../../core/conform/names.ts'
import { regionPlaces } from '../../../core/conform/region_places.ts'
import { bitsOf, MAP, REGION_PROT, REGISTER_MODE, UFFD_OPEN } from '../../../core/conform/vocabulary.ts'
import { errnoName } from '../sys/libc.ts'
import { PAGE_BYTES } from '../sys/mapping.ts'
import { Place } from '../sys/struct.ts'
import { MAP as MAP_FLAGS, UFFD_API, UFFDIO, UffdioApi, UffdioRegister } from '../sys/uapi.ts'
import { call, featureMask, NR, type Orders } from './kernel_calls.ts'
import type { Puppet } from './puppets.ts'

const FIRST_PAGE = 0x20_0000_0000 / PAGE_BYTES
const O_RDWR = 2
const O_TMPFILE = 0o20200000
/** File systems that keep files in memory, where a file is shmem and no ordinary one. */
const TMPFS_MAGIC = 0x01021994
const RAMFS_MAGIC = 0x858458f6

export function* setUpOnKernel(names: Names, puppet: Puppet, one: ConformCase): Orders<void> {
  const places = regionPlaces(one.regions, FIRST_PAGE)
  const files = new Map<string, number>()
  for (const [name, region] of Object.entries(one.regions)) {
    const address = (places.get(name) ?? FIRST_PAGE) * PAGE_BYTES
    const file = region.alias === undefined ? yield* fileOf(puppet, region) : (files.get(region.alias) ?? -1)
    files.set(name, file)
    const flags = MAP_FLAGS.fixedNoReplace + (region.shared ? MAP.SHARED : MAP.PRIVATE) + (file < 0 ? MAP.ANONYMOUS : 0)
    const length = region.pages * PAGE_BYTES
    const mapped = yield call(NR.mmap, address, length, REGION_PROT[region.prot], flags, file, 0)
    good(mapped.result, `mmap of region ${name}`)
    names.region(name, address, length)
    if (region.fill !== undefined) yield { what: 'fill', arguments: [address, region.fill, length] }
  }
  for (const [name, setup] of Object.entries(one.uffds)) yield* openUffd(names, puppet, name, setup)
}

/** A descriptor, or -1 for anonymous memory. */
function* fileOf(puppet: Puppet, { backing, pages }: Region): Orders<number> {
  if (backing === 'anon') return -1
  const file =
    backing === 'file'
      ? (yield call(NR.open, pathFor(puppet, folderOnDisk()), O_TMPFILE + O_RDWR, 0o600)).result
      : (yield call(NR.memfd_create, pathFor(puppet, 'region'), 0)).result
  good(file, `a ${backing}`)
  good((yield call(NR.ftruncate, file, pages * PAGE_BYTES)).result, 'ftruncate')
  if (backing !== 'memfd-readonly') return file
  return good((yield call(NR.open, pathFor(puppet, `/proc/self/fd/${file}`), 0)).result, 'a memfd to be read')
}

/** The address of a text in the puppet's room. */
function pathFor({ slot }: Puppet, text: string): number {
  const bytes = new Uint8Array(slot.room.buffer, slot.room.byteOffset, text.length + 1)
  bytes.set([...Buffer.from(text, 'latin1'), 0])
  return slot.roomAddress
}

function folderOnDisk(): string {
  const folders = [process.cwd(), tmpdir(), '/var/tmp']
  const found = folders.find((folder) => ![TMPFS_MAGIC, RAMFS_MAGIC].includes(statfsSync(folder).type))
  if (found === undefined) throw new Error(`none of ${folders.join(', ')} lies on a disk`)
  return found
}

function* openUffd(names: Names, puppet: Puppet, name: string, setup: UffdSetup): Orders<void> {
  const { slot } = puppet
  const flags = (setup.blocking ? 0 : UFFD_OPEN.O_NONBLOCK) + (setup.userModeOnly ? UFFD_OPEN.USER_MODE_ONLY : 0)
  const fd = good((yield call(NR.userfaultfd, flags)).result, `userfaultfd ${name}`)
  names.descriptors.set(name, fd)
  const api = new Place(UffdioApi, slot.roomAddress, slot.memory, slot.room.byteOffset)
  api.set('api', UFFD_API)
  api.setBits('features', featureMask(setup.features))
  good((yield call(NR.ioctl, fd, UFFDIO.API, api.address)).result, `UFFDIO_API of ${name}`)
  const register = new Place(UffdioRegister, slot.roomAddress, slot.memory, slot.room.byteOffset)
  for (const { at, length, mode } of setup.register) {
    register.set('start', names.amount(at))
    register.set('len', names.amount(length))
    register.set('mode', bitsOf(mode, REGISTER_MODE))
    good((yield call(NR.ioctl, fd, UFFDIO.REGISTER, register.address)).result, `UFFDIO_REGISTER of ${at} with ${name}`)
  }
}

function good(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: ${errnoName(-result)}`)
  return result
}
