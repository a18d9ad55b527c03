/**
 * AMD Zen 5, bare metal. TLB geometry from AMD's optimisation guide 58455 and confirmed by a pointer chase (knees at 96
 * pages and 4,096 pages); event costs from published measurements, each with its origin.
 */
import type { CpuPreset } from '../preset.ts'

const AMD = 'AMD 58455, software optimization guide for family 1Ah; jiegec, TLB measurements'

export const ZEN5: CpuPreset = {
  id: 'zen5',
  name: 'AMD Zen 5',
  clockGHz: { value: 4, kind: 'ours', source: 'a round sustained clock; latencies below are in cycles' },
  l1Entries: { value: 96, kind: 'vendor', source: AMD },
  l2Entries: { value: 4096, kind: 'vendor', source: AMD },
  l2Ways: { value: 16, kind: 'vendor', source: AMD },
  l2PenaltyCycles: { value: 7, kind: 'measured', source: '4 to 11 cycles: 88 pages 1.04 ns, 104 pages 2.9 ns' },
  pwcEntries: [
    { value: 4, kind: 'ours', source: 'unpublished; ChampSim default for PML4' },
    { value: 16, kind: 'ours', source: 'unpublished; Zen keeps PDEs in its L2 TLB, modelled as caches of their own' },
    { value: 64, kind: 'ours', source: 'unpublished; Zen keeps PDEs in its L2 TLB, modelled as caches of their own' },
  ],
  walkRefCycles: { value: 14, kind: 'memory', source: 'a PTE line found in the L2 cache' },
  accessCycles: { value: 4, kind: 'measured', source: 'load-to-use of an L1 hit' },
  invlpgCycles: { value: 150, kind: 'memory', source: '100 to 200 cycles' },
  ipiSendNs: { value: 300, kind: 'memory', source: 'acknowledgement takes 1000 cycles or more (Amit et al.); split by us' },
  ipiClusterCpus: { value: 16, kind: 'vendor', source: 'x2APIC cluster mode: one ICR write reaches up to 16 logical CPUs' },
  ipiHandleNs: { value: 500, kind: 'memory', source: 'acknowledgement takes 1000 cycles or more (Amit et al.); split by us' },
  syscallNs: { value: 130, kind: 'measured', source: 'getppid on Zen 5, in a virtual machine' },
  faultNs: { value: 500, kind: 'memory', source: 'half of a 1.0 us anonymous write fault (rdtsc, Core i7 11th gen)' },
  clearPageNs: { value: 400, kind: 'memory', source: 'rest of that fault: allocate and zero' },
  copyPageNs: { value: 250, kind: 'ours', source: '4 KiB at 16 GB/s' },
  wakeupNs: { value: 2000, kind: 'ours', source: 'split of 6.7 us a userfault (KVM demand_paging_test, 1 vCPU): wakes 2.0 each' },
  lockNs: { value: 20, kind: 'memory', source: 'an uncontended atomic pair' },
  lineTransferNs: {
    value: 20,
    kind: 'memory',
    source: 'core to core within a CCD (public latency tables); 75 to 180 ns across',
  },
  wakerNs: {
    value: 700,
    kind: 'ours',
    source: 'what waking a sleeper takes of the waker: a third of 2.3 us a switch (pipe ping-pong, measured on Zen 5)',
  },
}

export const CPU_PRESETS: readonly CpuPreset[] = [ZEN5]
