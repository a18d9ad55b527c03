/**
 * The protections of userfaultfd, of what fills pages for it, and of what must leave its pages alone. Part of kconfig.ts.
 *
 * Names that begin with `user-` are rules of whoever uses the kernel; there the place is the user code of a litmus test.
 */
import type { Protection } from './kconfig.ts'

export const USERFAULT_PROTECTIONS = [
  {
    name: 'khugepaged-userfault',
    meaning: 'khugepaged leaves 2 MiB alone where a page of a userfault area is missing',
    prevents: 'a page that never came reads as zeros, and a later UFFDIO_COPY finds it there (R68)',
  },
  {
    name: 'khugepaged-userfault-recheck',
    meaning: 'khugepaged asks that again when it isolates the pages, with mmap_lock held for writing',
    prevents: 'an area armed between scan and collapse gets its missing pages filled with zeros (R68)',
  },
  {
    name: 'uffd-must-wait',
    meaning: 'handle_userfault looks at the PTE again after it has queued itself and before it sleeps',
    prevents: 'a page placed in between leaves the thread asleep for ever (R52)',
  },
  {
    name: 'uffd-must-wait-entries',
    meaning: 'that look takes an entry of swap or of page migration for a page that is there',
    prevents: 'a page that is placed and then migrated leaves the thread asleep for ever (R52)',
  },
  {
    name: 'uffd-refile-seq',
    meaning: 'whoever looks for waiters asks again while a reader moves one from pending to fault',
    prevents: 'a wake-up finds both queues empty for that moment and leaves the thread asleep for ever (R53)',
  },
  {
    name: 'uffd-place-before-wake',
    meaning: 'the calls that resolve a userfault wake only after the PTE is stored',
    prevents: 'a woken thread finds nothing, reports the page again, and nobody answers the second report (R50)',
  },
  {
    name: 'uffd-mmap-changing',
    meaning: 'the calls that resolve a userfault answer EAGAIN while a layout event has not been read',
    prevents: 'a page is placed at an address that means something else by now (R72)',
  },
  {
    name: 'uffd-remove-before-zap',
    meaning: 'madvise(MADV_DONTNEED) sends its event, and waits until it is read, before the pages go',
    prevents: 'UFFDIO_COPY fills a page again that was dropped, and its manager could not know (R73)',
  },
  {
    name: 'uffd-unregister-wake',
    meaning: 'UFFDIO_UNREGISTER wakes whoever waits for a missing page of the range',
    prevents: 'a thread sleeps on a page that nobody watches any longer',
  },
  {
    name: 'uffd-again-field',
    meaning: 'UFFDIO_COPY writes EAGAIN into its field, too, where the layout is changing; mainline did not before 2025',
    prevents: 'a manager takes the count of the call before for progress, and skips a page (R62)',
  },
  {
    name: 'uffd-read-parks-first',
    meaning: 'a reader of the descriptor is about to sleep, and can be woken, before it looks for a message',
    prevents: 'a fault that comes right after the look is never read, and both sleep for ever',
  },
  {
    name: 'uffd-waiter-removal',
    meaning: 'a thread that goes on without having been woken takes itself off its queue',
    prevents: 'the next wake-up or read finds an entry whose stack frame is gone (R55)',
  },
  {
    name: 'uffd-2014-unlock',
    meaning: 'the registration of 2014 drops mmap_lock also where it finds no area',
    prevents: 'a process hangs at its next mmap, munmap or fork: the lock is held by nobody (a plain bug of the series)',
  },
  {
    name: 'uffd-close-wake',
    meaning: 'closing the last descriptor wakes whoever sleeps on one of its pages',
    prevents: 'a thread sleeps on a page of a manager that is gone',
  },
  {
    name: 'uffd-fork-unread',
    meaning: 'a child whose descriptor nobody has read is watched by nobody',
    prevents: 'the child sleeps on pages that no manager can hear of',
  },
  {
    name: 'uffd-unregister-lifts-wp',
    meaning: 'UFFDIO_UNREGISTER lifts write protection from every page of the range; mainline does since 6.0',
    prevents: 'marks of a protection that is over stay in page tables, and are taken for those of the next',
  },
  {
    name: 'uffd-wp-flush',
    meaning: 'UFFDIO_WRITEPROTECT and PAGEMAP_SCAN flush what they protect from every TLB before they return',
    prevents: 'a store through an old entry changes a page that is being saved',
  },
  {
    name: 'mfill-revalidate',
    meaning: 'UFFDIO_COPY looks its area up again after it copied without locks',
    prevents: 'the page appears in a mapping that nobody registered (R61)',
  },
  {
    name: 'mfill-copy-before-map',
    meaning: 'UFFDIO_COPY fills a page that nobody can reach yet, and then maps it',
    prevents: 'a thread reads a page of which one half is new and the other still zero (R59)',
  },
  {
    name: 'mfill-nofault',
    meaning: 'UFFDIO_COPY reads its source with page faults disabled while it holds mmap_lock',
    prevents: 'its own fault waits behind a writer that waits for it (R60)',
  },
  {
    name: 'mfill-area-lock',
    meaning: 'UFFDIO_COPY holds mmap_lock from the look-up of the area until the page is in its place',
    prevents: 'a page is mapped where there is no area any longer (R75)',
  },
  {
    name: 'place-exclusive',
    meaning: 'UFFDIO_COPY and UFFDIO_ZEROPAGE answer EEXIST where a page is, and leave it alone',
    prevents: 'a page that arrives twice takes the place of what the guest wrote meanwhile (R56, R58)',
  },
  {
    name: 'madvise-revalidate',
    meaning: 'madvise(MADV_DONTNEED) looks its area up again after it waited for the event to be read',
    prevents: 'it goes on with an area that was unmapped meanwhile',
  },
  {
    name: 'user-resolve-on-fault',
    meaning: 'a manager resolves each fault it reads, whatever it believes to know of the page',
    prevents: 'a page that went after its removal was answered is never placed again (R74)',
  },
  {
    name: 'user-fork-event',
    meaning: 'whoever watches a process that forks asks for UFFD_FEATURE_EVENT_FORK',
    prevents: 'the child is watched by nobody and reads zeros (R76)',
  },
  {
    name: 'user-no-huge-pages',
    meaning: 'whoever discards single pages of memory that is to be watched forbids huge pages there first',
    prevents: 'khugepaged fills the discarded page with zeros before the range is registered (R67)',
  },
  {
    name: 'user-second-holder',
    meaning: 'a second process keeps the userfault descriptor open, so that it outlives the manager',
    prevents: 'with the last descriptor the range is let go, and what never came reads as zeros (R77)',
  },
  {
    name: 'user-wake-after-unregister',
    meaning: 'whoever unregisters a range that was watched for writes only wakes it afterwards',
    prevents: 'UNREGISTER wakes only where missing pages were watched: the writer sleeps on (R78)',
  },
  {
    name: 'user-sigbus-private',
    meaning: 'memory that system calls are given is not watched with UFFD_FEATURE_SIGBUS',
    prevents: 'a system call answers EFAULT where it would only have waited (R79)',
  },
] as const satisfies readonly Protection[]
