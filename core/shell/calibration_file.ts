/**
 * The file that `kernel calibrate` writes: a CPU preset that `--cpu FILE` takes, and with it, under `calibration`, all that was measured.
 *
 *     { "schema": "pageferry.cpu/1", "id": "calibrated", "base": "zen5", "faultNs": { ... }, ...,
 *       "calibration": { "schema": "pageferry.calibration/1", "release": "6.18.44", "cpu": { ... }, "measured": [ ... ], ... } }
 *
 * Only fields that differ from the preset's stand in the file, each with what it was made of. Pairs with cpu_file.ts, which reads it.
 */
import { type Calibration, calibratedPreset, type HostCpu, nearestPreset } from '../hw/calibration.ts'
import type { CpuPreset } from '../hw/preset.ts'
import { CPU_PRESETS } from '../hw/presets/catalog.ts'
import { ZEN5 } from '../hw/presets/zen5.ts'
import { CPU_SCHEMA } from './cpu_file.ts'

export function presetOf(calibration: Calibration): CpuPreset {
  return calibratedPreset(calibration, baseOf(calibration))
}

function baseOf({ cpu }: Calibration): CpuPreset {
  return CPU_PRESETS.find(({ id }) => id === nearestPreset(cpu)) ?? ZEN5
}

/** What a calibration and its preset are written as. */
export function calibrationFile(calibration: Calibration, preset: CpuPreset): Record<string, unknown> {
  const base = baseOf(calibration)
  const own = Object.entries(preset).filter(([field, value]) => base[field as keyof CpuPreset] !== value)
  return { schema: CPU_SCHEMA, base: base.id, ...Object.fromEntries(own), calibration }
}

/** Whether it was measured on this kernel and this CPU. */
export function isOf({ release, cpu }: Calibration, host: { readonly release: string; readonly cpu: HostCpu }): boolean {
  const { vendor, family, model, name, cpus } = host.cpu
  return (
    release === host.release &&
    cpu.vendor === vendor &&
    cpu.family === family &&
    cpu.model === model &&
    cpu.name === name &&
    cpu.cpus === cpus
  )
}
