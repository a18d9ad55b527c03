/**
 * The witness of a run: hears what a machine's kernel and CPUs do and writes it down as events, in guest pages.
 *
 * What happens to 2 MiB at once is written down for each of its 512 pages: the picture knows pages only.
 *
 * It also keeps the blocktime: a vCPU's sleep begins when handle_userfault puts it to sleep and ends when its fault is
 * over and it runs again. Pairs with core/mm/kernel.ts (KernelHooks) and core/migration/blocktime.ts.
 */
import type { Thread } from '../hw/cpu.ts'
import type { Machine } from '../machine/machine.ts'
import { EventKind } from '../trace/event.ts'
import type { MigrationRun } from './migration_run.ts'

/** An event's argument is a 32-bit number. */
const ARG_MAX = 2 ** 31 - 1

export function watch(run: MigrationRun, machine: Machine): void {
  const { recorder, firstTouches } = run
  const isSource = machine === run.source
  // At the source a vCPU sleeps on a store that a background snapshot has not yet saved.
  const blocktime = isSource ? run.writeFaults : run.blocktime
  const guestPage = (page: number) => {
    const p = page - run.ramPage
    return p >= 0 && p < run.pages ? p : -1
  }
  machine.kernel.hooks = {
    populate: (k, page, zero, pages = 1) => {
      const p = guestPage(page)
      if (p < 0) return
      if (isSource) run.pagesPopulated += pages
      for (let i = 0; i < pages; i++) recorder.event(k.nowNs, EventKind.Populate, k.lane, p + i, zero ? 1 : 0)
    },
    shootdown: (k, page, cpus) => recorder.event(k.nowNs, EventKind.Shootdown, k.lane, guestPage(page), cpus),
    logged: (k, page) => {
      const p = guestPage(page)
      if (p >= 0) recorder.event(k.nowNs, EventKind.Dirty, k.lane, p, 0)
    },
    userfault: (k, page, store) => {
      recorder.event(k.nowNs, EventKind.Fault, k.lane, guestPage(page), store ? 1 : 0)
      const vcpu = run.vm.threads.indexOf(k)
      if (vcpu < 0) return
      blocktime.begin(vcpu, k.nowNs)
      if (!isSource) firstTouches.missing(page)
    },
  }
  machine.onDirty = (k: Thread, page: number, pages: number) => {
    const p = guestPage(page)
    if (p < 0) return
    for (let i = 0; i < pages; i++) recorder.event(k.nowNs, EventKind.Dirty, k.lane, p + i, 0)
  }
  machine.onFaulted = (k: Thread, page: number) => {
    const vcpu = run.vm.threads.indexOf(k)
    if (vcpu < 0 || !blocktime.isBlocked(vcpu)) return
    const ns = blocktime.end(vcpu, k.nowNs)
    recorder.event(k.nowNs, EventKind.Wake, k.lane, guestPage(page), Math.min(ARG_MAX, Math.round(ns)))
  }
}
