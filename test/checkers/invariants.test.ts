/**
 * The checkers of rights, TLBs and sequence counts: each is quiet about a sound machine and finds the bug that is planted for
 * it. The accounting checkers have a file of their own.
 */
import { describe, expect, it } from 'vitest'
import { rightsAreThoseOfTheArea } from '../../core/checkers/permissions.ts'
import { sequencesAreEven } from '../../core/checkers/sequence.ts'
import { tlbsMatchPageTables } from '../../core/checkers/tlb.ts'
import {
  makePte,
  PTE_A,
  PTE_D,
  PTE_NONE,
  PTE_P,
  PTE_U,
  PTE_UFFD_WP,
  PTE_W,
  pteFlags,
  ptePfn,
  pteWithFlags,
} from '../../core/hw/pte.ts'
import { fork } from '../../core/mm/fork.ts'
import { mprotect, PROT_NONE, PROT_READ } from '../../core/mm/mprotect.ts'
import { at, P, Rig } from './../mm/rig.ts'

/** A written page (offset 0), a read one (offset 1) and an untouched one. */
function scene(): { rig: Rig; a: number } {
  const rig = new Rig()
  const a = rig.map(3)
  rig.store(a, 7)
  rig.load(a + 1)
  return { rig, a }
}

function setPte(rig: Rig, page: number, pte: number): void {
  rig.kernel.tables.set(rig.mm.table.walkAllocate(page), pte)
}

describe('a sound machine', () => {
  it('is found sound by all of them', () => {
    const { rig } = scene()
    for (const check of [rightsAreThoseOfTheArea, tlbsMatchPageTables, sequencesAreEven]) expect(check([rig.process])).toBeNull()
  })
})

describe('rights (I-PERM, I-VMA)', () => {
  const RW = PTE_P | PTE_U | PTE_A | PTE_D | PTE_W
  it.each<[string, (rig: Rig, a: number) => void, RegExp]>([
    ['an entry behind the area', (rig, a) => setPte(rig, a + 9, makePte(5, RW)), /there is no area/],
    [
      'a writable page in a read-only area',
      (rig, a) => {
        rig.call((k) => mprotect(k, rig.mm, at(a), P, PROT_READ))
        setPte(rig, a, pteWithFlags(rig.pte(a), RW))
      },
      /writable, and its area is not/,
    ],
    [
      'a readable page in an area without rights',
      (rig, a) => {
        rig.call((k) => mprotect(k, rig.mm, at(a), P, PROT_NONE))
        setPte(rig, a, pteWithFlags(rig.pte(a), PTE_P | PTE_U))
      },
      /gives no right/,
    ],
    [
      'a writable page under userfault protection',
      (rig, a) => setPte(rig, a, rig.pte(a) + PTE_UFFD_WP),
      /write-protected by userfault/,
    ],
    ['a writable zero page', (rig, a) => setPte(rig, a + 1, rig.pte(a + 1) + PTE_W), /zero page/],
    [
      'a page that a child shares and the parent may write',
      (rig, a) => {
        rig.call((k) => fork(k, rig.mm))
        setPte(rig, a, makePte(ptePfn(rig.pte(a)), pteFlags(rig.pte(a)) | PTE_W))
      },
      /mapped 2 times/,
    ],
  ])('%s is found', (_what, plant, message) => {
    const { rig, a } = scene()
    plant(rig, a)
    expect(rightsAreThoseOfTheArea([rig.process])).toMatch(message)
  })
})

describe('TLBs (I-TLB)', () => {
  it.each<[string, (rig: Rig, a: number) => void, RegExp]>([
    ['an entry whose PTE is gone', (rig, a) => setPte(rig, a, PTE_NONE), /stale entry for page/],
    ['an entry of another frame', (rig, a) => setPte(rig, a, makePte(9, pteFlags(rig.pte(a)))), /stale entry for page/],
    [
      'an entry that may still write',
      (rig, a) => setPte(rig, a, pteWithFlags(rig.pte(a), pteFlags(rig.pte(a)) & ~PTE_W)),
      /may still write page/,
    ],
  ])('%s is found', (_what, plant, message) => {
    const { rig, a } = scene()
    plant(rig, a)
    expect(tlbsMatchPageTables([rig.process])).toMatch(message)
  })
})

describe('sequence counts (I-SEQ)', () => {
  it('an area whose section was left open is found', () => {
    const { rig, a } = scene()
    rig.vma(a).sequence.sequence++
    expect(sequencesAreEven([rig.process])).toMatch(/vm_sequence .* is odd/)
  })

  it('a tree that is still being changed is found', () => {
    const { rig } = scene()
    rig.mm.treeSeq.count.sequence++
    expect(sequencesAreEven([rig.process])).toMatch(/mm_seq is odd/)
  })
})
