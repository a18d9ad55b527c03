/**
 * What a conformance case is: plain data that says what a few threads do to memory, and what each call must answer.
 *
 * A case names regions of memory and descriptors, then lists steps. A step is one call by one actor, or several at once
 * (`together`). Nothing in it is code and nothing in it belongs to the model, so that the same file runs on a real kernel;
 * what only the model can do carries `"only": "model"`. reader.ts checks the files, runner.ts runs them.
 *
 * Actors: `t0` is the process's first thread, `t1`, `t2`, ... are further ones, each started when it first acts. A fork
 * names its child (`c0`); the child is an actor too. An actor whose call is blocked can only be asked with `await`.
 *
 * Numbers may be written as text: `2p` is two pages, `A` the address of region A, `A+1p+8` a byte in its second page; a name
 * bound by a step's `as` (an address, a descriptor, frames, content) stands for its value in later steps.
 */
import type { CallName } from './vocabulary.ts'

/** A number, or an expression of names, pages and bytes. */
export type Amount = number | string
export type ArgumentValue = Amount | boolean | readonly string[]

export interface ConformCase {
  /** `30-copy-one-page`: the assertion it stands for, then what it is. */
  readonly id: string
  readonly title: string
  /** Assertions of the catalogue, and where the expectation comes from: measurements (`V:C02`), man pages, patches. */
  readonly source: readonly string[]
  /** Set where no real kernel offers the call, or nobody may send it there. */
  readonly only?: 'model'
  /** Features of userfaultfd that the kernel must offer. */
  readonly needs: readonly string[]
  /** The first release that behaves so, as far as known: `6.8`. */
  readonly kernel?: string
  /** The first release that no longer does; a case for older kernels, which the model (of MODEL_RELEASE) does not run either. */
  readonly until?: string
  /** How often the whole case is run: for races. */
  readonly rounds: number
  readonly regions: Readonly<Record<string, Region>>
  /** Descriptors that are open, shaken hands with, and registered before the first step. */
  readonly uffds: Readonly<Record<string, UffdSetup>>
  readonly steps: readonly Step[]
}

/** Memory mapped before the first step, with an unmapped page on both sides. */
export interface Region {
  readonly pages: number
  /** Rights: `rw`, `r`, or `none`. */
  readonly prot: 'rw' | 'r' | 'none'
  /** `anon` and `file` are private unless `shared`; `memfd-readonly` is a memfd whose descriptor cannot write. */
  readonly backing: 'anon' | 'memfd' | 'memfd-readonly' | 'file'
  readonly shared: boolean
  /** Every byte of every page is written with this before the first step. */
  readonly fill?: number
  /** A second mapping of the memfd behind that region. */
  readonly alias?: string
  /** Starts at a 2 MiB boundary, with nothing else in the same page table. */
  readonly ownTable: boolean
}

export interface UffdSetup {
  readonly blocking: boolean
  readonly userModeOnly: boolean
  readonly features: readonly string[]
  readonly register: readonly { readonly at: Amount; readonly length: Amount; readonly mode: readonly string[] }[]
}

export type Step = CallStep | TogetherStep

export interface CallStep {
  readonly actor: string
  readonly call: CallName
  readonly args: Readonly<Record<string, ArgumentValue>>
  /** Binds what the call made: an address, a descriptor, frames, or content. */
  readonly as?: string
  /** Absent: the call succeeds and does not block. */
  readonly expect: Expectation
}

/** Calls that run at the same time; those of one actor one after the other. */
export interface TogetherStep {
  readonly together: readonly CallStep[]
  /** Outcomes of the calls (in any order of the calls) instead of one expectation each. */
  readonly anyOrder?: readonly Expectation[]
}

export interface Expectation {
  readonly ret?: Amount
  readonly errno?: string
  /** True: the call sleeps, and the actor with it. */
  readonly blocked?: boolean
  readonly signal?: { readonly name: string; readonly code: number; readonly address: Amount }
  /** Fields that the call wrote, or what an observer saw. */
  readonly fields?: Readonly<Record<string, FieldExpectation>>
  /** The messages that read answers, in order. */
  readonly messages?: readonly MessageExpectation[]
  /** The byte that fills what was read, a bound name, or `mixed`. */
  readonly content?: number | string
  /** pagemap: each frame is that of the frames bound to the name; or none is. */
  readonly sameFrames?: string
  readonly otherFrames?: string
  /** Whatever it answers; another look at the case's outcome decides. */
  readonly anything?: boolean
  /** One of these. */
  readonly oneOf?: readonly Expectation[]
}

/** A number, `-EEXIST`, an expression; numbers, one a page; a set of bits by name, exactly or in part. */
export type FieldExpectation = Amount | readonly (number | string)[] | Mask

export interface Mask {
  readonly has: readonly string[]
  readonly lacks: readonly string[]
}

export interface MessageExpectation {
  readonly event: 'PAGEFAULT' | 'FORK' | 'REMAP' | 'REMOVE' | 'UNMAP'
  /** PAGEFAULT: of WRITE, WP, MINOR. */
  readonly flags?: readonly string[]
  readonly address?: Amount
  /** PAGEFAULT with THREAD_ID: the actor. */
  readonly thread?: string
  readonly from?: Amount
  readonly to?: Amount
  readonly length?: Amount
  readonly start?: Amount
  readonly end?: Amount
  /** FORK: binds the child's descriptor. */
  readonly as?: string
}

/** A file of cases: one group. */
export interface CaseGroup {
  readonly group: string
  readonly title: string
  readonly cases: readonly ConformCase[]
}

export function isTogether(step: Step): step is TogetherStep {
  return 'together' in step
}
