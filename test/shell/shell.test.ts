/**
 * The shell: exit codes, joints, pipes and filters, and errors in one sentence.
 */
import { describe, expect, it } from 'vitest'
import { Registry } from '../../core/shell/registry.ts'
import { Shell } from '../../core/shell/shell.ts'
import { MemoryHost, MemoryTerminal } from './memory_host.ts'
import { SAMPLE_COMMANDS } from './sample_commands.ts'

function makeShell(place: 'program' | 'terminal' = 'terminal') {
  const program = place === 'program' ? 'pageferry ' : ''
  return new Shell({ host: new MemoryHost(), registry: new Registry(SAMPLE_COMMANDS), place, program, keepEvents: false })
}

async function run(line: string, stop = { aborted: false }) {
  const terminal = new MemoryTerminal()
  const code = await makeShell().run(line, terminal, stop)
  return { code, out: terminal.output, err: terminal.errors }
}

async function call(...words: string[]) {
  const terminal = new MemoryTerminal()
  const code = await makeShell('program').call(words, terminal, { aborted: false })
  return { code, out: terminal.output, err: terminal.errors }
}

describe('exit codes', () => {
  it('&& goes on after success, || after failure, ; always', async () => {
    expect((await run('leave 0 && echo yes')).out).toBe('left with 0\nyes\n')
    expect((await run('leave 3 && echo yes')).out).toBe('left with 3\n')
    expect((await run('leave 3 || echo no')).out).toBe('left with 3\nno\n')
    expect((await run('leave 3 ; echo on')).code).toBe(0)
    expect((await run('leave 3 && echo yes')).code).toBe(3)
  })

  it('a filter cannot hide that the command before it failed', async () => {
    expect((await run('leave 3 | head -1')).code).toBe(3)
  })

  it('an unknown command exits 127 and suggests the nearest', async () => {
    expect(await run('ferri')).toEqual({ code: 127, out: '', err: 'no command is called ferri; did you mean ferry?\n' })
    expect(await call('ferri')).toEqual({
      code: 127,
      out: '',
      err: 'pageferry: no command is called ferri; did you mean ferry?\n',
    })
    expect((await run('xyzzyplugh')).err).toBe('no command is called xyzzyplugh; help lists them all.\n')
  })

  it('a usage error exits 2 and a failure 1, each in one sentence', async () => {
    expect(await call('ferry', '--mem', '64')).toEqual({
      code: 2,
      out: '',
      err: 'pageferry ferry: --mem 64 needs a unit, for example 64M.\n',
    })
    expect(await run('sink')).toEqual({ code: 1, out: '', err: 'sink: there is a hole in the hull; bring a bucket.\n' })
    expect((await run('echo $x')).code).toBe(2)
  })

  it('a bug is not dressed up as a user error', async () => {
    await expect(run('bug')).rejects.toThrow(TypeError)
  })

  it('a stop ends the line with 130', async () => {
    expect(await run('echo a ; echo b', { aborted: true })).toEqual({ code: 130, out: 'a\n', err: '' })
  })
})

describe('pipes and filters', () => {
  const list = "echo 'b 2\na 10\nB 1\nb 2'"

  it.each([
    [`${list} | grep b`, 'b 2\nb 2\n'],
    [`${list} | grep -i '^b' | wc -l`, '3\n'],
    [`${list} | grep -v b`, 'a 10\nB 1\n'],
    [`${list} | grep -c '\\d\\d'`, '1\n'],
    [`${list} | head -1`, 'b 2\n'],
    [`${list} | head -n 2`, 'b 2\na 10\n'],
    [`${list} | tail -1`, 'b 2\n'],
    [`${list} | head -0`, ''],
    [`${list} | sort -u`, 'B 1\na 10\nb 2\n'],
    [`${list} | sort -r | head -1`, 'b 2\n'],
    ["echo '10\n9\n1,000' | sort -n", '9\n10\n1,000\n'],
    [`${list} | wc`, '4 8 17\n'],
  ])('%s', async (line, out) => {
    expect((await run(line)).out).toBe(out)
  })

  it('grep exits 1 where nothing matches, and 2 for a broken pattern', async () => {
    expect((await run('echo a | grep b')).code).toBe(1)
    const broken = await run("echo a | grep '('")
    expect(broken).toEqual({
      code: 2,
      out: '',
      err: "grep: '(' is no regular expression; a backslash before a sign makes it mean itself.\n",
    })
  })

  it('a filter without a pipe says what it is for', async () => {
    expect((await run('grep a')).err).toBe(
      'grep: reads what another command prints; write for example info migrate -a | grep Postcopy.\n',
    )
  })

  it('only filters stand behind a pipe', async () => {
    expect(await run('echo a | ferry')).toEqual({
      code: 2,
      out: '',
      err: 'ferry: does not read what another command prints; behind | stands a filter, for example grep.\n',
    })
  })
})

describe('help', () => {
  it('--help, help and man show the same page, examples first', async () => {
    const pages = await Promise.all([run('ferry --help'), run('help ferry'), run('man ferry'), run('ferry -h')])
    for (const page of pages) expect(page).toEqual(pages[0])
    const sections = pages[0]?.out.match(/^[A-Z].*$/gm)
    expect(sections).toEqual([
      'Examples',
      'Usage',
      'It goes there and comes back.',
      'Arguments',
      'Most used options',
      'More options',
      'Not built yet',
    ])
  })

  it('every option, choice and default of the registry is on the page, and what is not built is said so', async () => {
    const page = (await run('help ferry')).out
    for (const text of [
      '--mem SIZE',
      '[64M]',
      '--bandwidth RATE',
      '-s, --seed N',
      'slow',
      'in the air (not built yet)',
      'may be repeated',
      '--sail',
      'this version has oars',
    ]) {
      expect(page).toContain(text)
    }
    expect(page.indexOf('--sail')).toBeGreaterThan(page.indexOf('Not built yet'))
  })

  it('the list names every command of the place and no other', async () => {
    const inside = (await run('help')).out
    const outside = (await call('help')).out
    for (const { name, place } of SAMPLE_COMMANDS) {
      const line = new RegExp(`^  ${name} `, 'm')
      expect([name, line.test(inside)]).toEqual([name, place !== 'program'])
      expect([name, line.test(outside)]).toEqual([name, place !== 'terminal'])
    }
  })

  it('the program answers --help, --version and no words at all', async () => {
    expect((await call('--help')).out).toBe((await call('help')).out)
    expect((await call()).out).toBe((await call('help')).out)
    expect((await call('--version')).out).toMatch(/^pageferry \d+\.\d+\.\d+ \(memory\)\n$/)
  })

  it('a command of the other place is named, not denied', async () => {
    expect((await call('grep', 'a')).err).toBe('pageferry: grep works inside a terminal only; start one with pageferry shell.\n')
    expect(await run('island')).toEqual({ code: 127, out: '', err: 'island is a program of its own: pageferry island.\n' })
  })

  it('no line is wider than the terminal, down to forty columns', async () => {
    for (const columns of [40, 60, 100, 200]) {
      const terminal = new MemoryTerminal(columns)
      await makeShell().run('help ; help ferry', terminal, { aborted: false })
      const widest = Math.max(...terminal.output.split('\n').map((line) => line.length))
      expect(widest).toBeLessThanOrEqual(columns)
    }
  })
})
