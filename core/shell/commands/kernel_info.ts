/**
 * `kernel info`: what the host's kernel has of userfaultfd and its relatives.
 *
 * Exits 126, with the reason and the remedy in one sentence, where userfaultfd is not there or not permitted; what could be found
 * out is printed all the same.
 */
import { formatSize, spellSize } from '../../base/units.ts'
import type { Command, CommandContext } from '../command.ts'
import { ExitCode } from '../host.ts'
import { hostKernelOf, type KernelInfo } from '../host_kernel.ts'
import { columnsOf, sentence } from '../layout.ts'

export const kernelInfoCommand: Command = {
  name: 'kernel info',
  group: 'Real kernel',
  summary: "what this host's kernel can do",
  description:
    'Release, features of userfaultfd, permission, UFFDIO_MOVE, PAGEMAP_SCAN, page sizes. Exits 126 where userfaultfd cannot be used here, and says what would help.',
  positionals: [],
  options: [{ name: 'json', kind: 'flag', common: true, meaning: 'print it as one JSON object' }],
  examples: [
    { line: 'kernel info', meaning: 'can this machine run kernel migrate?' },
    { line: 'kernel info --json', meaning: 'for scripts' },
  ],
  async run(context: CommandContext): Promise<number> {
    const { arguments: given, terminal, host, program } = context
    const info = await hostKernelOf(host).info()
    terminal.out(given.has('json') ? `${JSON.stringify(info)}\n` : text(info, terminal.columns))
    if (info.permitted) return ExitCode.good
    terminal.err(sentence(`${program}kernel info: ${info.why}`))
    return ExitCode.notPermitted
  },
}

function text(info: KernelInfo, columns: number): string {
  const yesNo = (yes: boolean) => (yes ? 'yes' : 'no')
  /** Of a kernel that may not even be asked nothing is known. */
  const has = (yes: boolean) => (info.userfaultfd && info.features.length === 0 ? 'unknown' : yesNo(yes))
  return columnsOf(
    [
      {
        term: 'kernel',
        meaning: `${info.release}, ${info.machine}, ${info.cpus} CPUs, ${formatSize(info.memoryBytes)} of memory`,
      },
      {
        term: 'userfaultfd',
        meaning: info.userfaultfd ? `yes, ${info.permitted ? 'permitted' : 'not permitted'}` : 'no',
      },
      { term: 'features', meaning: info.features.join(' ') || (info.userfaultfd ? 'unknown' : 'none') },
      { term: 'UFFDIO_MOVE', meaning: has(info.move) },
      { term: 'PAGEMAP_SCAN', meaning: yesNo(info.pagemapScan) },
      { term: 'WP_ASYNC', meaning: has(info.wpAsync) },
      { term: 'page size', meaning: spellSize(info.pageSize) },
      { term: 'hugetlb', meaning: info.hugePageSizes.map(spellSize).join(' ') || 'none' },
      { term: 'THP', meaning: info.thp ?? 'none' },
    ],
    columns,
    '',
  )
}
