/**
 * `bench`: a load measured several times, each figure as median, low and high.
 *
 * This file knows which suites there are and what they may be told; each suite is a file of its own beside this one. All answer
 * `pageferry.bench/1`: rows of a name, the options, the seeds and the metric.
 */
import type { Command } from '../command.ts'
import { benchFaults } from './bench_faults.ts'
import { benchMmu } from './bench_mmu.ts'
import { FAULT_CHOICES } from './migrate_specs.ts'

export const benchCommand: Command = {
  name: 'bench',
  group: 'Migration',
  summary: 'measures a load over several seeds',
  description:
    'faults: how much it is worth that page faults do not wait for mmap_lock. ebizzy: 24 threads of one process map, touch and unmap; ' +
    'compile: 24 processes of one thread each. Simulated time: the same on every host. ' +
    'mmu: how many accesses a second of host time the model of the MMU translates. Exits 0, or 130 when interrupted.',
  positionals: [
    {
      name: 'SUITE',
      meaning: 'what to measure',
      required: true,
      choices: [
        { word: 'faults', meaning: 'the ways in which page faults find their VMA' },
        { word: 'mmu', meaning: 'accesses a second through TLBs, walk caches and page tables: zipf, uniform, sequential' },
      ],
    },
  ],
  options: [
    { name: 'faults', kind: 'enum', meaning: 'faults: one way only; without it, all', choices: FAULT_CHOICES },
    { name: 'quick', kind: 'flag', common: true, meaning: 'fewer seeds, and less of each' },
    { name: 'json', kind: 'flag', common: true, meaning: 'print the result as one JSON object' },
  ],
  examples: [
    { line: 'bench faults --quick', meaning: 'three paths, two loads, in a few seconds' },
    { line: 'bench faults --faults vma-lock --json', meaning: 'one path, as JSON' },
    { line: 'bench mmu --quick', meaning: 'the speed of the MMU model on this host' },
  ],
  run: (context) => (context.arguments.positionals[0] === 'mmu' ? benchMmu(context) : benchFaults(context)),
}
