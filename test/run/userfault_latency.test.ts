/**
 * A userfault's latency by the call that answers it: MOVE saves a copy, and pays for the next buffer page and for a shootdown.
 */
import { expect, it } from 'vitest'
import { THIS_VM } from '../../core/hw/presets/this_vm.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { UserfaultLatency } from '../../core/run/userfault_latency.ts'

function latencyNs(way: 'copy' | 'move', preset = ZEN5): number {
  const run = new UserfaultLatency({ way, pages: 64, preset })
  while (run.advance()) expect(() => run.result()).toThrow('were touched')
  return run.result()
}

it('is longer with MOVE, whose page must be allocated and cleared first', () => {
  const { allocPageNs, clearPageNs } = ZEN5
  expect(latencyNs('move')).toBeGreaterThan(latencyNs('copy') + allocPageNs.value + clearPageNs.value)
})

it('holds two wake-ups: of the handler, and of the thread that waited', () => {
  for (const preset of [ZEN5, THIS_VM]) expect(latencyNs('copy', preset)).toBeGreaterThan(2 * preset.wakeupNs.value)
})
