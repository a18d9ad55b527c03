/**
 * Whether this host's kernel can be used by tests: those that need it are skipped by name elsewhere, with the reason.
 *
 * `describe.skipIf(noKernel !== null)(named('the kernel places a page'), ...)`.
 */
import { kernelInfo } from '../../main/kernel/info.ts'

/** Null: it can. Else why not. */
export const noKernel: string | null = reason()

function reason(): string | null {
  const info = kernelInfo()
  if (info.why !== null) return info.why
  if (!info.move) return 'this kernel has no UFFDIO_MOVE (6.8)'
  return info.pagemapScan && info.wpAsync ? null : 'this kernel has no PAGEMAP_SCAN with WP_ASYNC (6.7)'
}

/** The name of a group of tests, which says why it is skipped where it is. */
export function named(name: string): string {
  return noKernel === null ? name : `${name} (skipped: ${noKernel})`
}
