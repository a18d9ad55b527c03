/**
 * What a case finds before its first step, made on the model: regions mapped and filled, descriptors open and registered.
 *
 * Where the regions lie: region_places.ts. Pairs with model_world.ts.
 */
import { fail } from '../base/assert.ts'
import type { Proc } from '../engine/op.ts'
import type { Process } from '../machine/process.ts'
import { addressOf, errnoName, type OpenFile, sys } from '../machine/syscall.ts'
import type { ConformCase, Region, UffdSetup } from './case.ts'
import { fillPage } from './model_memory.ts'
import type { Actor, ModelWorld } from './model_world.ts'
import { type Outcome, outcomeOf } from './outcome.ts'
import { regionPlaces } from './region_places.ts'
import { bitsOf, FEATURE_BITS, MAP, REGION_PROT, REGISTER_MODE, UFFD_OPEN } from './vocabulary.ts'

/** Where the first region may lie. */
const FIRST_PAGE = 16
const API = 0xaa

export function* setUp(world: ModelWorld, first: Actor, one: ConformCase): Proc<Outcome> {
  const files = new Map<string, OpenFile>()
  const places = regionPlaces(one.regions, FIRST_PAGE)
  for (const [name, region] of Object.entries(one.regions))
    yield* mapRegion(world, first, name, region, places.get(name) ?? FIRST_PAGE, files)
  for (const [name, setup] of Object.entries(one.uffds)) yield* openUffd(world, first, name, setup)
  return outcomeOf({})
}

function* mapRegion(
  world: ModelWorld,
  { thread: k, process: p }: Actor,
  name: string,
  region: Region,
  page: number,
  files: Map<string, OpenFile>,
): Proc<void> {
  const file = region.alias === undefined ? fileOf(p, region) : (files.get(region.alias) ?? null)
  if (file !== null) files.set(name, file)
  const address = addressOf(page)
  const flags = MAP.FIXED + (region.shared ? MAP.SHARED : MAP.PRIVATE) + (file === null ? MAP.ANONYMOUS : 0)
  const length = region.pages * 4096
  ok(yield* sys.mmap(k, p, length, REGION_PROT[region.prot], flags, address, file), `mmap of region ${name}`)
  world.names.region(name, address, length)
  if (region.fill !== undefined) for (let i = 0; i < region.pages; i++) yield* fillPage(k, p, page + i, region.fill)
}

function fileOf(p: Process, { backing, pages }: Region): OpenFile | null {
  switch (backing) {
    case 'anon':
      return null
    case 'memfd':
      return sys.memfdCreate(p, pages * 4096)
    case 'memfd-readonly':
      return sys.reopenReadOnly(sys.memfdCreate(p, pages * 4096))
    case 'file':
      return sys.openFile(p, pages * 4096)
  }
}

function* openUffd(world: ModelWorld, { thread: k, process: p }: Actor, name: string, setup: UffdSetup): Proc<void> {
  const flags = (setup.blocking ? 0 : UFFD_OPEN.O_NONBLOCK) + (setup.userModeOnly ? UFFD_OPEN.USER_MODE_ONLY : 0)
  const uffd = sys.userfaultfd(p, flags)
  if (typeof uffd === 'number') fail(`userfaultfd ${name}: ${errnoName(uffd)}`)
  world.names.descriptors.set(name, uffd)
  ok(sys.uffdioApi(p, uffd, API, featureMask(setup.features)).ret, `UFFDIO_API of ${name}`)
  for (const { at, length, mode } of setup.register) {
    const { names } = world
    const done = yield* sys.uffdioRegister(k, uffd, names.amount(at), names.amount(length), bitsOf(mode, REGISTER_MODE))
    ok(done.ret, `UFFDIO_REGISTER of ${at} with ${name}`)
  }
}

export function featureMask(names: readonly string[]): bigint {
  return names.reduce((mask, name) => mask | (1n << BigInt(FEATURE_BITS[name] ?? fail(`no feature is called ${name}`))), 0n)
}

function ok(result: number, what: string): void {
  if (result < 0) fail(`${what}: ${errnoName(result)}`)
}
