/**
 * The state of a machine's devices and vCPUs: what it takes in the stream, and how long it is saved and loaded while the guest stands.
 *
 * A device on the PCI bus is saved and loaded with its config space, and loading maps its BARs anew; that is most of the time. The
 * board (interrupt controllers, timers, the chip set) and each vCPU add to it. Measured here, once, with a QEMU 7.2 whose trace names
 * each section (vmstate_save, vmstate_load; docs/fidelity.md): about 0.3 ms to save and 0.4 to 0.7 ms to load a PCI device; 0.4 ms
 * and 0.8 ms the board; 112 kB in the stream with one disk, 377 kB with eight devices, 10 kB more a vCPU. With eight devices, the small virtio
 * machine, that is the 7 ms which others report for small machines (cloud-hypervisor PR 7033; V-Recover: 7 to 12 ms in all).
 * @qemu qemu_savevm_state_complete_precopy_non_iterable, vmstate_save_state, pci_device_save
 */
import type { Link } from '../hw/link.ts'
import type { CpuPreset } from '../hw/preset.ts'

const BOARD_SAVE_NS = 400_000
const BOARD_LOAD_NS = 800_000
const BOARD_BYTES = 96 * 1024
const PCI_SAVE_NS = 325_000
const PCI_LOAD_NS = 400_000
const PCI_BYTES = 20 * 1024
const VCPU_BYTES = 16 * 1024

export interface DeviceState {
  readonly saveNs: number
  readonly loadNs: number
  readonly bytes: number
}

/** Of a machine with so many devices on its PCI bus; or as it was measured, with the CPU's preset. */
export function deviceState(devices: number, vcpus: number, program?: CpuPreset['program']): DeviceState {
  if (program !== undefined)
    return { saveNs: program.deviceSaveNs.value, loadNs: program.deviceLoadNs.value, bytes: program.deviceBytes.value }
  return {
    saveNs: BOARD_SAVE_NS + devices * PCI_SAVE_NS,
    loadNs: BOARD_LOAD_NS + devices * PCI_LOAD_NS,
    bytes: BOARD_BYTES + devices * PCI_BYTES + vcpus * VCPU_BYTES,
  }
}

/** What a switch costs besides sending pages: save, send and load. */
export function switchoverCostNs({ saveNs, loadNs, bytes }: DeviceState, stream: Link): number {
  return saveNs + (bytes * 1e9) / stream.goodputBytesPerSec + stream.delayNs + loadNs
}
