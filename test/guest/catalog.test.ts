/**
 * Guests by name: what is written after --guest is understood, or refused in one sentence that says what would be.
 *
 * Every key that a guest documents is accepted with its own example value.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { GUESTS, makeWorkloads, parseGuest } from '../../core/guest/catalog.ts'
import { GuestError } from '../../core/guest/guest_kind.ts'

const NAMES = [
  ...['kv', 'sweep', 'uniform', 'idle'],
  ...['mm-dirty', 'stress', 'diabolical', 'phases'],
  ...['redis', 'memcached', 'oltp', 'web', 'netperf'],
  ...['compile', 'quicksort', 'stream', 'gc'],
]
const VALUE = { size: '1M', rate: '200k/s', share: '5%', skew: '0.5', count: '7', time: '20ms', word: 'random' } as const

function refused(text: string): string {
  const parse = parseGuest(text)
  if (parse.ok) throw new Error(`${text} was taken`)
  return parse.message
}

function workloads(text: string, ramPages: number, vcpus: number) {
  const parse = parseGuest(text)
  if (!parse.ok) throw new Error(parse.message)
  return makeWorkloads(parse.guest, ramPages, vcpus, new Prng(1))
}

/** Bytes written a second by all vCPUs, or operations a second. */
function opsPerSec(text: string, vcpus = 2): number {
  return workloads(text, 1000, vcpus).reduce((sum, w) => sum + (w === null ? 0 : 1e9 / (w.thinkNs * w.accessesPerOp)), 0)
}

describe('a guest', () => {
  it('is known by its name, and its example is understood', () => {
    expect(GUESTS.map((g) => g.name)).toEqual([...NAMES, 'trace', 'captured'])
    for (const { name, example } of GUESTS) {
      expect(parseGuest(example)).toMatchObject({ ok: true, guest: { kind: name } })
      if (NAMES.includes(name))
        expect(parseGuest(name)).toEqual({ ok: true, guest: { kind: name, paths: [], captured: null, keys: {} } })
    }
  })

  it.each(GUESTS.flatMap((g) => g.keys.map((k) => [g.name, k.key, k.unit] as const)))(
    '%s takes its key %s',
    (name, key, unit) => {
      const file: Record<string, string> = { trace: 'a/b.gz', captured: 'a/b.pfguest' }
      const text = `${file[name] ?? name}:${key}=${VALUE[unit]}`
      expect(parseGuest(text)).toMatchObject({ ok: true, guest: { kind: name, keys: { [key]: VALUE[unit] } } })
    },
  )

  it.each(['x.lackey.gz', '/tmp/a', './a', 'dir/a', 'C:\\traces\\a.gz', 'a:b/c.gz'])(
    'that looks like a path, %s, is a trace',
    (path) => {
      expect(parseGuest(path)).toEqual({ ok: true, guest: { kind: 'trace', paths: [path], captured: null, keys: {} } })
    },
  )

  it('of a trace takes its rate behind the path', () => {
    expect(parseGuest('dir/x.gz:rate=5M/s')).toEqual({
      ok: true,
      guest: { kind: 'trace', paths: ['dir/x.gz'], captured: null, keys: { rate: '5M/s' } },
    })
  })

  it('whose file ends as those of captures do, is a captured process, whatever else is in its name', () => {
    expect(parseGuest('a+b/x.gz+y.pfguest:reads=10%')).toEqual({
      ok: true,
      guest: { kind: 'captured', paths: [], captured: 'a+b/x.gz+y.pfguest', keys: { reads: '10%' } },
    })
  })

  it.each([
    ['a.gz+b.gz', ['a.gz', 'b.gz']],
    ['x/a.lackey+x/b.lackey.gz+a.lackey', ['x/a.lackey', 'x/b.lackey.gz', 'a.lackey']],
    ['c++/a.gz', ['c++/a.gz']],
    ['a.b+c/x.gz', ['a.b+c/x.gz']],
  ])('of several traces, %s, is joined by a plus behind a trace; other pluses belong to a name', (text, paths) => {
    expect(parseGuest(text)).toMatchObject({ ok: true, guest: { kind: 'trace', paths } })
    expect(parseGuest(`${text}:rate=5M/s`)).toMatchObject({ ok: true, guest: { paths, keys: { rate: '5M/s' } } })
  })

  it('may have dots and slashes in its values without being a path', () => {
    expect(parseGuest('kv:set=1.5M,rate=100/s')).toMatchObject({ ok: true, guest: { kind: 'kv', paths: [] } })
  })
})

describe('a refusal', () => {
  it.each([
    ['', 'the guest has no name'],
    ['kw', 'unknown guest "kw"'],
    ['trace', 'unknown guest "trace"'],
    ['captured', 'unknown guest "captured"'],
    ['postgres', 'unknown guest "postgres"'],
    ['kv:colour=red', 'guest kv has no key "colour=red"; its keys are set, rate, writes, theta'],
    ['kv:set', 'guest kv has no key "set"'],
    ['kv:set=1M,set=2M', 'key set is given twice'],
    ['kv:set=64', 'set=64'],
    ['kv:set=1k', 'is less than a page of 4k'],
    ['kv:rate=fast', 'is no rate'],
    ['kv:rate=0/s', 'rate=0/s'],
    ['kv:writes=150%', 'writes=150%'],
    ['kv:theta=1', 'must be a number from 0.01 to 0.999'],
    ['idle:theta=0.5', 'guest idle has no key'],
    ['kv:,', 'guest kv has no key ""'],
    ['mm-dirty:pattern=zigzag', 'must be one of random, sequential, once'],
    ['quicksort:processes=0', 'must be at least 1'],
    ['phases:period=2', 'needs a unit'],
    ['a.gz+', 'names no trace behind its last plus'],
  ])('of "%s" says: %s', (text, message) => expect(refused(text)).toContain(message))

  it('of a name names all known guests, in one sentence', () => {
    const message = refused('sweeep')
    for (const name of NAMES) expect(message).toContain(name)
    expect(message).not.toMatch(/[.?!] /)
  })

  it.each(['kv:SET=1.5M', 'kv:1.5', 'kv: set=1.5M'])(
    'of "%s" is about the guest before the colon, not about a file of that name',
    (text) => {
      expect(refused(text)).toContain('guest kv')
    },
  )

  it('is one line for anything at all', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...'kvset:=,1M%/.') }),
      fc
        .tuple(fc.constantFrom(...NAMES), fc.string({ unit: fc.constantFrom(...'seratwi:=,1M%/') }))
        .map(([n, rest]) => `${n}:${rest}`),
    )
    fc.assert(
      fc.property(text, (t) => {
        const parse = parseGuest(t)
        if (parse.ok) expect(NAMES.includes(parse.guest.kind) || parse.guest.paths.length > 0).toBe(true)
        else expect(parse.message.split('\n')).toHaveLength(1)
      }),
      { numRuns: 500 },
    )
  })
})

describe('workloads', () => {
  it('are one a vCPU; one program runs on the first, and each trace on its own', () => {
    const busy = (text: string) => workloads(text, 1000, 3).map((w) => w !== null)
    const single = ['mm-dirty', 'diabolical', 'redis']
    for (const name of NAMES) expect(busy(name)).toEqual(single.includes(name) ? [true, false, false] : [true, true, true])
    expect(busy('a.gz')).toEqual([true, false, false])
    expect(busy('a.gz+b.gz')).toEqual([true, true, false])
  })

  it('of more traces than vCPUs are refused, with the remedy', () => {
    expect(() => workloads('a.gz+b.gz', 1000, 1)).toThrow('2 traces need a vCPU each, and the guest has 1; give --vcpus 2')
  })

  it.each([
    ['kv', 750],
    ['sweep', 1000],
    ['uniform', 1000],
    ['idle', 250],
    ['kv:set=400k', 100],
    ['mm-dirty', 812],
    ['diabolical', 500],
    ['stream', 750],
    ['netperf', 500],
    ['a.gz', 0],
  ])('of %s boot %d of 1000 pages', (text, pages) => expect(workloads(text, 1000, 2)[0]?.bootPages).toBe(pages))

  it.each([
    ['kv', 100_000],
    ['kv:rate=1M/s', 1e6],
    // Bytes written: half of the operations write a page of 4096 bytes.
    ['kv:rate=4096kB/s', 2000],
    ['kv:rate=4096kB/s,writes=100%', 1000],
    ['sweep:rate=4096kB/s', 1000],
    ['uniform:rate=5k/s', 5000],
    ['idle', 2000],
    ['redis', 17_000],
    ['oltp', 500],
    ['web', 5000],
    ['gc:rate=512kB/s', 1000],
    ['netperf:rate=32768kbps', 1000],
    ['stream:rate=4096kB/s', 1000],
    ['compile:process=40k', 4],
    ['a.gz:rate=1M/s', 1e6],
  ])('of %s do %d operations a second together', (text, expected) => {
    expect(opsPerSec(text)).toBeCloseTo(expected, 3)
    if (!text.startsWith('a.gz')) expect(opsPerSec(text, 5)).toBeCloseTo(expected, 3)
  })

  it('of sweep share the set without gap or overlap, and those without a share idle', () => {
    const out = new Int32Array(2048)
    const covered = (ramPages: number, vcpus: number) =>
      workloads('sweep', ramPages, vcpus).map((w) => {
        const n = w?.fill(out) ?? 0
        return [...new Set(Array.from(out.subarray(0, n), (a) => a >>> 2))]
      })
    expect(covered(10, 3)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
      [6, 7, 8, 9],
    ])
    expect(covered(2, 4).flat()).toEqual([0, 1])
  })

  it('draw differently on each vCPU', () => {
    const [a, b] = workloads('kv', 1000, 2).map((w) => {
      const out = new Int32Array(2048)
      w?.fill(out)
      return [...out]
    })
    expect(a).not.toEqual(b)
  })

  it('refuse a set larger than memory, with the remedy', () => {
    expect(() => workloads('kv:set=64M', 1000, 1)).toThrow(GuestError)
    expect(() => workloads('kv:set=64M', 1000, 1)).toThrow('set=64M is more than its memory of 4000k; give more with --mem')
  })
})
