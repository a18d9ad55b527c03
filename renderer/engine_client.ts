/**
 * The window's end of the engine: starts the worker and hands out its calls as promises. If the worker cannot start,
 * `onProblem` hears one sentence. Pairs with engine_worker.ts.
 */
import * as Comlink from 'comlink'
import type { CommandOutput } from '../core/api/protocol.ts'
import type { Download } from './browser_host.ts'
import type { WorkerApi } from './engine_worker.ts'

/** The worker's calls, with the functions that are handed to them marked for comlink. */
export type Engine = WorkerApi

export function connectEngine(onProblem: (sentence: string) => void): Engine {
  const worker = new Worker(new URL('./engine_worker.ts', import.meta.url), { type: 'module' })
  worker.addEventListener('error', (event) => {
    onProblem(`The engine stopped: ${event.message || 'its script could not be loaded'}; reload the window to start it again.`)
  })
  const remote = Comlink.wrap<WorkerApi>(worker)
  return {
    command: (line: string, output: CommandOutput, columns: number) => remote.command(line, Comlink.proxy(output), columns),
    interrupt: () => remote.interrupt(),
    complete: (line) => remote.complete(line),
    generation: () => remote.generation(),
    info: () => remote.info(),
    status: () => remote.status(),
    frameAtRow: (row) => remote.frameAtRow(row),
    frameAtTime: (timeNs) => remote.frameAtTime(timeNs),
    series: (binNs) => remote.series(binNs),
    milestones: () => remote.milestones(),
    events: (from, to) => remote.events(from, to),
    biography: (page, limit) => remote.biography(page, limit),
    findRow: (row, dir, kind, page) => remote.findRow(row, dir, kind, page),
    report: () => remote.report(),
    kernelRun: () => remote.kernelRun(),
    prediction: (bins) => remote.prediction(bins),
    races: () => remote.races(),
    raceGeneration: () => remote.raceGeneration(),
    race: () => remote.race(),
    registerFile: (file) => remote.registerFile(file),
    onDownload: (listener: (download: Download) => void) => remote.onDownload(Comlink.proxy(listener)),
    connectKernel: (origin, token) => remote.connectKernel(origin, token),
    connectKernelPort: (port) => remote.connectKernelPort(Comlink.transfer(port, [port])),
  }
}
