/**
 * The virtual machine that this project was measured on: two virtual CPUs of a Zen 5. Geometry as zen5; what a virtual machine makes
 * dearer (exits, IPIs, waking a CPU that is idle) as measured there, with Linux 6.18.
 *
 * Sum of a userfault with the handler on another CPU: 55 to 67 us measured; here two wake-ups of 27 us and the handler's calls.
 */
import type { CpuPreset } from '../preset.ts'
import { ZEN5 } from './zen5.ts'

export const THIS_VM: CpuPreset = {
  ...ZEN5,
  id: 'this-vm',
  name: 'Zen 5 in a virtual machine',
  ipiSendNs: { value: 2000, kind: 'ours', source: 'split of 12 us for one IPI: the exit for the write to the controller' },
  ipiHandleNs: {
    value: 10_000,
    kind: 'measured',
    source: 'the rest of 12 us: madvise of 1 page 1.2 us alone, 13 to 15 us with another CPU',
  },
  ipiClusterCpus: { value: 1, kind: 'ours', source: 'each write to the controller is an exit of its own' },
  syscallNs: { value: 130, kind: 'measured', source: 'getppid' },
  faultNs: { value: 1000, kind: 'measured', source: '1.34 to 1.44 us an anonymous write fault, less 0.4 for the page' },
  allocPageNs: { value: 100, kind: 'ours', source: 'split of 1.34 to 1.44 us an anonymous write fault' },
  clearPageNs: { value: 300, kind: 'ours', source: 'split of 1.34 to 1.44 us an anonymous write fault' },
  copyPageNs: { value: 800, kind: 'measured', source: '2.0 to 2.4 us a copy-on-write fault, less the fault and the allocation' },
  wakeupNs: { value: 27_000, kind: 'measured', source: 'half of 55 to 67 us a userfault handled on another, idle CPU' },
}
