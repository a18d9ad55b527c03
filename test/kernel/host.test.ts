/**
 * Tests that need the host's kernel say by name why they are skipped where they are: each host that cannot has its sentence.
 */
import { expect, it } from 'vitest'
import { whyNoPuppets } from '../../main/kernel/conform/puppets.ts'
import { named, whyNoKernel } from './host.ts'

const GOOD = { why: null, move: true, pagemapScan: true, wpAsync: true }

it.each([
  [GOOD, null],
  [{ ...GOOD, why: "userfaultfd is Linux's own, and this is darwin" }, "userfaultfd is Linux's own, and this is darwin"],
  [{ ...GOOD, move: false }, 'this kernel has no UFFDIO_MOVE (6.8)'],
  [{ ...GOOD, pagemapScan: false }, 'this kernel has no PAGEMAP_SCAN with WP_ASYNC (6.7)'],
  [{ ...GOOD, wpAsync: false }, 'this kernel has no PAGEMAP_SCAN with WP_ASYNC (6.7)'],
])('a host with %o: %s', (info, why) => {
  expect(whyNoKernel(info)).toBe(why)
})

it('the threads of cases are for x86-64 alone, and elsewhere that is said', () => {
  expect(whyNoPuppets('x64')).toBeNull()
  expect(whyNoPuppets('arm64')).toMatch(/x86-64 machine code, and this is arm64/)
})

it('a group that is skipped has the reason in its name, and one that runs has not', () => {
  expect(named('a migration', 'there is no kernel')).toBe('a migration (skipped: there is no kernel)')
  expect(named('a migration', null)).toBe('a migration')
})
