/**
 * VmSize and VmData are what the areas add up to, after any calls that make, resize, move, change, copy and remove areas.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, sys } from '../../core/machine/syscall.ts'
import { dataPages } from '../../core/mm/vm_stat.ts'
import { at, P, Rig } from './rig.ts'

const WINDOW = 40

it('are what the areas add up to, in the process and in its children', () => {
  const call = fc.record({
    what: fc.constantFrom('mmap', 'shared', 'munmap', 'mprotect', 'move', 'resize', 'fork'),
    page: fc.integer({ min: 1, max: 20 }),
    to: fc.integer({ min: 1, max: 20 }),
    pages: fc.integer({ min: 1, max: 4 }),
    prot: fc.nat(3),
  })
  fc.assert(
    fc.property(fc.array(call, { maxLength: 20 }), (calls) => {
      const rig = new Rig({ windowPages: WINDOW })
      const processes = [rig.process]
      for (const { what, page, to, pages, prot } of calls) {
        const p = processes.at(-1) ?? rig.process
        const kind = (what === 'shared' ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_FIXED
        if (what === 'fork') {
          if (processes.length < 3) processes.push(rig.call((k) => sys.fork(k, p), 0, p))
        } else if (what === 'mmap' || what === 'shared') rig.call((k) => sys.mmap(k, p, pages * P, prot, kind, at(page)), 0, p)
        else if (what === 'munmap') rig.call((k) => sys.munmap(k, p, at(page), pages * P), 0, p)
        else if (what === 'mprotect') rig.call((k) => sys.mprotect(k, p, at(page), pages * P, prot), 0, p)
        else if (what === 'resize') rig.call((k) => sys.mremap(k, p, at(page), P, pages * P, 1), 0, p)
        else rig.call((k) => sys.mremap(k, p, at(page), P, pages * P, 3, at(to)), 0, p)
        for (const { mm } of processes) {
          const total = mm.tree.areas.reduce((sum, vma) => sum + vma.end - vma.start, 0)
          expect([mm.totalVm, mm.dataVm]).toEqual([total, dataPages(mm)])
        }
      }
    }),
  )
})

it('data is private and may be written: not what is shared, not what is read-only', () => {
  const rig = new Rig({ windowPages: WINDOW })
  const { mm, process } = rig
  const map = (page: number, prot: number, kind: number) =>
    rig.call((k) => sys.mmap(k, process, 2 * P, prot, kind | MAP_ANONYMOUS | MAP_FIXED, at(page)))
  map(2, 3, MAP_PRIVATE)
  map(6, 3, MAP_SHARED)
  map(10, 1, MAP_PRIVATE)
  expect([mm.totalVm, mm.dataVm]).toEqual([6, 2])
  rig.call((k) => sys.mprotect(k, process, at(11), P, 3))
  expect([mm.totalVm, mm.dataVm]).toEqual([6, 3])
})
