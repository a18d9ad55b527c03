/**
 * Litmus tests of what the user of userfaultfd must know: answers of the kernel that are right and still surprise.
 *
 * In each the kernel does what it always does; the protection is a rule of user code, and the scene shows what it is for.
 * Source: fs/userfaultfd.c; the behaviours were seen on Linux 6.18.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import { ERRNO, sys, UFFD_FEATURE, USERFAULTFD_PROTOCOL, type Userfaultfd, Userfaultfd2014 } from '../../machine/syscall.ts'
import { expectEqual, type Litmus } from '../litmus.ts'
import { openUffd, register, WP, watched } from '../uffd_scenes.ts'
import { at, P, type World } from '../world.ts'

function* unregisterAndWake(k: Thread, world: World, uffd: Userfaultfd, page: number): Proc<void> {
  yield* sys.uffdioUnregister(k, uffd, at(page), P)
  if (world.kernel.has('user-wake-after-unregister')) yield* sys.uffdioWake(k, uffd, at(page), P)
}

/** A manager that dies, and its successor. */
function* dieAndPlace(k: Thread, world: World, uffd: Userfaultfd, dst: number, src: number): Proc<void> {
  // The kernel lets go with the last descriptor only.
  if (!world.kernel.has('user-second-holder')) yield* sys.close(k, uffd)
  yield* sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0)
}

export const USERFAULT_USE: readonly Litmus[] = [
  {
    name: 'unregister-forgets-writer',
    title: 'A writer sleeps on a page that nobody watches any longer',
    result: 'never',
    refs: ['R78'],
    protections: ['user-wake-after-unregister', 'uffd-unregister-lifts-wp'],
    memoryModel: 'sc',
    start: `
      page -> 100, registered for write protection only, and protected
      writer: store 200 to page   manager: UFFDIO_UNREGISTER page, UFFDIO_WAKE page`,
    history: {
      story:
        'UFFDIO_UNREGISTER used to leave the marks of write protection in the page tables, to be quick; the next fault was to clear them. Memory could so be writable and marked at once, and whoever registered the range again met marks of the time before. Since August 2022 the marks go with the registration. That whoever waits for a write is not woken is so to this day (6.18).',
      sources: ['f369b07c8614 ("mm/uffd: reset write protection when unregister with wp-mode")'],
    },
    world: {},
    build(world) {
      const page = world.map(1)
      world.store(page, 100)
      const uffd = openUffd(world)
      register(world, uffd, page, 1, WP)
      world.call((k) => sys.uffdioWriteprotect(k, uffd, at(page), P, 1))
      world.actor('writer', 0, (k) => sys.store(k, world.process, at(page), 200))
      world.actor('manager', 1, (k) => unregisterAndWake(k, world, uffd, page))
      return {
        judge: () => expectEqual('I-LIN', 'the page', 200, world.word(page)),
        outcome: () => `page=${world.word(page)}`,
      }
    },
  },
  {
    name: 'last-close-while-missing',
    title: 'A guest reads zeros after its manager died',
    result: 'never',
    refs: ['R77'],
    protections: ['user-second-holder'],
    memoryModel: 'sc',
    start: `
      dst -> none, registered     src -> page 100
      guest: load dst             manager: dies, and with it its descriptor; its successor: UFFDIO_COPY dst <- src`,
    world: {},
    build(world) {
      const { uffd, src, dst } = watched(world)
      const guest = world.actor('guest', 0, (k) => sys.load(k, world.process, at(dst)))
      world.actor('manager', 1, (k) => dieAndPlace(k, world, uffd, dst, src))
      return {
        judge: () => expectEqual('I-ZERO', 'what the guest loads', 100, guest.value?.value),
        outcome: () => `guest=${guest.value?.value}`,
      }
    },
  },
  {
    name: 'sigbus-and-system-calls',
    title: 'A system call fails that would only have waited',
    result: 'never',
    refs: ['R79'],
    protections: ['user-sigbus-private'],
    memoryModel: 'sc',
    start: `
      dst -> none, registered     src -> page 100
      guest: write(fd, dst)       placer: UFFDIO_COPY dst <- src`,
    world: {},
    build(world) {
      const { uffd, src, dst } = watched(world, 1, world.kernel.has('user-sigbus-private') ? 0 : UFFD_FEATURE.SIGBUS)
      const guest = world.actor('guest', 0, (k) => sys.write(k, world.process, at(dst), P))
      world.actor('placer', 1, (k) => sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0))
      return {
        judge: () => expectEqual('I-ERR', 'write', P, guest.value),
        outcome: () => `write=${guest.value}`,
      }
    },
  },
  {
    name: 'registration-of-2014-keeps-lock',
    title: 'A process hangs after it tried to register memory that is not there',
    result: 'never',
    refs: [],
    protections: ['uffd-2014-unlock'],
    memoryModel: 'sc',
    start: `
      nothing is mapped at the end of the address space
      manager: write {start | 1, end} of it       mapper: mmap`,
    world: {},
    build(world) {
      const last = world.machine.windowPages - 1
      const uffd = new Userfaultfd2014(world.mm, world.kernel.newId())
      uffd.writeProtocol(USERFAULTFD_PROTOCOL)
      world.call((k) => uffd.readAddress(k))
      const manager = world.actor('manager', 0, (k) => uffd.writeRange(k, ...Userfaultfd2014.range(last, 1, 'register')))
      const mapper = world.actor('mapper', 1, (k) => sys.mmap(k, world.process, P))
      return {
        judge: () =>
          expectEqual('I-ERR', 'the registration', ERRNO.ENOMEM, manager.value) ??
          expectEqual('I-ERR', 'mmap', true, Number(mapper.value) > 0),
        outcome: () => `manager=${manager.value}`,
      }
    },
  },
]
