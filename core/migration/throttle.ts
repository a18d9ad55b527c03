/**
 * Auto-converge: a guest that writes faster than pages are sent gets less and less of its CPUs.
 *
 *  each time that throttle_trigger.ts finds it too fast:  first cpu-throttle-initial percent, then cpu-throttle-increment more, up to
 *  max-cpu-throttle. tailslow: no more than it takes to bring dirtying down to the mark.
 *
 *  the throttle: every vCPU runs for a time slice, and sleeps as long as makes its share of the time what is left to it.
 * @qemu mig_throttle_guest_down, cpu_throttle_thread
 */
import type { MigrationParameters } from './migration_parameters.ts'

/** @qemu CPU_THROTTLE_TIMESLICE_NS */
const TIMESLICE_NS = 10_000_000

/** The throttle on all vCPUs: what share of their time they sleep. */
export class CpuThrottle {
  /** 0: they run freely. */
  percentage = 0

  /** How long a vCPU runs between two sleeps. */
  get sliceNs(): number {
    return this.percentage === 0 ? Number.POSITIVE_INFINITY : TIMESLICE_NS
  }

  /** How long it sleeps then. */
  get sleepNs(): number {
    const share = this.percentage / 100
    return (TIMESLICE_NS * share) / (1 - share)
  }

  /** More of it: `dirtied` bytes in a period, where `mark` would have been little enough. @qemu mig_throttle_guest_down */
  slowDown(parameters: MigrationParameters, dirtied: number, mark: number): void {
    const now = this.percentage
    let next = parameters['cpu-throttle-initial']
    if (now > 0) {
      const running = 100 - now
      const ideal = Math.floor(running * (mark / dirtied))
      const most = parameters['cpu-throttle-increment']
      next = now + (parameters['cpu-throttle-tailslow'] ? Math.min(running - ideal, most) : most)
    }
    this.percentage = Math.min(next, parameters['max-cpu-throttle'])
  }
}
