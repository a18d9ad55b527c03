/**
 * What was measured on a host, and the CPU preset that it makes.
 *
 * Measured are whole operations; a preset has the costs that they are made of. A fault that maps the zero page is `faultNs`; what a
 * write fault takes more is the page, taken and cleared; what COPY of a page among many takes besides taking it, is copying. Waking a
 * thread is half of what a userfault takes besides its fault, its calls and the page. What was not measured, and the geometry of TLBs
 * and caches, is that of the preset `base`. Pairs with main/kernel/calibrate, which measures, and cpu_file.ts, which reads the file.
 */
import type { CpuPreset, EventCosts, Sourced } from './preset.ts'

export interface Measured {
  readonly name: string
  readonly what: string
  readonly unit: 'ns' | 'bytes/s'
  /** The kernel's own part: without the calls from JavaScript into C. */
  readonly value: number
  /** As seen from here: the lowest median of all passes, the quartiles of its rounds, and the median of each pass. */
  readonly seen: number
  readonly low: number
  readonly high: number
  readonly medians: readonly number[]
  /** Calls into C that one takes. */
  readonly calls: number
}

/** ns of a load in a chain through so many pages. */
export interface Reach {
  readonly pages: number
  readonly ns: number
}

export interface HostCpu {
  readonly name: string
  /** `AuthenticAMD`, `GenuineIntel`; empty where the kernel does not tell. */
  readonly vendor: string
  readonly family: number
  readonly model: number
  readonly cpus: number
}

export interface PipelineWay {
  readonly mode: 'precopy' | 'postcopy' | 'hybrid'
  readonly resolver: 'copy' | 'move'
  readonly guest: string
}

/** Migrations on the real kernel (core/run/calibrated_host.ts): medians, and each one's total. */
export interface PipelineRuns extends PipelineWay {
  readonly setupNs: number
  readonly downtimeNs: number
  readonly totalNs: number
  readonly totals: readonly number[]
  /** CPU time of a vCPU's thread for each access. */
  readonly accessNs: number
}

export interface Calibration {
  readonly schema: 'pageferry.calibration/1'
  /** Of the kernel. */
  readonly release: string
  readonly cpu: HostCpu
  readonly measured: readonly Measured[]
  readonly reach: readonly Reach[]
  readonly pipeline: readonly PipelineRuns[]
}

/** The preset whose TLBs and caches are most like this CPU's. */
export function nearestPreset({ vendor, family, model, name }: HostCpu): string {
  if (vendor === 'AuthenticAMD') return family >= 26 ? 'zen5' : 'zen2'
  // Model numbers of family 6: Alder Lake (151) and Sapphire Rapids (143) are the first with Golden Cove.
  if (vendor === 'GenuineIntel') return family === 6 && model < 143 ? 'skylake' : 'golden-cove'
  return /apple/i.test(name) ? 'apple-m1' : 'neoverse-v2'
}

/** main/kernel/calibrate/memory_costs.ts BATCH */
const PROTECTED_BY_A_CALL = 64

/** `base`: whatever was not measured. */
export function calibratedPreset(calibration: Calibration, base: CpuPreset): CpuPreset {
  const { release, cpu } = calibration
  const take = (name: string): Measured | null => calibration.measured.find((one) => one.name === name) ?? null
  const value = (name: string, otherwise: number) => take(name)?.value ?? otherwise
  const because = (text: string) => `kernel calibrate on ${cpu.name}, Linux ${release}: ${text}`
  const made = (ns: number, text: string): Sourced => ({
    value: Math.round(Math.max(0, ns) * 10) / 10,
    kind: 'measured',
    source: because(text),
  })

  const faultNs = value('readFault', base.faultNs.value)
  const pageNs = Math.max(0, value('fault', base.faultNs.value) - faultNs)
  // A kernel clears a page no slower than memset does, which has to call it.
  const clearNs = Math.min(value('clearPage', base.clearPageNs.value), 0.75 * pageNs)
  const allocNs = pageNs - clearNs
  const syscallNs = value('syscall', base.syscallNs.value)
  const copyNs = value('copyBatch', base.copyPageNs.value + allocNs) - allocNs
  const roundNs = value('uffdFault', 0) - faultNs - syscallNs - value('copy', 0)
  const preset: CpuPreset = {
    ...base,
    id: 'calibrated',
    name: `${cpu.name} as measured`,
    syscallNs: made(syscallNs, 'getppid()'),
    faultNs: made(faultNs, 'first read of an anonymous page'),
    clearPageNs: made(clearNs, 'memset of 4 KiB, at most three quarters of what a write fault takes more than a read'),
    allocPageNs: made(allocNs, 'what a write fault takes more than a read, less the clearing'),
    copyPageNs: made(copyNs, 'UFFDIO_COPY of a page, 64 by one call, less the page taken'),
  }
  const overrides: Partial<Record<keyof EventCosts, Sourced>> = {}
  if (roundNs > 0)
    overrides.wakeupNs = made(roundNs / 2, 'half of a userfault handled on another CPU, less its fault, its calls and the page')
  const ipiNs = value('madviseShared', 0) - value('madvise', 0)
  if (ipiNs > 0) {
    // As in this_vm.ts.
    overrides.ipiSendNs = made(
      ipiNs / 6,
      'a sixth of what madvise of a page takes more with another CPU in the mm; the split is ours',
    )
    overrides.ipiHandleNs = made((ipiNs * 5) / 6, 'the rest of what madvise of a page takes more with another CPU in the mm')
    overrides.ipiClusterCpus = { value: 1, kind: 'ours', source: 'measured with one other CPU: each is a message of its own' }
  }
  const line = take('lineTransfer')
  if (line !== null) overrides.lineTransferNs = made(line.value, line.what)
  const batch = take('writeprotectBatch')
  if (batch !== null) {
    const ns = batch.value - syscallNs / PROTECTED_BY_A_CALL
    overrides.writeProtectNs = made(ns, 'a page of UFFDIO_WRITEPROTECT of 64 pages, less its share of the call')
  }
  return { ...preset, ...overrides }
}
