/**
 * Guests from files on the real kernel's machines: what crosses to them is what the files hold; a captured process's pages are as they were;
 * and such a guest migrates whole, every load checked.
 *
 * The last part needs Linux with userfaultfd permitted; skipped by name elsewhere.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Capture, runsOf, ZERO_CONTENT } from '../../core/guest/capture.ts'
import { DEFAULT_OPTIONS } from '../../core/run/options.ts'
import type { Area } from '../../main/kernel/migrate/area.ts'
import { Board } from '../../main/kernel/migrate/board.ts'
import { compareAll, writtenPages } from '../../main/kernel/migrate/compare.ts'
import type { Cell, Control } from '../../main/kernel/migrate/control.ts'
import { NO_CONTENT, packGuest, readGuest, type SharedGuest } from '../../main/kernel/migrate/guest_memfd.ts'
import type { ThreadSetup } from '../../main/kernel/migrate/setup.ts'
import { VcpuThread } from '../../main/kernel/migrate/vcpu_thread.ts'
import { ensureBuilt } from '../../main/start/fresh.mjs'
import { process as captureOf, captures, fileOf } from '../guest/capture_of.ts'
import { named, noKernel } from './host.ts'

const PROGRAM = fileURLToPath(new URL('../../dist/cli/pageferry.mjs', import.meta.url))

/** As a machine gets it. */
function shared(data: { readonly traces?: readonly Int32Array[]; readonly capture?: Capture }): SharedGuest {
  const packed = packGuest({ traces: data.traces ?? [], capture: data.capture ?? null })
  if (packed === null) throw new Error('there is nothing to hand over')
  const memory = new ArrayBuffer(packed.layout.bytes)
  packed.write(memory)
  return readGuest(memory, JSON.parse(JSON.stringify(packed.layout)))
}

describe('what the files of a guest hold', () => {
  it('is nothing for a guest without', () => expect(packGuest({ traces: [], capture: null })).toBeNull())

  it('crosses as the accesses of each trace', () => {
    const traces = [Int32Array.of(5, 6, 7), Int32Array.of(8), Int32Array.of(9, 10)]
    expect(shared({ traces }).traces).toEqual(traces)
  })

  it('crosses as the pages, changes and contents of a captured process', () => {
    fc.assert(
      fc.property(captures, (capture) => {
        const there = shared({ capture })
        const { firstPages, contentOf, samples } = capture
        expect(there.capture).toEqual({ firstPages, contentOf, samples })
        for (const [page, content] of contentOf.entries()) {
          const bytes = content === ZERO_CONTENT ? null : (capture.bytes?.[content] ?? null)
          const words = there.contentOf(page)
          expect(words === null ? null : new Uint8Array(words.buffer, words.byteOffset, 4096)).toEqual(bytes)
        }
      }),
      { numRuns: 50 },
    )
  })
})

const VCPUS = 2
/** Of 24 pages, of which every fourth is zero; pages 20 to 23 come later, by the changes. */
const PROCESS: Capture = {
  ...captureOf(24, [
    [1, 3, 20, 22, 23],
    [21, 0],
  ]),
  firstPages: 20,
  kindOf: ['text', 'random'],
  contentOf: Int32Array.from({ length: 24 }, (_, page) => (page % 4 === 3 ? ZERO_CONTENT : page % 2)),
  bytes: [0x41, 0x5a].map((byte) => new Uint8Array(4096).fill(byte)),
}

/** Memory and board after vCPUs have booted, and then made a few turns, one vCPU after the other. */
function lived(guest: SharedGuest, turns: number) {
  const pages = 512
  const shape = { pages, vcpus: VCPUS, keepsEvents: false }
  const board = new Board(new ArrayBuffer(Board.bytes(shape)), shape)
  const area = { ram: new Int32Array(pages * 1024) } as unknown as Area
  for (let index = 0; index < VCPUS; index++) {
    let left = turns
    let hasBooted = false
    const is = (cell: Cell) => {
      if (cell === 'mayBoot') return true
      if (cell === 'run') return hasBooted && left-- > 0
      return cell === 'exit' && hasBooted && left <= 0
    }
    const add = (cell: Cell) => {
      if (cell === 'booted') hasBooted = true
    }
    const control = { is, add, wait: () => undefined, places: new Float64Array(2 * VCPUS) } as unknown as Control
    const options = { ...DEFAULT_OPTIONS, guest: 'test.pfguest', memBytes: pages * 4096, vcpus: VCPUS }
    const setup = { options, index, side: 'source', shape } as unknown as ThreadSetup
    new VcpuThread(setup, area, board, control, guest).run()
  }
  const compare = (contentOf = guest.contentOf) => compareAll(area, board, false, contentOf)
  return { board, ram: area.ram, compare }
}

describe('a captured process on memory', () => {
  it('boots the pages of the first look but for the zero ones, with what they held between the words of its vCPUs', () => {
    const { board, ram, compare } = lived(shared({ capture: PROCESS }), 0)
    expect(writtenPages(board)).toBe(15)
    expect([ram[2 * 1024 + VCPUS], ram[5 * 1024 + 1023 - VCPUS]]).toEqual([0x41414141, 0x5a5a5a5a])
    expect(ram.subarray(3 * 1024, 4 * 1024).every((word) => word === 0)).toBe(true)
    expect(ram.subarray(20 * 1024).every((word) => word === 0)).toBe(true)
    expect(compare()).toMatchObject({ lost: 0, stale: 0, misplaced: 0, first: null })
  })

  it('gives a page that came later its content when that is first stored to, and a zero page none', () => {
    const { board, ram, compare } = lived(shared({ capture: PROCESS }), 300)
    // All but the zero pages that no sample changes.
    expect(writtenPages(board)).toBe(20)
    expect([20, 21, 22, 23, 3].map((page) => ram[page * 1024 + 512])).toEqual([0x41414141, 0x5a5a5a5a, 0x41414141, 0, 0])
    expect(compare()).toMatchObject({ lost: 0, stale: 0, misplaced: 0, first: null })
    expect(board.sum('loadsChecked')).toBeGreaterThan(0)
    expect([board.sum('lost'), board.sum('stale'), board.sum('misplaced')]).toEqual([0, 0, 0])
  })

  it('has zeros where the file has no contents', () => {
    const { ram, compare } = lived(shared({ capture: { ...PROCESS, bytes: null } }), 300)
    expect(ram[2 * 1024 + 512]).toBe(0)
    expect(compare().first).toBeNull()
  })

  it('is told from one whose contents are not as they were', () => {
    const { ram, compare } = lived(shared({ capture: PROCESS }), 300)
    ram[6 * 1024 + 700] = 0x41414142
    expect(compare()).toMatchObject({ misplaced: 1, first: { page: 6, found: 0x41414142 } })
    ram[6 * 1024 + 700] = 0
    expect(compare()).toMatchObject({ lost: 1, first: { page: 6 } })
    expect(compare(NO_CONTENT).misplaced).toBe(18)
  })
})

let folder = ''
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pageferry-test-'))
  if (noKernel === null) await ensureBuilt('cli')
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

vi.setConfig({ testTimeout: 60_000 })

function written(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name)
  writeFileSync(path, name.endsWith('.lackey') ? bytes : gzipSync(bytes))
  return path
}

/** A program that writes and reads 601 pages in turn; and a process of 1,500 pages, 375 of them zero, that changes a hundred. */
const trace = () =>
  written(
    'a.lackey',
    Array.from({ length: 9000 }, (_, i) => ` ${'SLM'[i % 3]} ${(0x4000000 + ((i * 7) % 601) * 4096).toString(16)},8\n`).join(''),
  )
const captured = () => {
  const changed = Array.from({ length: 100 }, (_, i) => i * 9)
  const samples = [1, 2, 3].map((n) => ({ timeUs: n * 1000, runs: runsOf(Int32Array.from(changed)) }))
  return written('a.pfguest', fileOf({ ...captureOf(1500, []), samples, bytes: [new Uint8Array(4096).fill(0x41)] }))
}

function migrate(words: readonly string[]) {
  const line = [PROGRAM, 'kernel', 'migrate', ...words, '--duration', '20ms', '--no-predict', '--json']
  return new Promise<{ code: number; out: string; err: string }>((resolve) => {
    execFile(process.execPath, line, (error, out, err) => resolve({ code: Number(error?.code ?? 0), out, err }))
  })
}

describe.skipIf(noKernel !== null)(named('a guest from a file on the real kernel'), () => {
  it.each([
    ['post-copy', ['--mode', 'postcopy']],
    ['pre-copy', ['--mode', 'precopy']],
    ['hybrid', ['--mode', 'hybrid', '--bandwidth', '500Mbps']],
  ])('of two traces arrives whole by %s', async (_name, words) => {
    const { code, out, err } = await migrate(['--guest', `${trace()}+${trace()}`, '--mem', '8M', ...words])
    expect([code, err]).toEqual([0, ''])
    const report = JSON.parse(out)
    expect(report.consistency).toMatchObject({ verdict: 'consistent', pagesCompared: 2048, lost: 0, missing: 0 })
    expect(report.guest.touchedPages).toBe(1202)
    expect(report.consistency.loadsChecked).toBeGreaterThan(1000)
  })

  it.each([
    ['post-copy', ['--mode', 'postcopy']],
    ['post-copy with an urgent channel', ['--capability', 'postcopy-preempt=on', '--resolver', 'copy']],
    ['pre-copy', ['--mode', 'precopy']],
  ])('of a captured process arrives whole by %s, zero pages as zero pages', async (_name, words) => {
    const { code, out, err } = await migrate(['--guest', captured(), ...words])
    expect([code, err]).toEqual([0, ''])
    const report = JSON.parse(out)
    // 1,500 pages, in whole 2 MiB.
    expect(report.consistency).toMatchObject({ verdict: 'consistent', pagesCompared: 1536, lost: 0, missing: 0 })
    expect(report.migration.ram.normal).toBeGreaterThanOrEqual(report.guest.touchedPages - 25)
    expect(report.migration.ram.duplicate).toBeGreaterThanOrEqual(1536 - report.guest.touchedPages)
  })

  it.each([
    ['that is no trace', () => written('b.lackey', 'rubbish\n'), 'not a memory access'],
    ['that was cut off', () => written('b.pfguest', fileOf(captureOf(9, [])).subarray(0, 60)), 'b.pfguest'],
  ])('%s ends it with one sentence, before anything runs', async (_name, file, sentence) => {
    const { code, out, err } = await migrate(['--guest', file()])
    expect([code, out, err.trim().split('\n').length]).toEqual([1, '', 1])
    expect(err).toContain(sentence)
  })
})
