/**
 * The migration of a run: both sides with their threads, as the options say; the run's story goes on when it is over.
 *
 * Which threads there are depends on the capabilities: without postcopy-ram nobody listens and nobody handles faults.
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Machine } from '../machine/machine.ts'
import { Destination } from '../migration/destination.ts'
import { deviceState, switchoverCostNs } from '../migration/device_state.ts'
import { DirtyRings } from '../migration/dirty_rings.ts'
import { mapHostPages } from '../migration/host_page.ts'
import { PagemapTracker } from '../migration/pagemap_tracker.ts'
import { PAGE_RECORD_BYTES, placeBatchPages } from '../migration/parameters.ts'
import type { PrecopyDrive } from '../migration/precopy_drive.ts'
import { Rates } from '../migration/rates.ts'
import { IoctlResolver, RemapResolver } from '../migration/resolver.ts'
import { Source } from '../migration/source.ts'
import type { MigrationRun } from './migration_run.ts'
import { dirtiedBytes } from './progress.ts'
import { type Multifd, makeMultifd, startMultifd } from './start_multifd.ts'
import { Throttling } from './throttling.ts'

export interface Sides {
  readonly outgoing: Source
  readonly incoming: Destination
}

/** Starts it now; `main` is woken when it is over. */
export function startMigration(run: MigrationRun, main: Thread): Sides {
  const { options, source, destination, channels, state, recorder, pages, ramPage, vm, hostPages } = run
  const { stream, returnPath, urgent, xbzrle } = channels
  const { preset } = source.kernel
  const devices = deviceState(options.devices, vm.vcpus.length, preset.program)
  const isSnapshot = options.capabilities['background-snapshot']
  const precopied = options.mode !== 'postcopy'
  const multifd = precopied ? makeMultifd(run) : null
  const rates = makeRates(run, multifd)
  run.rates = rates
  const rings = precopied && options.dirtyTracking === 'ring' ? makeRings(run) : null
  const scans = precopied && options.dirtyTracking === 'pagemap'
  const tracker = rings ?? (scans ? new PagemapTracker(run.sourceProcess, ramPage, pages) : null)
  const throttling = new Throttling(run, rings)
  run.throttling = throttling
  const outgoing = new Source({
    process: run.sourceProcess,
    ...(tracker === null ? {} : { tracker }),
    ramPage,
    pages,
    hostPages,
    deviceState: devices,
    stream,
    returnPath,
    ...(urgent === null ? {} : { urgent }),
    ...(xbzrle === null ? {} : { xbzrle }),
    ...(multifd === null ? {} : { multifd: multifd.send }),
    // As the real one does.
    looksFirst: preset.program !== undefined,
    findsZerosFirst: options.parameters['zero-page-detection'] === 'legacy',
    sendsZeroPages: options.parameters['zero-page-detection'] === 'none',
    ...(options.capabilities['release-ram'] ? { releases: 'when sent' } : {}),
    state,
    recorder,
    policy: run.prepaging.policy,
    pushQueueBytes: run.prepaging.queueBytes,
    maxPostcopyBandwidth: options.parameters['max-postcopy-bandwidth'],
    freePages: options.freePageHints ? run.free.hint() : null,
    ...(precopied && !isSnapshot ? { precopy: makeDrive(run, rates, throttling.syncEveryNs) } : {}),
    onSync: (k, dirtied) => {
      run.forecaster.passed(k.nowNs, dirtied * 4096)
      throttling.synced(k, dirtied)
      xbzrle?.synced(k.nowNs, state.normal + state.duplicate)
    },
    stopVcpus: (k) => vm.stop(k),
    startVcpus: (k) => {
      state.downtimeEndNs = k.nowNs
      vm.start(k, run.sourceProcess, ramPage)
    },
    ...(options.capabilities['pause-before-switchover'] ? { pausesBeforeSwitchover: () => run.control.attended } : {}),
    ...(isSnapshot ? { onSnapshot: () => takeImage(run) } : {}),
    destinationHas: () => incoming.has,
  })
  // Each channel that brings pages in post-copy has a temporary page of its own.
  const buffers = urgent === null ? 1 : 2
  const incoming: Destination = new Destination({
    process: run.destinationProcess,
    ramPage,
    pages,
    stream,
    returnPath,
    ...(urgent === null ? {} : { urgent }),
    ...(multifd === null ? {} : { multifd: multifd.receiver }),
    precopied,
    keepsImage: isSnapshot,
    resolver:
      options.resolver === 'remap'
        ? new RemapResolver(run.destinationProcess, hostPages, buffers, placeBatchPages(preset))
        : new IoctlResolver(run.destinationProcess, options.resolver, hostPages, buffers, false, placeBatchPages(preset)),
    recorder,
    deviceState: devices,
    startVcpus: (k) => {
      state.downtimeEndNs = k.nowNs
      throttling.end()
      vm.walked = run.firstTouches.touched
      vm.start(k, run.destinationProcess, ramPage)
    },
  })
  state.onChange = (status, nowNs) => {
    if (state.isOver) {
      throttling.end()
      state.error ||= incoming.error
      main.wake(state.endNs)
    }
    run.incidents.entered(status, nowNs)
    if (run.incidents.isStuck) main.wake(nowNs)
  }
  const incomingMain = destination.makeThread('main')
  const start = (machine: Machine, name: string, life: (k: Thread) => Proc<void>) => {
    const k = machine.makeThread(name)
    machine.start(k, life(k), main.nowNs)
  }
  destination.start(incomingMain, mapAndRun(incomingMain, run, incoming), main.nowNs)
  if (multifd !== null) startMultifd(run, multifd, incoming, main.nowNs)
  if (options.capabilities['postcopy-ram']) {
    start(destination, 'listen', (k) => incoming.listen(k))
    start(destination, 'fault', (k) => incoming.fault(k))
    if (urgent !== null) start(destination, 'preempt', (k) => incoming.preempt(k, urgent))
  }
  if (rings !== null) start(source, 'kvm-reaper', (k) => rings.reaper(k))
  start(source, 'return path', (k) => outgoing.returnPath(k))
  start(source, 'migration', (k) => outgoing.migrate(k))
  return { outgoing, incoming }
}

/** What the image has to be: the guest's memory as it is now. */
function takeImage(run: MigrationRun): void {
  run.image = run.shadow.copy()
}

/** A ring for each vCPU, which leaves the guest when it is full. @qemu dirty-ring-size */
function makeRings({ vm, sourceProcess, ramPage, pages }: MigrationRun): DirtyRings {
  const cpus = vm.threads.map((thread) => thread.cpu.id)
  const rings = new DirtyRings(sourceProcess, ramPage, pages, cpus)
  vm.guest.exits = rings
  return rings
}

function makeRates(run: MigrationRun, multifd: Multifd | null): Rates {
  const { options, channels, state, vm } = run
  return new Rates({
    put: () => channels.bytesSent,
    queued: (nowNs) => channels.bytesQueued(nowNs),
    held: () => (multifd?.send.held ?? 0) * PAGE_RECORD_BYTES,
    downtimeLimitNs: options.downtimeLimitNs,
    fixedNs: () =>
      switchoverCostNs(deviceState(options.devices, vm.vcpus.length, run.source.kernel.preset.program), channels.stream) +
      state.syncNs,
    availSwitchoverBandwidth: options.parameters['avail-switchover-bandwidth'],
    maxBandwidth: options.parameters['max-bandwidth'],
  })
}

/** Post-copy is asked for after some passes, or some time. @qemu migrate-start-postcopy */
function makeDrive(run: MigrationRun, rates: Rates, syncEveryNs: number): PrecopyDrive {
  const { options, state } = run
  const after = options.postcopyAfter
  const isTime = (k: Thread) => ('passes' in after ? state.dirtySyncCount > after.passes : k.nowNs - state.startNs >= after.ns)
  return {
    rates,
    onIteration: (k) => run.forecaster.look(k.nowNs, dirtiedBytes(run)),
    asked: (k) => (run.control.postcopyAsked || (options.mode === 'hybrid' && isTime(k)) ? 'postcopy' : null),
    syncEveryNs,
  }
}

function* mapAndRun(k: Thread, run: MigrationRun, incoming: Destination): Proc<void> {
  run.destinationProcess.adopt(k)
  const page = yield* mapHostPages(k, run.destinationProcess, run.pages, run.backing)
  if (page !== run.ramPage) throw new Error(`destination RAM at page ${page}, source RAM at page ${run.ramPage}`)
  yield* incoming.main(k)
}
