/**
 * The memory barriers that can be left out. In a sequentially consistent run each is nothing, and leaving it out breaks nothing:
 * a litmus test names the weakest memory in which it is clean with all of them (core/sync/weak_memory.ts).
 */
import type { Protection } from './kconfig.ts'

export const BARRIER_PROTECTIONS = [
  {
    name: 'seq-begin-wmb',
    meaning: 'the begin of a write section of a sequence count puts a write barrier between the odd count and the fields',
    prevents: 'a reader finds the fields half new and the count as it was, where stores are seen out of order (R12)',
  },
  {
    name: 'seq-end-wmb',
    meaning: 'the end of a write section of a sequence count puts a write barrier between the fields and the even count',
    prevents: 'a reader finds the new count and the old fields, where stores are seen out of order (R12)',
  },
  {
    name: 'seq-rmb',
    meaning: 'a reader of a sequence count puts a read barrier behind its first look',
    prevents: 'a field read before the count passes for one read after it, where loads are done out of order (R13)',
  },
  {
    name: 'uffd-sleep-mb',
    meaning: 'handle_userfault puts a full barrier (set_current_state) between queueing itself and its look at the PTE',
    prevents: 'who places the page sees no waiter, and the waiter no page: it sleeps for ever, on x86 too (R54)',
  },
  {
    name: 'uffd-wake-mb',
    meaning: 'wake_userfault puts a full barrier between the store of the PTE and its look at the queues',
    prevents: 'the same, where leaving mmap_lock is no full barrier: on x86 it is (R54)',
  },
] as const satisfies readonly Protection[]
