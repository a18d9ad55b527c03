/**
 * trace: real programs, one on each vCPU: a.lackey.gz, or a.lackey.gz+b.lackey.gz and so on; the vCPUs left over idle.
 *
 * Each program has its own part of guest memory, of the same size for all, and runs at its own pace. lackey.ts reads the files.
 * Ours: ten million accesses a second of each, a hundredth or so of a CPU's speed, so that a trace lasts.
 */
import { GuestError, type GuestKind } from './guest_kind.ts'
import { LackeyWorkload } from './lackey.ts'

export const TRACE: GuestKind = {
  name: 'trace',
  summary:
    'a real program: the file of valgrind --tool=lackey --trace-mem=yes, plain or gzip; several joined by + run on a vCPU each',
  keys: [{ key: 'rate', unit: 'rate', fallback: '10M/s', meaning: 'memory accesses a second, of each program' }],
  example: 'path/to/program.lackey.gz',
  op: 'one memory access of the program',
  content: 'heap',
  contentSource: 'ours: a trace has addresses only',
  make(setup) {
    const { paths, ramPages, vcpus } = setup
    if (paths.length > vcpus)
      throw new GuestError(`${paths.length} traces need a vCPU each, and the guest has ${vcpus}; give --vcpus ${paths.length}`)
    const edge = (i: number) => Math.floor((ramPages * i) / paths.length)
    const thinkNs = 1e9 / setup.rate(8)
    return setup.each((_, i) => (i < paths.length ? new LackeyWorkload(paths[i], thinkNs, edge(i + 1) - edge(i), edge(i)) : null))
  },
}
