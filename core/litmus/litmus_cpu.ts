/**
 * The CPU of a litmus test: no times, and TLBs just large enough that nothing is evicted, so that what a TLB holds depends on
 * flushes alone. Costs are nought because the step gear has no clock.
 */
import type { CpuPreset, Sourced } from '../hw/preset.ts'

const nought: Sourced = { value: 0, kind: 'ours', source: 'the step gear has no time' }
const small = (value: number): Sourced => ({ value, kind: 'ours', source: 'small, and larger than any litmus test needs' })

export const LITMUS_CPU: CpuPreset = {
  id: 'litmus',
  name: 'a CPU of a litmus test',
  clockGHz: small(1),
  l1Entries: small(15),
  l1Ways: small(15),
  l1HugeEntries: nought,
  l1HugeWays: nought,
  l2Entries: small(8),
  l2Ways: small(2),
  l2PenaltyCycles: nought,
  pwcEntries: [small(1), small(1), small(2)],
  nestedPwcEntries: [nought, nought, nought],
  nestedTlbEntries: nought,
  nearTableLines: small(1),
  nearReadCycles: nought,
  farTableLines: small(1),
  farReadCycles: nought,
  memoryReadCycles: nought,
  accessCycles: nought,
  invlpgCycles: nought,
  ipiSendNs: nought,
  ipiClusterCpus: small(16),
  ipiHandleNs: nought,
  syscallNs: nought,
  faultNs: nought,
  allocPageNs: nought,
  clearPageNs: nought,
  copyPageNs: nought,
  wakeupNs: nought,
  lockNs: nought,
  wakerNs: nought,
  lineTransferNs: nought,
}
