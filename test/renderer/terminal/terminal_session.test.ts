/** A session of the terminal against a screen that is a string. */
import { describe, expect, test } from 'vitest'
import type { CommandOutput } from '../../../core/api/protocol.ts'
import { TerminalSession } from '../../../renderer/terminal/terminal_session.ts'

/** What is left when escape sequences are taken away and `\r` begins the row anew. */
function visible(written: string): string {
  const plain = written.replace(/\x1b\[[0-9;]*[A-Za-z]/g, '')
  return plain
    .split('\n')
    .map((row) => row.split('\r').filter(Boolean).at(-1) ?? '')
    .join('\n')
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 1))

function open(run: (line: string, output: CommandOutput) => Promise<number> = async () => 0) {
  const lines: string[] = []
  let written = ''
  let interrupts = 0
  const session = new TerminalSession({
    run: (line, output) => {
      lines.push(line)
      return run(line, output)
    },
    interrupt: async () => void interrupts++,
    complete: async (line) =>
      [
        { word: 'migrate', meaning: 'moves a guest' },
        { word: 'man', meaning: 'the manual' },
        { word: '--guest=', meaning: 'which guest' },
      ].filter((completion) => completion.word.startsWith(/\S*$/.exec(line)?.[0] ?? '')),
  })
  const screen = {
    write: (text: string): void => {
      written += text
    },
    columns: 40,
  }
  /** Key by key, as hands do it; in one piece it would be a paste. */
  const type = async (text: string): Promise<void> => {
    for (const key of text) session.type(key)
    await session.idle()
  }
  return { session, screen, type, lines, interrupts: () => interrupts, text: () => visible(written) }
}

describe('terminal session', () => {
  test('a typed line is run and its output stands between two prompts', async () => {
    const { session, screen, type, lines, text } = open(async (_, output) => {
      output.out('hello\n')
      return 0
    })
    session.attach(screen)
    await type('help\r')
    expect(lines).toEqual(['help'])
    expect(text()).toBe('pageferry> help\nhello\npageferry> ')
  })

  test('what happens before the screen is there is shown when it comes', async () => {
    const { session, screen, text } = open(async (_, output) => {
      output.out('completed\n')
      return 0
    })
    session.execute('migrate')
    await session.idle()
    session.attach(screen)
    expect(text()).toContain('pageferry> migrate\ncompleted\npageferry> ')
  })

  test('output without a line end does not swallow the prompt', async () => {
    const { session, screen, type, text } = open(async (_, output) => {
      output.err('half')
      return 1
    })
    session.attach(screen)
    await type('x\r')
    expect(text()).toBe('pageferry> x\nhalf\npageferry> ')
  })

  test('what is typed while a command works is typed afterwards; Ctrl-C is heard at once', async () => {
    let finish = (): void => {}
    const { session, screen, lines, interrupts } = open((line) =>
      line === 'migrate' ? new Promise((resolve) => (finish = () => resolve(130))) : Promise.resolve(0),
    )
    session.attach(screen)
    for (const key of 'migrate\rhelp\r') session.type(key)
    await turn()
    expect(lines).toEqual(['migrate'])
    finish()
    await session.idle()
    expect(lines).toEqual(['migrate', 'help'])
    expect(interrupts()).toBe(0)

    for (const key of 'migrate\rhelp\r') session.type(key)
    await turn()
    session.type('\x03')
    finish()
    await session.idle()
    expect(interrupts()).toBe(1)
    expect(lines).toEqual(['migrate', 'help', 'migrate'])
  })

  test('Tab completes the only word, the common start, or lists what fits with its meaning', async () => {
    const { session, screen, type, text, lines } = open()
    session.attach(screen)
    await type('mi\t')
    expect(text()).toBe('pageferry> migrate ')
    await type('--g\tkv\r')
    expect(lines).toEqual(['migrate --guest=kv'])
    await type('m\t')
    expect(text()).toContain('migrate  moves a guest\nman      the manual')
  })

  test('Ctrl-C on a line gives a new line and runs nothing', async () => {
    const { session, screen, type, lines, text } = open()
    session.attach(screen)
    await type('migr\x03')
    expect(lines).toEqual([])
    expect(text()).toMatch(/\^C\npageferry> $/)
  })

  test('an engine that fails to answer is one sentence, not a dead terminal', async () => {
    const { session, screen, type, text, lines } = open(async () => {
      throw new Error('worker gone')
    })
    session.attach(screen)
    await type('help\rhelp\r')
    await type('help\r')
    expect(text()).toContain('The engine did not answer: worker gone; reload the window.')
    expect(lines.length).toBeGreaterThan(1)
  })
})
