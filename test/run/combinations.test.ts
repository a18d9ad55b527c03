/**
 * Whatever the command line accepts ends: completed, and every page as the guest left it. Modes, resolvers, page sizes and the capabilities
 * that change how pages travel, together, in random combinations over 4 MiB.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Capabilities, DEFAULT_CAPABILITIES } from '../../core/migration/capabilities.ts'
import { MODES, RESOLVERS } from '../../core/run/options.ts'
import { contradiction, settleCapabilities } from '../../core/run/settings.ts'
import { finish, MIB, small } from './small.ts'

const SWITCHED = ['postcopy-preempt', 'multifd', 'xbzrle', 'release-ram', 'auto-converge'] as const
const BASE = { ...small().parameters }

const combination = fc.record({
  mode: fc.constantFrom(...MODES),
  resolver: fc.constantFrom(...RESOLVERS),
  pageSizeBytes: fc.constantFrom(4096, 2 * MIB),
  guest: fc.constantFrom('sweep:rate=20MB/s', 'uniform:rate=50k/s', 'kv'),
  vcpus: fc.constantFrom(1, 2),
  postcopyAfter: fc.constantFrom({ passes: 1 }, { passes: 2 }, { ns: 5e6 }),
  switched: fc.subarray([...SWITCHED]),
  zeros: fc.constantFrom('none', 'legacy', 'multifd'),
  seed: fc.nat(1000),
})

it('what is accepted completes, and is consistent', () => {
  let ended = 0
  fc.assert(
    fc.property(combination, ({ switched, zeros, ...options }) => {
      const named: Partial<Capabilities> = Object.fromEntries(switched.map((name) => [name, true]))
      const parameters = { ...BASE, 'zero-page-detection': zeros as (typeof BASE)['zero-page-detection'] }
      const settled = settleCapabilities({ mode: options.mode, capabilities: named, parameters, dirtyTracking: null })
      fc.pre(settled.ok)
      const { capabilities } = settled.ok ? settled : { capabilities: DEFAULT_CAPABILITIES }
      const all = { memBytes: 4 * MIB, ...options, capabilities, parameters }
      fc.pre(contradiction(small(all)) === null)
      const run = finish(all)
      const { migration, consistency } = run.report()
      expect(migration.status, migration['error-desc']).toBe('completed')
      expect(consistency).toMatchObject({ verdict: 'consistent', lost: 0, missing: 0, pagesCompared: run.pages })
      ended++
    }),
    { numRuns: 30 },
  )
  expect(ended).toBeGreaterThan(15)
})
