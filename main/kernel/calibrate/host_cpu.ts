/**
 * Which CPU this host has, as its kernel tells: a calibration is good for that CPU and no other.
 *
 * Source: /proc/cpuinfo; on Arm there is no name in it, and Node's stands in.
 */
import { readFileSync } from 'node:fs'
import { arch, availableParallelism, cpus } from 'node:os'
import type { HostCpu } from '../../../core/hw/calibration.ts'

export function hostCpu(): HostCpu {
  let info = ''
  try {
    info = readFileSync('/proc/cpuinfo', 'utf8')
  } catch {
    // Without /proc, what Node knows.
  }
  const field = (name: string) => new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(info)?.[1]?.trim() ?? ''
  return {
    name: field('model name') || cpus()[0]?.model || arch(),
    vendor: field('vendor_id'),
    family: Number(field('cpu family')) || 0,
    model: Number(field('model')) || 0,
    cpus: availableParallelism(),
  }
}
