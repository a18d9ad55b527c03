/**
 * The binding to the host's kernel: structures have the kernel's sizes, and userfaultfd and PAGEMAP_SCAN do what they say.
 *
 * Needs Linux with userfaultfd permitted; skipped by name elsewhere.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { Mapping, PAGE_BYTES } from '../../main/kernel/sys/mapping.ts'
import { PagemapScanner } from '../../main/kernel/sys/pagemap_scan.ts'
import { struct } from '../../main/kernel/sys/struct.ts'
import { MADV, PAGE_IS, UFFDIO, UFFDIO_REGISTER_MODE, UFFDIO_WRITEPROTECT_MODE } from '../../main/kernel/sys/uapi.ts'
import { featuresOfHost, Userfaultfd } from '../../main/kernel/sys/userfaultfd.ts'
import { named, noKernel } from './host.ts'

describe('a structure', () => {
  it('whose fields do not make its size is refused', () => {
    expect(() => struct('uffdio_range', 24, { start: 'u64', len: 'u64' })).toThrow('has 16 bytes here and 24 in the kernel')
  })

  it('aligns its fields as C does', () => {
    expect(struct('s', 16, { a: 'u8', b: 'u32', c: 'u64' }).offsets).toEqual({ a: 0, b: 4, c: 8 })
  })

  it('makes the numbers of ioctls that the headers have', () => {
    expect(UFFDIO.API).toBe(0xc018aa3f)
    expect(UFFDIO.COPY).toBe(0xc028aa03)
    expect(UFFDIO.WAKE).toBe(0x8010aa02)
  })
})

describe.skipIf(noKernel !== null)(named("the host's kernel"), () => {
  it('names the features of its userfaultfd', () =>
    expect(featuresOfHost()).toEqual(expect.arrayContaining(['MOVE', 'WP_ASYNC'])))

  it('lets a thread sleep on a missing page until MOVE places it', async () => {
    const memory = Mapping.anonymous(4 * PAGE_BYTES)
    const source = Mapping.anonymous(PAGE_BYTES)
    new Uint32Array(source.buffer)[0] = 4711
    const uffd = Userfaultfd.open(['MOVE'])
    uffd.register(memory.address, memory.length, UFFDIO_REGISTER_MODE.missing)
    const worker = new Worker(new URL('toucher.mjs', import.meta.url), {
      workerData: { address: memory.address, length: memory.length },
    })
    try {
      worker.postMessage(2 * PAGE_BYTES)
      let messages = uffd.read()
      while (messages.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 1))
        messages = uffd.read()
      }
      expect(messages[0]?.get('word1')).toBe(memory.address + 2 * PAGE_BYTES)
      const answer = once(worker, 'message')
      expect(uffd.move(memory.address + 2 * PAGE_BYTES, source.address, PAGE_BYTES)).toBe(PAGE_BYTES)
      expect((await answer)[0]).toEqual({ offset: 2 * PAGE_BYTES, value: 4711 })
    } finally {
      await worker.terminate()
      uffd.close()
      memory.unmap()
      source.unmap()
    }
  })

  it('answers EEXIST as a negative number where a page is present', () => {
    const memory = Mapping.anonymous(PAGE_BYTES)
    const uffd = Userfaultfd.open()
    uffd.register(memory.address, memory.length, UFFDIO_REGISTER_MODE.missing)
    expect(uffd.zeropage(memory.address, PAGE_BYTES)).toBe(PAGE_BYTES)
    expect(uffd.zeropage(memory.address, PAGE_BYTES)).toBe(-17)
    uffd.close()
    memory.unmap()
  })

  it('finds by PAGEMAP_SCAN what was written since the last look, and nothing else', () => {
    const memory = Mapping.anonymous(64 * PAGE_BYTES)
    memory.advise(MADV.populateWrite)
    const uffd = Userfaultfd.open(['WP_ASYNC', 'WP_UNPOPULATED'])
    uffd.register(memory.address, memory.length, UFFDIO_REGISTER_MODE.wp)
    expect(uffd.writeprotect(memory.address, memory.length, UFFDIO_WRITEPROTECT_MODE.wp)).toBe(0)
    const scanner = new PagemapScanner()
    const look = () => {
      const found = scanner.scan(memory.address, memory.address + memory.length, {
        all: PAGE_IS.written,
        tell: PAGE_IS.written,
        protect: true,
      })
      return [...found].map(({ start, end }) => [(start - memory.address) / PAGE_BYTES, (end - memory.address) / PAGE_BYTES])
    }
    expect(look()).toEqual([])
    const words = new Uint32Array(memory.buffer)
    for (const page of [3, 4, 60]) words[(page * PAGE_BYTES) / 4] = 1
    expect(look()).toEqual([
      [3, 5],
      [60, 61],
    ])
    expect(look()).toEqual([])
    scanner.close()
    uffd.close()
    memory.unmap()
  })
})
