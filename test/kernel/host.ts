/**
 * Whether this host's kernel can be used by tests: those that need it are skipped by name elsewhere, with the reason.
 *
 * `describe.skipIf(noKernel !== null)(named('the kernel places a page'), ...)`; for tests of cases on the kernel: noPuppets.
 */
import type { KernelInfo } from '../../core/shell/host_kernel.ts'
import { whyNoPuppets } from '../../main/kernel/conform/puppets.ts'
import { kernelInfo } from '../../main/kernel/info.ts'

/** What a host lacks that the tests of its kernel need, or null. */
export function whyNoKernel(info: Pick<KernelInfo, 'why' | 'move' | 'pagemapScan' | 'wpAsync'>): string | null {
  if (info.why !== null) return info.why
  if (!info.move) return 'this kernel has no UFFDIO_MOVE (6.8)'
  return info.pagemapScan && info.wpAsync ? null : 'this kernel has no PAGEMAP_SCAN with WP_ASYNC (6.7)'
}

/** Null: it can. Else why not. */
export const noKernel = whyNoKernel(kernelInfo())
/** The same for conformance cases on it. */
export const noPuppets = noKernel ?? whyNoPuppets()

/** The name of a group of tests, which says why it is skipped where it is. */
export function named(name: string, why = noKernel): string {
  return why === null ? name : `${name} (skipped: ${why})`
}
