/**
 * What commands ask of the host's own kernel: the real userfaultfd under the same commands.
 *
 * main/kernel does it in Node; a screen reaches it through a port. Everything that crosses is plain data. What this host cannot do
 * is a HostError with exit code 126, in one sentence with the remedy; so is a host without a way to its kernel (hostKernelOf).
 */
import type { ConformCase } from '../conform/case.ts'
import type { KernelRun } from '../conform/report.ts'
import type { GuestData } from '../guest/guest_data.ts'
import type { Calibration, HostCpu } from '../hw/calibration.ts'
import type { KernelEvents } from '../run/kernel_events.ts'
import type { KernelMigrateOptions, KernelReport } from '../run/kernel_report.ts'
import type { StopSignal } from './command.ts'
import { ExitCode, type Host, HostError } from './host.ts'

export interface HostKernel {
  /** Never throws for what the host lacks: it tells. */
  info(): Promise<KernelInfo>
  /** Runs conformance cases, each in a process of its own, and tells of each what came of it; of none if it was stopped. */
  conform(cases: readonly ConformCase[], stop: StopSignal): Promise<readonly KernelRun[]>
  /** Measures this host; null if it was stopped before the end. */
  calibrate(options: CalibrateOptions): Promise<Calibration | null>
  /** Where a calibration of this host is kept; its folder is made. */
  calibrationPath(): Promise<string>
  /** What is kept there; null where nothing is. The file lies where the kernel is, which a page's own files do not. */
  keptCalibration(): Promise<string | null>
  keepCalibration(text: string): Promise<void>
  /** What a calibration must be of to be good for this host. */
  identity(): Promise<{ readonly release: string; readonly cpu: HostCpu }>
  /** Records the memory of a process into a guest file. Throws HostError. */
  capture(request: CaptureRequest, watch: CaptureWatch): Promise<CaptureReport>
  /**
   * Migrates a guest between two processes of this host. Whatever goes wrong on the way is in the report; throws HostError where it
   * cannot begin. When it has answered nothing of it is left. Null: it was stopped before the migration began. `data`: what the guest's
   * files hold, where it has some.
   */
  migrate(run: KernelMigrateOptions, watcher: KernelWatcher, data?: GuestData): Promise<KernelReport | null>
}

/** Whoever watches a migration on the kernel, and may end it. */
export interface KernelWatcher {
  /** A few times a second. */
  readonly onProgress: (progress: KernelProgress) => void
  /**
   * What happened since the last time, ten times a second: the first is empty and says that the guest begins to boot, the last has
   * the rest. Who does not ask is not told, and nothing is written down.
   */
  readonly onEvents?: (events: KernelEvents) => void
  readonly stop: StopSignal
}

export interface KernelProgress {
  readonly phase: 'boot' | 'before' | 'during' | 'after'
  readonly status: string
  readonly pagesTotal: number
  readonly pagesSent: number
  readonly transferredBytes: number
  readonly requests: number
  readonly loadsChecked: number
  readonly mismatches: number
}

export interface CalibrateOptions {
  /** How often everything is measured: the quietest time counts. */
  readonly passes: number
  readonly onProgress: (share: number, what: string) => void
  readonly stop: StopSignal
}

/** Whose memory, for how long, and where to. */
export interface CaptureRequest {
  /** The process; null: the command's. */
  readonly pid: number | null
  /** The words of a command to start, with no shell between; empty where there is a process. */
  readonly command: readonly string[]
  /** null: as long as the command runs. */
  readonly durationNs: number | null
  readonly intervalNs: number
  readonly output: string
  readonly withContents: boolean
  /** What the command prints goes to stderr, because stdout has something else. */
  readonly stdoutIsTaken: boolean
}

export interface CaptureWatch {
  readonly stop: StopSignal
  onProgress(progress: CaptureProgress): void
}

export interface CaptureProgress {
  readonly seconds: number
  /** Populated pages so far, and looks at all of them. */
  readonly pages: number
  readonly samples: number
}

/** `capture --json`, but for its schema. */
export interface CaptureReport {
  readonly pid: number
  /** The name of the process. */
  readonly command: string
  /** Populated pages of private memory; of these, zero ones, ones that came after the first look, and contents that differ. */
  readonly pages: number
  readonly zeroPages: number
  readonly laterPages: number
  readonly distinctPages: number
  readonly vmas: number
  readonly samples: number
  /** Between two samples, reached on the average; ms. */
  readonly sampleInterval: number
  /** ms */
  readonly duration: number
  /** Pages that changed at least once. */
  readonly changedPages: number
  /** Changes a second: each sample counts a page once. */
  readonly dirtyPagesRate: number
  readonly output: string
  /** Of the file. */
  readonly bytes: number
  readonly withContents: boolean
  /** Why it ended: the time was over, the process was, it began to run another program, somebody asked, or the file holds no more samples. */
  readonly ended: 'duration' | 'exit' | 'exec' | 'interrupted' | 'full'
}

/** `kernel info --json`. */
export interface KernelInfo {
  /** `6.18.44`; the name of the system where it is not Linux. */
  readonly release: string
  readonly machine: string
  /** The kernel has userfaultfd. */
  readonly userfaultfd: boolean
  /** This process may use it for faults of the kernel's own, too. */
  readonly permitted: boolean
  /** Why not, and the remedy; null where it is permitted. */
  readonly why: string | null
  /** By the kernel's names without UFFD_FEATURE_; also where it is not permitted. Empty where the kernel may not even be asked. */
  readonly features: readonly string[]
  readonly move: boolean
  readonly pagemapScan: boolean
  readonly wpAsync: boolean
  readonly pageSize: number
  /** Bytes of the sizes that hugetlb knows. */
  readonly hugePageSizes: readonly number[]
  /** `always`, `madvise` or `never`; null where there is none. */
  readonly thp: string | null
  readonly cpus: number
  readonly memoryBytes: number
}

/** Throws HostError with exit code 126 where there is no way to a kernel. */
export function hostKernelOf(host: Host): HostKernel {
  if (host.kernel !== undefined) return host.kernel
  throw new HostError(
    'there is no way from here to the kernel of this machine; run it in a terminal: npm run -s pageferry -- kernel info',
    ExitCode.notPermitted,
  )
}
