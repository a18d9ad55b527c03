/**
 * A page table entry of x86-64, bit for bit, as a number.
 *
 *     51                          12 11 10  9  8  7  6  5  4  3  2  1  0
 *    |        frame number          |SD|UW|SP| G|PS| D| A|CD|WT| U| W| P|
 *
 * P present, W writable, U user, A accessed, D dirty, PS huge. SP, UW and SD are the software bits as Linux uses them:
 * special, userfault write-protect, soft-dirty. Bits 52 to 62 are unused here and NX (63) is not modelled, so an entry is
 * exact in a float64. Zero is "none". An entry one level up with PS maps 2 MiB itself; the same bits mean the same there.
 * Source: Intel SDM 3A 4.5; arch/x86/include/asm/pgtable_types.h.
 */
import type { Pfn } from './phys_mem.ts'

/** A page table entry; 0 is none. */
export type Pte = number

export const PTE_P = 1 << 0
export const PTE_W = 1 << 1
export const PTE_U = 1 << 2
export const PTE_A = 1 << 5
export const PTE_D = 1 << 6
export const PTE_PS = 1 << 7
/** With P clear: the page is there for the kernel, but nobody may touch it (PROT_NONE). Hardware's G bit, as in Linux. */
export const PTE_PROTNONE = 1 << 8
export const PTE_SPECIAL = 1 << 9
export const PTE_UFFD_WP = 1 << 10
export const PTE_SOFT_DIRTY = 1 << 11
export const PTE_NONE: Pte = 0
/** On a huge PMD: its page is being split; who meets it waits. Hardware ignores it. @kernel _PAGE_SPLITTING */
export const PMD_SPLITTING = PTE_SPECIAL
/** Base pages of a 2 MiB page. @kernel HPAGE_PMD_NR */
export const HUGE_PAGES = 512

const FLAG_MASK = 0xfff

/** Of at most 29 bits (phys_mem.ts), so that the cut to 32 is exact, and what comes of it is an index without further tests. */
export function ptePfn(pte: Pte): Pfn {
  return (pte / 4096) | 0
}

export function pteFlags(pte: Pte): number {
  return pte & FLAG_MASK
}

/** @kernel mk_pte */
export function makePte(pfn: Pfn, flags: number): Pte {
  return pfn * 4096 + flags
}

/** A page is mapped here, for the kernel; hardware looks at P alone. @kernel pte_present */
export function ptePresent(pte: Pte): boolean {
  return (pte & (PTE_P | PTE_PROTNONE)) !== 0
}

export function pteWritable(pte: Pte): boolean {
  return (pte & PTE_W) !== 0
}

/** The same frame with other flags. */
export function pteWithFlags(pte: Pte, flags: number): Pte {
  return pte - (pte & FLAG_MASK) + flags
}

/** A PMD entry that maps 2 MiB, or did until its P bit was taken away for a moment. @kernel pmd_trans_huge */
export function pmdHuge(pmd: Pte): boolean {
  return (pmd & PTE_PS) !== 0
}
