/**
 * The HostKernel of core/shell for Node on Linux. Each part is loaded when it is first asked for: the program starts without koffi.
 *
 * What the host cannot do (NotPermitted) becomes a HostError with exit code 126.
 */
import { ExitCode, HostError } from '../../core/shell/host.ts'
import type { HostKernel } from '../../core/shell/host_kernel.ts'
import { NotPermitted } from './sys/errors.ts'

export const hostKernel: HostKernel = {
  info: () => asked(async () => (await import('./info.ts')).kernelInfo()),
  conform: (cases, stop) => asked(async () => (await import('./conform/run_cases.ts')).runCasesOnKernel(cases, { stop })),
  calibrate: (options) => asked(async () => (await import('./calibrate/calibrate.ts')).calibrate(options)),
  calibrationPath: async () => (await import('./calibrate/kept.ts')).calibrationPath(),
  keptCalibration: async () => (await import('./calibrate/kept.ts')).keptCalibration(),
  keepCalibration: async (text) => (await import('./calibrate/kept.ts')).keepCalibration(text),
  identity: async () => (await import('./calibrate/kept.ts')).identity(),
  capture: (request, watch) => asked(async () => (await import('./capture/capture.ts')).capture(request, watch)),
  migrate: (run, watcher, data) =>
    asked(async () => (await import('./migrate/coordinator.ts')).migrateOnKernel(run, watcher, data)),
}

async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof NotPermitted) throw new HostError(error.message, ExitCode.notPermitted)
    throw error
  }
}
