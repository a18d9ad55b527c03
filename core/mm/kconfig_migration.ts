/**
 * The protections of the migration itself: steps of core/migration, in user space, that can be left out as those of the kernel
 * can. They stand in the same list (kconfig.ts), so that a machine is told once what it lacks.
 */
import type { Protection } from './kconfig.ts'

export const MIGRATION_PROTECTIONS = [
  {
    name: 'dirty-clear-before-copy',
    meaning: 'the source clears a page in the dirty log and the bitmap before it reads the page',
    prevents: 'a store between the read and the clear is sent by nobody (R63)',
  },
  {
    name: 'final-bitmap-sync',
    meaning: 'the source reads the dirty log once more after its vCPUs have stopped',
    prevents: 'what the guest wrote after the last sync stays behind (R65)',
  },
] as const satisfies readonly Protection[]
