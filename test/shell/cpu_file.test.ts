/**
 * `--cpu FILE`: a preset as JSON is the preset, a part of one stands on another, and each mistake is one sentence that says where.
 */
import { describe, expect, it } from 'vitest'
import { CPU_PRESETS } from '../../core/hw/presets/catalog.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import { CPU_SCHEMA, cpuOf, ownCpu, parseCpu } from '../../core/shell/cpu_file.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { small } from '../run/small.ts'
import { MemoryHost } from './memory_host.ts'

const HEAD = { schema: CPU_SCHEMA, id: 'mine', name: 'My CPU' }
const measured = (value: unknown) => ({ value, kind: 'measured', source: 'a test' })

function parse(json: unknown) {
  return parseCpu(JSON.stringify(json), './mine.json')
}

describe('a CPU file', () => {
  it.each(CPU_PRESETS.map((p) => p.id))('with every field of %s is that preset', (id) => {
    const preset = CPU_PRESETS.find((p) => p.id === id)
    expect(parse({ schema: CPU_SCHEMA, ...preset })).toEqual(preset)
  })

  it('takes what it does not say from its base', () => {
    const mine = parse({ ...HEAD, base: 'zen5', syscallNs: measured(90) })
    expect(mine).toEqual({ ...ZEN5, id: 'mine', name: 'My CPU', syscallNs: measured(90) })
  })

  it('makes a run what the same preset by name makes it', async () => {
    const host = new MemoryHost({ 'zen2.json': JSON.stringify({ ...HEAD, base: 'zen2' }) })
    const run = (cpu: string, preset: Awaited<ReturnType<typeof ownCpu>>) => {
      const made = new MigrationRun(small({ cpu }), new Recorder({ keep: false }), { lockdep: false }, null, preset)
      while (made.advance(10_000) !== 'done');
      return made.report().traceHash
    }
    expect(run('zen2.json', await ownCpu('zen2.json', host))).toBe(run('zen2', await ownCpu('zen2', host)))
  })

  it.each([
    [{ ...HEAD, schema: 'pageferry.cpu/2' }, /mine\.json, schema: .*pageferry\.cpu\/1/],
    [HEAD, /mine\.json, clockGHz: .*"base": "zen5"/],
    [{ ...HEAD, base: 'zen' }, /mine\.json, base: .*zen5/],
    [{ ...HEAD, base: 'zen5', syscallNs: 90 }, /mine\.json, syscallNs: /],
    [{ ...HEAD, base: 'zen5', syscallNs: measured(-1) }, /mine\.json, syscallNs\.value: /],
    [{ ...HEAD, base: 'zen5', sysCallNs: measured(1) }, /mine\.json: .*sysCallNs/],
    [{ ...HEAD, base: 'zen5', l2Ways: measured(12) }, /mine\.json: L2 TLB of 4096 entries, 12 ways: .*power of two/],
    [{ ...HEAD, base: 'zen5', l1HugeEntries: measured(200) }, /mine\.json: .*1 to 255/],
    [[], /mine\.json: /],
  ])('%j is refused', (json, message) => {
    expect(() => parse(json)).toThrow(message)
  })

  it('is told from a name by a dot or a slash; an unknown name is refused with the nearest', async () => {
    expect([cpuOf('zen5'), cpuOf('./cpu'), cpuOf('cpu.json')]).toEqual(['zen5', './cpu', 'cpu.json'])
    expect(() => cpuOf('zen6')).toThrow(/zen6.*did you mean zen/)
    await expect(ownCpu('none.json', new MemoryHost())).rejects.toThrow('there is no file none.json')
    expect(() => parseCpu('{', './mine.json')).toThrow(/not JSON/)
  })
})
