/**
 * The process that calibrates, and its second thread: a program of its own, so that whoever asked can end it whatever it waits for.
 *
 * It measures in passes and tells how far it is, then what it found; messages go to the process that forked it. Bundled beside the
 * command line program. Pairs with calibrate.ts.
 */
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import type { Calibration, Reach } from '../../../core/hw/calibration.ts'
import { NotPermitted } from '../sys/errors.ts'
import { endWithParent } from '../sys/parent.ts'
import { makeCalls } from './calls.ts'
import { EXCHANGE_COSTS } from './exchange_costs.ts'
import { hostCpu } from './host_cpu.ts'
import { condensed, type Measurement, type Rig } from './measurement.ts'
import { MEMORY_COSTS } from './memory_costs.ts'
import { bePartner, PARTNER_BYTES, Partner } from './partner.ts'
import { lowest, tlbReach } from './tlb_reach.ts'

export type CalibrateMessage =
  | { readonly kind: 'progress'; readonly done: number; readonly of: number; readonly name: string }
  | { readonly kind: 'found'; readonly calibration: Calibration }
  | { readonly kind: 'refused'; readonly why: string; readonly notPermitted: boolean }

interface PartnerData {
  readonly shared: SharedArrayBuffer
  readonly cpus: readonly number[]
}

if (isMainThread) {
  try {
    endWithParent()
    tell({ kind: 'found', calibration: calibrate(Number(process.argv[2])) })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    tell({ kind: 'refused', why, notPermitted: error instanceof NotPermitted })
  }
  // The parent ends it when it has heard.
} else {
  const { shared, cpus } = workerData as PartnerData
  bePartner(shared, makeCalls(), cpus)
}

function tell(message: CalibrateMessage): void {
  process.send?.(message)
}

function calibrate(passes: number): Calibration {
  const cpus = allowedCpus()
  const shared = new SharedArrayBuffer(PARTNER_BYTES)
  const data: PartnerData = { shared, cpus }
  const worker = new Worker(new URL(import.meta.url), { workerData: data })
  worker.unref()
  const rig: Rig = { calls: makeCalls(), partner: new Partner(shared), cpus }
  const measurements = [...MEMORY_COSTS, ...EXCHANGE_COSTS].filter((one) => cpus.length > 1 || one.needsTwoCpus !== true)
  const rounds = new Map<Measurement, number[][]>(measurements.map((one) => [one, []]))
  const curves: Reach[][] = []
  for (let pass = 0; pass < passes; pass++) {
    for (const [i, one] of measurements.entries()) {
      tell({ kind: 'progress', done: pass * measurements.length + i, of: passes * measurements.length, name: one.name })
      rounds.get(one)?.push(one.rounds(rig))
    }
    curves.push(tlbReach())
  }
  rig.partner.end()
  const ffi = measurements.find(({ name }) => name === 'ffi')
  const ffiNs = ffi === undefined ? 0 : condensed(ffi, rounds.get(ffi) ?? [], 0).seen
  return {
    schema: 'pageferry.calibration/1',
    release: release(),
    cpu: hostCpu(),
    measured: measurements.map((one) => condensed(one, rounds.get(one) ?? [], ffiNs)),
    reach: lowest(curves),
    pipeline: [],
  }
}

/** Those that this process may run on: `0-1` or `0,2-3`. */
function allowedCpus(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return list.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}
