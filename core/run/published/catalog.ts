/**
 * All published tables that the simulator is held against, in the order of their numbers.
 *
 * A new table is one file beside this one and one name here.
 */
import type { PublishedTable } from './table.ts'
import { UFFD_SCALABILITY } from './uffd_scalability.ts'

export const PUBLISHED_TABLES: readonly PublishedTable[] = [UFFD_SCALABILITY]
