/**
 * `capture` from words to request and from report to text, on a kernel that only tells what it was asked; and `migrate` of such a file.
 */
import { describe, expect, it } from 'vitest'
import { callProgram } from '../../core/api/command_line.ts'
import type { Report } from '../../core/run/report.ts'
import type { CaptureReport, CaptureRequest, HostKernel } from '../../core/shell/host_kernel.ts'
import { fileOf, process } from '../guest/capture_of.ts'
import { MemoryHost, MemoryTerminal } from './memory_host.ts'

const REPORT: CaptureReport = {
  pid: 7,
  command: 'redis',
  pages: 1000,
  zeroPages: 250,
  laterPages: 3,
  distinctPages: 700,
  vmas: 40,
  samples: 50,
  sampleInterval: 20.5,
  duration: 1025,
  changedPages: 100,
  dirtyPagesRate: 4000,
  output: 'redis.pfguest',
  bytes: 5000,
  withContents: false,
  ended: 'duration',
}

class FakeKernel implements Pick<HostKernel, 'capture'> {
  readonly asked: CaptureRequest[] = []
  constructor(readonly report: Partial<CaptureReport> = {}) {}

  async capture(request: CaptureRequest): Promise<CaptureReport> {
    this.asked.push(request)
    return { ...REPORT, output: request.output, ...this.report }
  }
}

class KernelHost extends MemoryHost {
  readonly kernel: HostKernel
  constructor(readonly fake: FakeKernel) {
    super()
    this.kernel = fake as unknown as HostKernel
  }
}

async function pageferry(words: string[], host: MemoryHost = new KernelHost(new FakeKernel())) {
  const terminal = new MemoryTerminal()
  const code = await callProgram({ host, commands: [], observer: {} }, words, terminal, { aborted: false })
  return { code, out: terminal.output, err: terminal.errors, asked: host instanceof KernelHost ? host.fake.asked : [] }
}

describe('capture', () => {
  it('of a process takes a second, each 20 ms, no contents, and a name of its own, unless told', async () => {
    const { asked } = await pageferry(['capture', '--pid', '7'])
    expect(asked).toEqual([
      {
        pid: 7,
        command: [],
        durationNs: 1e9,
        intervalNs: 20e6,
        output: 'capture-7.pfguest',
        withContents: false,
        stdoutIsTaken: false,
      },
    ])
  })

  it('of a command takes its words as they are, options too, and its life', async () => {
    const { asked } = await pageferry(['capture', '--json', '--interval', '5ms', '--', '/usr/bin/sort', '-R', '--json', 'a b'])
    expect(asked[0]).toMatchObject({
      pid: null,
      command: ['/usr/bin/sort', '-R', '--json', 'a b'],
      durationNs: null,
      intervalNs: 5e6,
      output: 'capture-sort.pfguest',
      stdoutIsTaken: true,
    })
  })

  it('prints what was found, and how it is migrated', async () => {
    const { code, out, err } = await pageferry(['capture', '--pid', '7', '-o', 'redis.pfguest'])
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('1,000 (3.91 MiB): 250 (25 %) zero, 700 different contents, 3 came later')
    expect(out).toContain('without contents')
    expect(out).toContain('migrate --guest redis.pfguest')
  })

  it('prints it as one JSON object', async () => {
    const { out } = await pageferry(['capture', '--pid', '7', '--json', '-o', 'redis.pfguest'])
    expect(JSON.parse(out)).toEqual({ schema: 'pageferry.capture/1', ...REPORT })
  })

  it.each([
    [{ ended: 'interrupted' }, 130, 'interrupted after 1.0 s; what was captured by then is in'],
    [{ ended: 'exit' }, 0, 'process 7 ended before the time was over; what was captured'],
    [{ ended: 'exec' }, 0, 'process 7 began to run another program, whose memory is not captured; what was captured'],
    [{ ended: 'full' }, 0, 'a guest file holds no more samples'],
  ] as const)('that ends early, %j, exits %d and says so', async (report, exit, says) => {
    const { code, err } = await pageferry(['capture', '--pid', '7'], new KernelHost(new FakeKernel(report)))
    expect(code).toBe(exit)
    expect(err).toContain(says)
  })

  it.each([
    [[], 'needs a process or a command'],
    [['--pid', '7', '--', 'sort'], 'takes --pid or a command, and has both'],
    [['--pid', '0'], '--pid'],
    [['--pid', '7', '-o', 'x.gz'], '--output x.gz does not end in .pfguest'],
    [['--pid', '7', '--interval', '10us'], '--interval 10us is too small'],
  ])('of wrong words, %j, is refused before anything is asked', async (words, says) => {
    const { code, err, asked } = await pageferry(['capture', ...words])
    expect([code, asked]).toEqual([2, []])
    expect(err).toContain(says)
  })
})

describe('migrate of a captured process', () => {
  const host = () => {
    const made = new MemoryHost()
    made.files.set(
      'x.pfguest',
      fileOf(
        process(1500, [
          [1, 2, 3],
          [900, 1400],
        ]),
      ),
    )
    return made
  }

  it('gives it as much memory as it needs, in whole huge pages, and says so in its command', async () => {
    const { code, out } = await pageferry(['migrate', '--guest', 'x.pfguest', '--duration', '2ms', '--json'], host())
    const report: Report = JSON.parse(out)
    expect(code).toBe(0)
    expect(report.consistency.verdict).toBe('consistent')
    expect(report.guest).toMatchObject({ name: 'x.pfguest', pages: 1536, touchedPages: 1126 })
    expect(report.options.mem).toBe('6M')
  })

  it('takes --mem where it is given, and refuses too little in one sentence', async () => {
    const more = await pageferry(['migrate', '--guest', 'x.pfguest', '--mem', '8M', '--duration', '1ms'], host())
    expect(more.out).toContain('--guest x.pfguest --mem 8M')
    const less = await pageferry(['migrate', '--guest', 'x.pfguest', '--mem', '4M'], host())
    expect(less.code).toBe(2)
    expect(less.err).toContain("the captured process has 6000k, more than the guest's memory of 4M")
  })

  it('that is damaged or not there exits 1 with one sentence', async () => {
    const broken = host()
    broken.files.set('x.pfguest', fileOf(process(8, [])).subarray(0, -10))
    expect(await pageferry(['migrate', '--guest', 'x.pfguest'], broken)).toMatchObject({ code: 1 })
    const none = await pageferry(['migrate', '--guest', 'none.pfguest'], host())
    expect([none.code, none.err]).toEqual([1, 'pageferry migrate: there is no file none.pfguest.\n'])
  })

  it('does not let --trace write over it', async () => {
    const { code, err } = await pageferry(['migrate', '--guest', 'x.pfguest', '--trace', 'x.pfguest'], host())
    expect(code).toBe(2)
    expect(err).toContain("--trace would overwrite the guest's own file x.pfguest")
  })
})
