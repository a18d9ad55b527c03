/**
 * A migration in the background: the terminal takes the next line, info answers, wait tells what a migrate in front would have told.
 */
import { describe, expect, it } from 'vitest'
import { CORE_COMMANDS } from '../../core/shell/core_commands.ts'
import { Registry } from '../../core/shell/registry.ts'
import { Shell } from '../../core/shell/shell.ts'
import { MemoryHost, MemoryTerminal } from './memory_host.ts'

function makeTerminal(place: 'program' | 'terminal' = 'terminal') {
  const host = new MemoryHost()
  const shell = new Shell({ host, registry: new Registry(CORE_COMMANDS), place, program: '', keepEvents: false })
  const run = async (line: string, stop = { aborted: false }) => {
    const terminal = new MemoryTerminal()
    const code = await shell.run(line, terminal, stop)
    return { code, out: terminal.output, err: terminal.errors }
  }
  return { run, shell, host }
}

/** The guest boots first, and all takes its time. */
async function until({ run, host }: ReturnType<typeof makeTerminal>, text: string): Promise<void> {
  while (!(await run('info migrate')).out.includes(text)) await host.breathe()
}

const SMALL = '--guest uniform --mem 1M --duration 1ms --bandwidth 1Gbps'
/** Long enough that no test sees its end. */
const LONG = '--guest idle --mem 1M --duration 3600s'

describe('in the background', () => {
  it('a migration tells at its end what one in front tells', async () => {
    const { run } = makeTerminal()
    const report = (text: string) => JSON.stringify({ ...JSON.parse(text), host: null })
    const inFront = await run(`migrate ${SMALL} --json`)
    expect(await run(`migrate -d ${SMALL} --json`)).toEqual({ code: 0, out: '', err: '' })
    const waited = await run('wait')
    expect([waited.code, waited.err]).toEqual([0, ''])
    expect(report(waited.out)).toBe(report(inFront.out))
  })

  it('its exit code and its complaint are those of wait', async () => {
    const { run } = makeTerminal()
    await run(`migrate -d ${SMALL} --time-limit 1ms --quiet`)
    const waited = await run('wait')
    expect(waited.code).toBe(124)
    expect(waited.err).toContain('the time limit of 1.00 ms was reached')
  })

  it('it goes on while lines are taken, and there is one at a time', async () => {
    const { run, shell } = makeTerminal()
    await run(`migrate -d ${LONG}`)
    expect((await run('info status')).out).toMatch(/^VM status: (?!paused)/)
    for (const line of ['migrate --mem 1M', 'migrate -d --mem 1M', 'migrate_set_parameter downtime-limit 1'])
      expect((await run(line)).err).toContain('a migration is under way; ')
    await shell.close()
    expect((await run('info status')).out).toContain('paused (interrupted')
  })

  it('it does what it is told, or says why not', async () => {
    const terminal = makeTerminal()
    const { run } = terminal
    const busy = '--guest sweep --mem 4M --duration 1ms --bandwidth 50Mbps --downtime-limit 1ms --json'
    expect((await run('migrate_start_postcopy')).err).toContain('no migration is under way')
    await run(`migrate -d ${busy} --mode hybrid --postcopy-after 1000000passes`)
    await until(terminal, 'Status: active')
    expect(await run('migrate_start_postcopy')).toEqual({ code: 0, out: '', err: '' })
    const { code, out } = await run('wait')
    expect(code).toBe(0)
    expect(JSON.parse(out).migration).toMatchObject({ status: 'completed' })
    expect(JSON.parse(out).migration.ram['postcopy-bytes']).toBeGreaterThan(0)
  })

  it('a pre-copy is cancelled, and the guest goes on at the source', async () => {
    const terminal = makeTerminal()
    const { run } = terminal
    await run('migrate -d --guest sweep --mem 4M --duration 1ms --bandwidth 50Mbps --downtime-limit 1ms --mode precopy --json')
    await until(terminal, 'Status: active')
    expect((await run('migrate_pause')).err).toContain('migrate_pause: a migration that is active cannot be paused')
    expect(await run('migrate_cancel')).toEqual({ code: 0, out: '', err: '' })
    const { code, out } = await run('wait')
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ migration: { status: 'cancelled' }, consistency: { verdict: 'consistent', lost: 0 } })
  })

  it('a migration that pauses before the switch waits for migrate_continue, with the state that it is in', async () => {
    const terminal = makeTerminal()
    const { run, host } = terminal
    expect((await run('migrate_continue pre-switchover')).err).toContain('no migration is under way')
    await run(`migrate -d ${SMALL} --mode precopy --capability pause-before-switchover=on --json`)
    await until(terminal, 'Status: pre-switchover')
    for (let breath = 0; breath < 100; breath++) await host.breathe()
    expect((await run('info status')).out).toContain('stopped for the switch')
    expect((await run('migrate_continue device')).err).toContain(
      'migrate_continue: Migration not in expected state: pre-switchover',
    )
    expect((await run('migrate_continue flying')).code).toBe(2)
    expect((await run('migrate_continue pre-switchover')).code).toBe(0)
    const { code, out } = await run('wait')
    expect([code, JSON.parse(out).migration.status]).toEqual([0, 'completed'])
  })

  it.each(['migrate_recover', 'migrate -r'])(
    'a post-copy is paused, waits for a word however long, and goes on at %s',
    async (word) => {
      const terminal = makeTerminal()
      const { run, host } = terminal
      await run('migrate -d --guest uniform --mem 16M --duration 1ms --bandwidth 50Mbps --json')
      // Before the first request the guest may not have arrived.
      await until(terminal, 'postcopy_req=')
      expect((await run('migrate_cancel')).err).toContain('a migration that is postcopy-active cannot be cancelled')
      expect((await run(word)).err).toContain('a migration that is postcopy-active has nothing to recover')
      expect((await run('migrate_pause')).code).toBe(0)
      await until(terminal, 'Status: postcopy-paused')
      for (let breath = 0; breath < 100; breath++) await host.breathe()
      expect((await run('info migrate')).out).toContain('Status: postcopy-paused')
      expect((await run(word)).code).toBe(0)
      const { code, out } = await run('wait')
      expect(code).toBe(0)
      expect(JSON.parse(out)).toMatchObject({
        migration: { status: 'completed' },
        consistency: { verdict: 'consistent', lost: 0 },
      })
    },
  )

  it('Ctrl-C at wait stops it', async () => {
    const { run } = makeTerminal()
    await run(`migrate -d ${LONG}`)
    const waited = await run('wait', { aborted: true })
    expect(waited.code).toBe(130)
    expect(waited.err).toContain('migrate: interrupted after')
    expect(await run('wait')).toMatchObject({ code: 1, err: expect.stringContaining('nothing is in the background') })
  })

  it('what is wrong with the line is said at once', async () => {
    const { run } = makeTerminal()
    expect(await run('migrate -d --mem 1T')).toMatchObject({ code: 2, err: expect.stringContaining('too large') })
    expect((await run('wait')).code).toBe(1)
  })

  it('a program has none, since it ends with its migration', async () => {
    const { run } = makeTerminal('program')
    expect(await run('migrate -d --mem 1M')).toMatchObject({ code: 2, err: expect.stringContaining('-d is for a terminal') })
  })
})
