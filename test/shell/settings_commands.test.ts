/**
 * What a terminal is told of the migrations to come: kept, shown, checked at once, and spelled out by the run's own command.
 */
import { describe, expect, it } from 'vitest'
import { CAPABILITIES, CAPABILITY_NAMES } from '../../core/migration/capabilities.ts'
import { PARAMETER_NAMES } from '../../core/migration/migration_parameters.ts'
import { CORE_COMMANDS } from '../../core/shell/core_commands.ts'
import { Registry } from '../../core/shell/registry.ts'
import { Shell } from '../../core/shell/shell.ts'
import { MemoryHost, MemoryTerminal } from './memory_host.ts'

function makeTerminal() {
  const shell = new Shell({
    host: new MemoryHost(),
    registry: new Registry(CORE_COMMANDS),
    place: 'terminal',
    program: '',
    keepEvents: false,
  })
  return async (line: string) => {
    const terminal = new MemoryTerminal()
    const code = await shell.run(line, terminal, { aborted: false })
    return { code, out: terminal.output, err: terminal.errors }
  }
}

describe('settings', () => {
  it('are shown, hold for the next migration, and stand in its command', async () => {
    const run = makeTerminal()
    expect((await run('info migrate_parameters | grep downtime')).out).toBe('downtime-limit: 300 ms\n')
    expect(await run('migrate_set_parameter downtime-limit 50 && migrate_set_capability return-path on')).toEqual({
      code: 0,
      out: '',
      err: '',
    })
    expect((await run('info migrate_parameters | grep downtime')).out).toBe('downtime-limit: 50 ms\n')
    expect((await run('info migrate_capabilities | grep return')).out).toBe('return-path: on\n')
    expect((await run('migrate --mem 1M --duration 1ms | grep again')).out).toContain('--downtime-limit 50ms')
    expect((await run('migrate --mem 1M --duration 1ms --downtime-limit 60ms | grep again')).out).toContain(
      '--downtime-limit 60ms',
    )
  })

  it('have all capabilities and parameters, in the layout of QEMU', async () => {
    const run = makeTerminal()
    expect((await run('info migrate_capabilities')).out).toBe(CAPABILITY_NAMES.map((name) => `${name}: off\n`).join(''))
    const lines = (await run('info migrate_parameters')).out.trimEnd().split('\n')
    expect(lines.length).toBe(PARAMETER_NAMES.length + 1)
    for (const line of [
      'announce-initial: 50 ms',
      'cpu-throttle-tailslow: off',
      "tls-creds: ''",
      'max-bandwidth: 0 bytes/second',
      'multifd-compression: none',
      'xbzrle-cache-size: 67108864 bytes',
      'vcpu-dirty-limit: 1 MB/s',
    ])
      expect(lines).toContain(line)
  })

  it('of any capability that is not modelled say why', async () => {
    const run = makeTerminal()
    for (const name of CAPABILITY_NAMES) {
      const { notModelled } = CAPABILITIES[name]
      if (notModelled === undefined) continue
      const { code, err } = await run(`migrate_set_capability ${name} on`)
      expect([code, err]).toEqual([2, `migrate_set_capability: ${name} is not modelled, since ${notModelled}; leave it out.\n`])
    }
  })

  it.each([
    ['migrate_set_capability multfd on', "multfd is none of QEMU's capabilities; did you mean multifd?"],
    ['migrate_set_capability return-path yes', 'STATE yes is not one of on, off'],
    ['migrate_set_parameter max-bandwith 1', "max-bandwith is none of QEMU's parameters; did you mean max-bandwidth?"],
    ['migrate_set_parameter multifd-channels 0', 'multifd-channels 0 must be from 1 to 255'],
    ['migrate_set_parameter xbzrle-cache-size 5000', 'xbzrle-cache-size=5000 is not a power of two; take 8192'],
    [
      'migrate_set_parameter downtime-limit',
      'needs VALUE: what it is set to, for example migrate_set_parameter downtime-limit 100',
    ],
  ])('%s is refused in one sentence', async (line, message) => {
    const { code, err } = await makeTerminal()(line)
    expect(code).toBe(2)
    expect(err).toContain(`: ${message}`)
  })
})
