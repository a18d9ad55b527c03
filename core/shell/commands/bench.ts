/**
 * `bench`: a load measured over several seeds, each metric as median, low and high.
 *
 * Figures are of simulated time and the same on every host, unless a suite says that it measures the host. A suite is one file
 * beside this one and one name here.
 */
import { PUBLISHED_TABLES } from '../../run/published/catalog.ts'
import type { Command, CommandContext } from '../command.ts'
import { faultsSuite } from './bench_faults.ts'
import { guestperfSuite } from './bench_guestperf.ts'
import { mmuSuite } from './bench_mmu.ts'
import { publishedSuite } from './bench_published.ts'
import { resolversSuite } from './bench_resolvers.ts'
import { scaleSuite } from './bench_scale.ts'
import type { Suite } from './bench_suite.ts'
import { FAULT_CHOICES } from './migrate_specs.ts'

const SUITES: readonly Suite[] = [publishedSuite, guestperfSuite, scaleSuite, resolversSuite, faultsSuite, mmuSuite]

export const benchCommand: Command = {
  name: 'bench',
  group: 'Migration',
  summary: 'measures a load over several seeds, or holds the simulator against published tables',
  description:
    'published: tables that others measured, cell by cell, each with the band that we allow ourselves and its reason. ' +
    "guestperf: QEMU's own matrix, on a guest that never stops writing. " +
    'scale: demand paging with 1 to 256 vCPUs through one userfaultfd, one for each, or none. ' +
    'resolvers: three ways to place a page, over three ways of page faults. ' +
    'faults: how much it is worth that page faults do not wait for mmap_lock. ebizzy: 24 threads of one process map, touch and unmap; ' +
    'compile: 24 processes of one thread each. Simulated time: the same on every host. ' +
    'mmu: how many accesses a second of host time the model of the MMU translates. Exits 0, or 130 when interrupted.',
  positionals: [
    {
      name: 'SUITE',
      meaning: 'what to measure',
      required: true,
      choices: SUITES.map(({ word, meaning }) => ({ word, meaning })),
    },
  ],
  options: [
    {
      name: 'faults',
      kind: 'enum',
      meaning: 'faults and resolvers: one way of page faults only; without it, all',
      choices: FAULT_CHOICES,
    },
    {
      name: 'table',
      kind: 'enum',
      meaning: 'published: one table only; without it, all',
      choices: PUBLISHED_TABLES.map(({ id, title }) => ({ word: id, meaning: title })),
    },
    { name: 'quick', kind: 'flag', common: true, meaning: 'fewer seeds, and less of each' },
    { name: 'json', kind: 'flag', common: true, meaning: 'print the result as one JSON object' },
  ],
  examples: [
    { line: 'bench published --table T5', meaning: 'userfaultfd with 1 to 256 vCPUs, beside what was published' },
    { line: 'bench guestperf --quick', meaning: 'pause, post-copy, auto-converge, xbzrle, multifd' },
    { line: 'bench scale --quick', meaning: 'how one userfaultfd gets slower with more vCPUs' },
    { line: 'bench faults --faults vma-lock --json', meaning: 'one path, as JSON' },
    { line: 'bench mmu --quick', meaning: 'the speed of the MMU model on this host' },
  ],
  run: bench,
}

async function bench(context: CommandContext): Promise<number> {
  const word = context.arguments.positionals[0]
  const suite = SUITES.find((s) => s.word === word)
  if (suite === undefined) throw new Error(`no suite ${word}`)
  const code = await suite.run(context)
  context.terminal.status?.('')
  return code
}
