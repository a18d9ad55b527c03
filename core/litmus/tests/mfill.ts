/**
 * Litmus tests of UFFDIO_COPY: nobody sees half a page, and what it does without locks is looked at again.
 * Source: mm/userfaultfd.c.
 */
import type { Proc } from '../../engine/op.ts'
import type { Thread } from '../../hw/cpu.ts'
import type { PageContent } from '../../machine/process.ts'
import {
  ERRNO,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
  sys,
  UFFD_FEATURE,
  type Userfaultfd,
} from '../../machine/syscall.ts'
import { MADV_DONTNEED } from '../../mm/madvise.ts'
import { answers, expectEqual, type Litmus } from '../litmus.ts'
import { serve, settle, watched } from '../uffd_scenes.ts'
import { type Actor, at, P, type World } from '../world.ts'

/** Copies `src` to two pages from `dst` on, one call a page, and goes on behind the bytes that the field reports. */
function* copyByField(k: Thread, world: World, remover: Actor, uffd: Userfaultfd, dst: number, src: number): Proc<number> {
  const end = 2 * P
  let copied = 0
  for (let done = 0; done < end; ) {
    const { ret, fields } = yield* sys.uffdioCopy(k, world.process, uffd, at(dst) + done, at(src), P, 0)
    // A field that the kernel did not write is as the last call left it.
    if (fields.copy !== undefined) copied = Number(fields.copy)
    if (copied > 0) done += copied
    else if (ret === ERRNO.EAGAIN) yield* settle(k, uffd)
    else return ret
  }
  yield* serve(k, uffd, [remover])
  return end
}

export const MFILL: readonly Litmus[] = [
  {
    name: 'copy-in-place',
    title: 'A thread reads a page that is half old and half new',
    result: 'never',
    refs: ['R59'],
    protections: ['mfill-copy-before-map'],
    memoryModel: 'sc',
    start: `
      dst -> none, registered     src -> page, both words 100
      reader: both words of dst   placer: UFFDIO_COPY dst <- src`,
    world: {},
    build(world) {
      const { uffd, src, dst } = watched(world)
      const seen: PageContent = { word0: 0, word1: 0, version: 0 }
      world.actor('reader', 0, (k) => world.process.readPage(k, dst, seen))
      world.actor('placer', 1, (k) => sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0))
      return {
        judge: () => expectEqual('I-LIN', 'the words that the reader found', '100 100', `${seen.word0} ${seen.word1}`),
        outcome: () => `reader=${seen.word0},${seen.word1}`,
      }
    },
  },
  {
    name: 'copy-against-writer',
    title: 'UFFDIO_COPY faults on its source with mmap_lock held, behind a writer that waits for it',
    result: 'never',
    refs: ['R60'],
    protections: ['mfill-nofault'],
    memoryModel: 'sc',
    start: `
      dst -> none, registered     src -> none
      copier: UFFDIO_COPY dst <- src              mapper: mmap elsewhere
      mmap_lock lets no reader pass a writer that waits`,
    history: {
      story:
        'The code that was to become UFFDIO_COPY read its source with mmap_sem held and faults enabled. Where readers queue behind a writer, the fault inside waits for the writer, and the writer for the copy. Andrea Arcangeli took the recursion out before the call was released, in September 2015: the copy is tried with faults disabled, and once more without the lock if that fails.',
      sources: ['b6ebaedb4cb1 ("userfaultfd: avoid mmap_sem read recursion in mcopy_atomic")'],
    },
    world: {},
    build(world) {
      const { uffd, dst } = watched(world)
      const src = world.map(1)
      world.mm.mmapLock.queues = true
      const copier = world.actor('copier', 0, (k) => sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0))
      world.actor('mapper', 1, (k) => sys.mmap(k, world.process, P))
      return {
        judge: () => expectEqual('I-ERR', 'UFFDIO_COPY', 0, copier.value?.ret),
        outcome: () => `copier=${copier.value?.ret}`,
      }
    },
  },
  {
    name: 'copy-against-replacement',
    title: 'UFFDIO_COPY places a page in an area that took the place of the one it looked up',
    result: 'never',
    refs: ['R61', 'R75'],
    protections: ['mfill-revalidate', 'mfill-area-lock'],
    memoryModel: 'sc',
    start: `
      dst -> none, registered     src -> none
      copier: UFFDIO_COPY dst <- src              replacer: mmap dst, MAP_FIXED`,
    history: {
      story:
        'When its source is not there, UFFDIO_COPY drops its locks to fault it in. What it looks at afterwards must be asked anew. A rework for Linux 7.1 moved that retry into the code for one page, where the area was looked up again but not compared with what it had been: memory of another kind could take its place meanwhile. Two fixes followed in 2026, the second of them to compare the whole state of the area.',
      sources: [
        '292411fda25b ("mm/userfaultfd: detect VMA type change after copy retry in mfill_copy_folio_retry()")',
        '85668fda932a ("userfaultfd: verify VMA state across UFFDIO_COPY retry")',
      ],
    },
    world: {},
    build(world) {
      const { uffd, dst } = watched(world)
      const src = world.map(1)
      const prot = PROT_READ | PROT_WRITE
      const fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
      const copier = world.actor('copier', 0, (k) => sys.uffdioCopy(k, world.process, uffd, at(dst), at(src), P, 0))
      world.actor('replacer', 1, (k) => sys.mmap(k, world.process, P, prot, fixed, at(dst)))
      return {
        judge: () => expectEqual('I-DATA', 'the frame in the new area', -1, world.frame(dst)),
        outcome: () => `copier=${copier.value?.ret}`,
      }
    },
  },
  {
    name: 'copy-field-after-again',
    title: 'A manager that goes on behind what UFFDIO_COPY reports skips a page',
    result: 'never',
    refs: ['R62'],
    protections: ['uffd-again-field'],
    memoryModel: 'sc',
    start: `
      dst0, dst1, gone -> none, registered        src -> page 100
      manager: UFFDIO_COPY dst0, then dst1; EAGAIN: go on behind the bytes reported
      remover: MADV_DONTNEED gone`,
    history: {
      story:
        'Since 4.18 the calls that fill pages answer EAGAIN while the layout changes. The man page says that the result field then holds the errno, but on that path the kernel did not write it: whoever used one argument for many calls found the byte count of the call before, and went on behind a page that was never placed. Andrea Arcangeli noticed it in 2025; five ioctls were affected.',
      sources: ['95567729173e ("mm/userfaultfd: fix uninitialized output field for -EAGAIN race")'],
    },
    world: {},
    build(world) {
      const { uffd, src, dst } = watched(world, 3, UFFD_FEATURE.EVENT_REMOVE)
      const remover = world.actor('remover', 1, (k) => sys.madvise(k, world.process, at(dst + 2), P, MADV_DONTNEED))
      world.actor('manager', 0, (k) => copyByField(k, world, remover, uffd, dst, src))
      return {
        judge: () => expectEqual('I-WAIT', 'the second page, which the manager believes to be there', 100, world.word(dst + 1)),
        outcome: () => answers(world),
      }
    },
  },
]
