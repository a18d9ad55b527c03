/**
 * Litmus tests of sleeping on a missing page and being woken: no order of the two loses the wake-up.
 * Source: fs/userfaultfd.c.
 */
import { sys } from '../../machine/syscall.ts'
import { expectEqual, type Litmus } from '../litmus.ts'
import { watched } from '../uffd_scenes.ts'
import { at, P } from '../world.ts'

const MISSING_PAGE = `
      dst -> none, registered     src -> page 100`

export const USERFAULT: readonly Litmus[] = [
  {
    name: 'fault-against-placing',
    title: 'A thread sleeps on a page that was placed while it went to sleep',
    result: 'never',
    refs: ['R50', 'R52', 'R55'],
    protections: ['uffd-must-wait', 'uffd-place-before-wake', 'uffd-waiter-removal'],
    memoryModel: 'sc',
    start: `${MISSING_PAGE}
      toucher: load dst           placer: UFFDIO_COPY dst <- src`,
    history: {
      story:
        'In the first versions of 2015 a page that was placed while somebody went to sleep on it woke nobody: user code had to notice, and QEMU kept three states a page and a mutex for it. Patch 17 of the series of May 2015 moved the answer into the kernel: whoever has queued itself looks at the page table once more before it sleeps.',
      sources: [
        'linux-mm, 14 May 2015, [PATCH 17/23] userfaultfd: solve the race between UFFDIO_COPY|ZEROPAGE and read, <1431624680-20153-18-git-send-email-aarcange@redhat.com>',
      ],
    },
    world: {},
    build(world) {
      const { uffd, src, dst } = watched(world)
      const toucher = world.actor('toucher', 0, (k) => sys.load(k, world.process, at(dst)))
      const placer = world.actor('placer', 1, (k) => sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0))
      return {
        judge: () => expectEqual('I-LIN', 'what the toucher loads', 100, toucher.value?.value),
        outcome: () => `toucher=${toucher.value?.value} placer=${placer.value?.ret}`,
      }
    },
  },
  {
    name: 'refile-against-wake',
    title: 'A wake-up comes while a reader moves the sleeper from queue to queue, and wakes nobody',
    result: 'never',
    refs: ['R53'],
    protections: ['uffd-refile-seq'],
    memoryModel: 'sc',
    start: `${MISSING_PAGE}
      toucher: load dst           placer: UFFDIO_COPY dst <- src
      reader: read(uffd)`,
    history: {
      story:
        'read(2) takes a sleeper off the queue of faults that nobody has read and puts it on the other one. The waker looks at both without a lock, and for that moment both looked empty. Found and mended before the release of 4.3: a sequence count makes the waker look again.',
      sources: [
        'linux-mm, 8 July 2015, [PATCH 4/5] userfaultfd: avoid missing wakeups during refile in userfaultfd_read, <1436352608-8455-5-git-send-email-aarcange@redhat.com>',
      ],
    },
    world: { cpus: 3 },
    build(world) {
      const { uffd, src, dst } = watched(world)
      const toucher = world.actor('toucher', 0, (k) => sys.load(k, world.process, at(dst)))
      world.actor('placer', 1, (k) => sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0))
      const reader = world.actor('reader', 2, (k) => sys.uffdRead(k, uffd, 32))
      return {
        judge: () => expectEqual('I-LIN', 'what the toucher loads', 100, toucher.value?.value),
        outcome: () => `toucher=${toucher.value?.value} read=${reader.value?.ret}`,
      }
    },
  },
]
