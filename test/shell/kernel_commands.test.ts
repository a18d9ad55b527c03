/**
 * Commands of two words, and what the commands of the real kernel say on a host that has no way to one.
 */
import { describe, expect, it } from 'vitest'
import { CORE_COMMANDS } from '../../core/shell/core_commands.ts'
import { type Host, HostError } from '../../core/shell/host.ts'
import { hostKernelOf } from '../../core/shell/host_kernel.ts'
import { Registry } from '../../core/shell/registry.ts'

const registry = new Registry(CORE_COMMANDS)

describe('a command of two words', () => {
  it('is found by both, and takes the rest as its arguments', () => {
    expect(registry.match(['kernel', 'info', '--json'], 'program')).toMatchObject({ command: { name: 'kernel info' }, length: 2 })
  })

  it('is not found by the first alone, and the answer names what may follow', () => {
    expect(registry.match(['kernel'], 'program')).toBeNull()
    expect(registry.unknown('kernel', 'program', 'pageferry ')).toMatch(/^kernel is followed by one of info/)
    expect(registry.unknown('kernel inof', 'program', '')).toContain('did you mean info?')
  })
})

describe('a host without a way to its kernel', () => {
  it('is told so in one sentence, and that it is not permitted', () => {
    const ask = () => hostKernelOf({} as Host)
    expect(ask).toThrow(HostError)
    expect(ask).toThrow(/no way from here to the kernel/)
  })
})
