/**
 * Costs of kernel events on bare metal, for presets whose CPU nobody measured them on.
 *
 * They come from other machines of the same class, and say so. What a CPU's maker or a measurement states stands in its own preset.
 */
import type { EventCosts } from '../preset.ts'

export const BARE_METAL: EventCosts = {
  invlpgCycles: { value: 150, kind: 'memory', source: '100 to 200 cycles' },
  ipiSendNs: { value: 300, kind: 'memory', source: 'acknowledgement takes 1000 cycles or more (Amit et al.); split by us' },
  ipiClusterCpus: { value: 16, kind: 'vendor', source: 'x2APIC cluster mode: one ICR write reaches up to 16 logical CPUs' },
  ipiHandleNs: { value: 500, kind: 'memory', source: 'acknowledgement takes 1000 cycles or more (Amit et al.); split by us' },
  syscallNs: { value: 130, kind: 'measured', source: 'getppid on Zen 5, in a virtual machine' },
  faultNs: { value: 500, kind: 'memory', source: 'half of a 1.0 us anonymous write fault (rdtsc, Core i7 11th gen)' },
  allocPageNs: {
    value: 100,
    kind: 'ours',
    source:
      'rest of that fault, 0.4 us, less zeroing; the free lists alone take about half of it (page_bench of prototype-kernel)',
  },
  clearPageNs: {
    value: 300,
    kind: 'measured',
    source: '4 KiB at 13.7 GB/s: clear_page on AMD Milan, commit message of "x86/clear_page: introduce clear_pages()"',
  },
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

/**
 * Arm has no IPI for a flush: TLBI ... IS is broadcast by hardware, and DSB waits for all. Counted as one message a CPU, as on
 * x86, but sent with one instruction, and no CPU is interrupted.
 */
export const ARM_BARE_METAL: EventCosts = {
  ...BARE_METAL,
  invlpgCycles: { value: 20, kind: 'ours', source: 'issuing one TLBI; the wait for others is ipiSendNs' },
  ipiSendNs: {
    value: 300,
    kind: 'ours',
    source: 'DSB ISH after a broadcast TLBI; as an x86 acknowledgement, for want of a figure',
  },
  ipiClusterCpus: { value: 256, kind: 'vendor', source: 'Arm ARM: TLBI to the inner shareable domain reaches every CPU of it' },
  ipiHandleNs: { value: 0, kind: 'vendor', source: 'Arm ARM: no interrupt is taken' },
}
