/**
 * All published tables that the simulator is held against, in the order of their numbers.
 *
 * A new table is one file beside this one and one name here.
 */
import { ADAPTIVE_RATE } from './adaptive_rate.ts'
import { APPLICATION_FAULTS } from './application_faults.ts'
import { CLOSED_FORMS } from './closed_forms.ts'
import { DIRTY_BITS } from './dirty_bits.ts'
import { ITERATION_LOGS } from './iteration_logs.ts'
import { MOVE_OR_COPY } from './move_or_copy.ts'
import { POSTCOPY_LATENCY } from './postcopy_latency.ts'
import { PREPAGING_GAINS } from './prepaging_gains.ts'
import type { PublishedTable } from './table.ts'
import { UFFD_SCALABILITY } from './uffd_scalability.ts'

export const PUBLISHED_TABLES: readonly PublishedTable[] = [
  PREPAGING_GAINS,
  APPLICATION_FAULTS,
  POSTCOPY_LATENCY,
  UFFD_SCALABILITY,
  MOVE_OR_COPY,
  DIRTY_BITS,
  ITERATION_LOGS,
  ADAPTIVE_RATE,
  CLOSED_FORMS,
]
