/**
 * The files of a guest, read whole before anything runs: for a real kernel, whose vCPUs are threads that cannot wait for a file.
 *
 * Each file is read once and checked once, here. Pairs with guest_file.ts, which reads captured processes for simulated runs, too.
 */
import { Prng } from '../base/prng.ts'
import type { Capture } from '../guest/capture.ts'
import { type GuestChoice, makeWorkloads } from '../guest/catalog.ts'
import type { GuestData } from '../guest/guest_data.ts'
import { LackeyWorkload } from '../guest/lackey.ts'
import { recordTrace } from '../guest/recorded.ts'
import type { MigrateOptions } from '../run/options.ts'
import type { CommandContext } from './command.ts'

/** Null: stopped. Throws TraceError and HostError. */
export async function guestData(
  { host, stop, terminal }: Pick<CommandContext, 'host' | 'stop' | 'terminal'>,
  guest: GuestChoice,
  { memBytes, vcpus, seed }: MigrateOptions,
  capture: Capture | null,
): Promise<GuestData | null> {
  const traces: Int32Array[] = []
  for (const workload of makeWorkloads(guest, memBytes / 4096, vcpus, new Prng(seed), capture)) {
    if (!(workload instanceof LackeyWorkload)) continue
    terminal.status?.(`reading ${workload.path}`)
    const accesses = await recordTrace(workload, host.open(workload.path), stop)
    if (accesses === null) return null
    traces.push(accesses)
  }
  terminal.status?.('')
  return { traces, capture }
}
