/**
 * What this host's kernel has of what Pageferry uses: asked of the kernel itself, never of its version.
 *
 * Source: man 2 userfaultfd, ioctl_userfaultfd; Documentation/admin-guide/mm/transhuge.rst, hugetlbpage.rst
 */
import { readdirSync, readFileSync } from 'node:fs'
import { arch, availableParallelism, platform, release, totalmem } from 'node:os'
import type { KernelInfo } from '../../core/shell/host_kernel.ts'
import { NotPermitted } from './sys/errors.ts'
import { libc } from './sys/libc.ts'
import { PAGE_BYTES } from './sys/mapping.ts'
import { hasPagemapScan } from './sys/pagemap_scan.ts'
import type { UffdFeature } from './sys/uapi.ts'
import { featuresOfHost, Userfaultfd } from './sys/userfaultfd.ts'

const THP = '/sys/kernel/mm/transparent_hugepage/enabled'
const HUGETLB = '/sys/kernel/mm/hugepages'

export function kernelInfo(): KernelInfo {
  const isLinux = platform() === 'linux'
  const why = whyNotPermitted()
  const features = knownFeatures()
  return {
    release: isLinux ? release() : platform(),
    machine: arch(),
    userfaultfd: isLinux && (why === null || !/ENOSYS|without userfaultfd/.test(why)),
    permitted: why === null,
    why,
    features,
    move: features.includes('MOVE'),
    pagemapScan: isLinux && hasPagemapScan(),
    wpAsync: features.includes('WP_ASYNC'),
    pageSize: PAGE_BYTES,
    hugePageSizes: hugePageSizes(),
    thp: chosenWord(THP),
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
  }
}

/** One sentence with the remedy; null where a userfaultfd for all faults can be had. */
function whyNotPermitted(): string | null {
  try {
    libc().close(Userfaultfd.openDescriptor())
    return null
  } catch (error) {
    if (error instanceof NotPermitted) return error.message
    throw error
  }
}

/** None where the kernel cannot be asked at all. */
function knownFeatures(): readonly UffdFeature[] {
  try {
    return featuresOfHost()
  } catch (error) {
    if (error instanceof NotPermitted) return []
    throw error
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
