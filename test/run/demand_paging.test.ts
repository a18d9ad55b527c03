/**
 * Demand paging as a load: every page is touched once, the result is the seed's, and the queue of one descriptor is what does not
 * scale. Pairs with core/run/demand_paging.ts.
 */
import { expect, it } from 'vitest'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { DemandPaging, type DemandPagingOptions } from '../../core/run/demand_paging.ts'

function make(vcpus: number, way: DemandPagingOptions['way'], seed = 1): DemandPaging {
  return new DemandPaging({ vcpus, pagesPerVcpu: 16, way, preset: ZEN5, stage2Ns: 200, exitNs: 1000, seed })
}

function rate(vcpus: number, way: DemandPagingOptions['way'], seed = 1): number {
  const run = make(vcpus, way, seed)
  while (run.advance());
  return run.result()
}

it('has no result before every page was touched', () => {
  expect(() => make(4, 'one-uffd').result()).toThrow('0 of 64 pages were touched')
})

it('the same seed gives the same rate, another seed another', () => {
  expect(rate(4, 'one-uffd')).toBe(rate(4, 'one-uffd'))
  expect(rate(4, 'one-uffd', 2)).not.toBe(rate(4, 'one-uffd'))
})

it('one descriptor is slower with 64 vCPUs than with 8; descriptors of their own and exits are not', () => {
  expect(rate(64, 'one-uffd')).toBeLessThan(rate(8, 'one-uffd'))
  expect(rate(64, 'uffd-per-vcpu')).toBeGreaterThan(rate(8, 'uffd-per-vcpu'))
  expect(rate(64, 'vcpu-exit')).toBeGreaterThan(rate(8, 'vcpu-exit'))
})

it('one vCPU gains by not sleeping', () => expect(rate(1, 'vcpu-exit')).toBeGreaterThan(2 * rate(1, 'one-uffd')))
