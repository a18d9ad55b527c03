/**
 * What this host's kernel has of what Pageferry uses: asked of the kernel itself, never of its version.
 *
 * Source: man 2 userfaultfd, ioctl_userfaultfd; Documentation/admin-guide/mm/transhuge.rst, hugetlbpage.rst
 */
import { readdirSync, readFileSync } from 'node:fs'
import { arch, availableParallelism, platform, release, totalmem } from 'node:os'
import type { KernelInfo } from '../../core/shell/host_kernel.ts'
import { NotPermitted } from './sys/errors.ts'
import { hasPagemapScan } from './sys/pagemap_scan.ts'
import type { UffdFeature } from './sys/uapi.ts'
import { featuresOfHost } from './sys/userfaultfd.ts'

const THP = '/sys/kernel/mm/transparent_hugepage/enabled'
const HUGETLB = '/sys/kernel/mm/hugepages'
const PAGE_BYTES = 4096

export function kernelInfo(): KernelInfo {
  const isLinux = platform() === 'linux'
  let features: readonly UffdFeature[] = []
  let why: string | null = null
  try {
    features = featuresOfHost()
  } catch (error) {
    if (!(error instanceof NotPermitted)) throw error
    why = error.message
  }
  return {
    release: isLinux ? release() : platform(),
    machine: arch(),
    userfaultfd: isLinux && (why === null || !/ENOSYS|without userfaultfd/.test(why)),
    permitted: why === null,
    why,
    features,
    move: features.includes('MOVE'),
    pagemapScan: isLinux && why === null && hasPagemapScan(),
    wpAsync: features.includes('WP_ASYNC'),
    pageSize: PAGE_BYTES,
    hugePageSizes: hugePageSizes(),
    thp: chosenWord(THP),
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
  }
}

/** The word in brackets: `always [madvise] never`. */
function chosenWord(path: string): string | null {
  try {
    return /\[(\w+)\]/.exec(readFileSync(path, 'utf8'))?.[1] ?? null
  } catch {
    return null
  }
}

function hugePageSizes(): number[] {
  try {
    const sizes = readdirSync(HUGETLB).map((name) => Number(/hugepages-(\d+)kB/.exec(name)?.[1] ?? 0) * 1024)
    return sizes.filter((size) => size > 0).sort((a, b) => a - b)
  } catch {
    return []
  }
}
