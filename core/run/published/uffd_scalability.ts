/**
 * T5: how userfaultfd scales with vCPUs, and what leaving its queue out is worth.
 *
 * Source: cover letter of the series for KVM_CAP_EXIT_ON_MISSING, 2023; thousand pages a second of all vCPUs together.
 * The load is core/run/demand_paging.ts.
 */
import type { CpuPreset } from '../../hw/preset.ts'
import { ZEN5 } from '../../hw/presets/zen5.ts'
import { DemandPaging } from '../demand_paging.ts'
import { type PublishedTable, type Values, within } from './table.ts'

const VCPUS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
const VIA_UFFD = [150, 191, 210, 155, 130, 108, 86, 62, 36]
const VIA_EXIT = [340, 477, 809, 1239, 1595, 2299, 3482, 4134, 4012]
const FACTOR = 1.5

/** Pages that all vCPUs touch together, and the least that one does. */
const PAGES = 4096
const PAGES_EACH = 32

const SOURCE = 'two sockets, not named by the source of T5: core/run/published/uffd_scalability.ts'
const ours = (value: number) => ({ value, kind: 'ours' as const, source: SOURCE })

/** The 256 logical CPUs of the published run. What is not here is as on Zen 5. */
const TWO_SOCKETS: CpuPreset = {
  ...ZEN5,
  id: 'two-sockets',
  name: 'two sockets, 256 logical CPUs',
  lineTransferNs: ours(130),
  wakeupNs: ours(3000),
  wakerNs: ours(3000),
}
const STAGE2_NS = 200
const EXIT_NS = 1500

/** The load on that machine. */
export function onTwoSockets(way: DemandPaging['options']['way'], vcpus: number, pages: number, seed: number): DemandPaging {
  const pagesPerVcpu = Math.max(PAGES_EACH, Math.ceil(pages / vcpus))
  return new DemandPaging({ vcpus, pagesPerVcpu, way, preset: TWO_SOCKETS, stage2Ns: STAGE2_NS, exitNs: EXIT_NS, seed })
}

const cell = (way: string, vcpus: number) => `${way}, ${vcpus} vCPU${vcpus === 1 ? '' : 's'}`
const named = (way: string, values: readonly number[]) => VCPUS.map((n, i) => [cell(way, n), values[i]] as const)

export const UFFD_SCALABILITY: PublishedTable = {
  id: 'T5',
  title: 'demand paging through one userfaultfd, and through the exit of the vCPU',
  source: 'KVM_CAP_EXIT_ON_MISSING series (Moorthy, 2023): demand_paging_test -b 64M -u MINOR -s shmem -a -v N -r N [-w]',
  stated: [
    'x86, 256 CPUs',
    'one userfaultfd',
    'as many readers as vCPUs',
    'epoll, EPOLLEXCLUSIVE',
    '4 KiB pages of shmem, UFFDIO_CONTINUE',
  ],
  ours: [
    'a cache line from CPU to CPU 130 ns (public latency tables: 75 to 200 across dies and sockets)',
    'waking a sleeper on another die: 3 us of the waker and until it runs',
    `a stage-2 fault ${STAGE2_NS} ns, an exit to user code and back ${EXIT_NS} ns`,
    `${PAGES} pages in all and ${PAGES_EACH} or more a vCPU instead of 16,384 a vCPU: rates are steady after the first few`,
    'a CPU for each thread',
  ],
  band: 'a factor of 1.5 either way: the machine is not named, and the source gives one setting (1 vCPU) as 150 and 180, and as 340 and 307',
  seeds: 3,
  cells: [
    ...within(FACTOR, 'k pages/s', named('userfaultfd', VIA_UFFD)),
    ...within(FACTOR, 'k pages/s', named('vCPU exit', VIA_EXIT)),
  ],
  measure,
}

function* measure(seed: number): Generator<string, Values, void> {
  const values: Record<string, number> = {}
  for (const [label, way] of [
    ['userfaultfd', 'one-uffd'],
    ['vCPU exit', 'vcpu-exit'],
  ] as const) {
    for (const vcpus of VCPUS) {
      const name = cell(label, vcpus)
      const run = onTwoSockets(way, vcpus, PAGES, seed)
      while (run.advance()) yield name
      values[name] = run.result() / 1000
    }
  }
  return values
}
