/**
 * The CPUs that a run may be told by name, in the order in which they are offered.
 *
 * Each stands in a file of its own, with the origin of every field; a preset may also be read from a file (core/shell/cpu_file.ts).
 */
import type { CpuPreset } from '../preset.ts'
import { APPLE_M1 } from './apple_m1.ts'
import { GOLDEN_COVE } from './golden_cove.ts'
import { NEOVERSE_V2 } from './neoverse_v2.ts'
import { SKYLAKE } from './skylake.ts'
import { THIS_VM } from './this_vm.ts'
import { ZEN2 } from './zen2.ts'
import { ZEN5 } from './zen5.ts'

export const CPU_PRESETS: readonly CpuPreset[] = [ZEN5, ZEN2, SKYLAKE, GOLDEN_COVE, NEOVERSE_V2, APPLE_M1, THIS_VM]
