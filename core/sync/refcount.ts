/**
 * Reference counts: an object lives until its last reference is put, and no longer.
 *
 * A freed object stays where it is, marked: whoever still uses it is found (use) instead of reading what comes next.
 *
 * Holders take references in any order. They do not drop them in any order: which one is the last depends on it, and a search that
 * took two drops for exchangeable because neither was the last would never see the other one free the object.
 *
 * Source: include/linux/refcount.h.
 * @kernel refcount_t, refcount_inc_not_zero, refcount_dec_and_test
 */
import { violate } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode } from '../engine/op.ts'

export class Refcounted {
  refs = 1
  freed = false

  constructor(readonly name: string) {}

  get(): void {
    touch(0, this.name, AccessMode.acquireShared)
    if (this.refs <= 0) violate('I-UAF', `${this.name} is referenced at count ${this.refs}`)
    this.refs++
  }

  /** A reference unless it is being freed: never resurrect. @kernel refcount_inc_not_zero */
  getUnlessZero(): boolean {
    touch(0, this.name, AccessMode.read)
    if (this.refs === 0) return false
    this.refs++
    return true
  }

  /** True when this was the last reference; the object is freed then. */
  put(): boolean {
    if (this.refs <= 0) violate('I-UAF', `${this.name} is put at count ${this.refs}`)
    this.refs--
    touch(0, this.name, AccessMode.write)
    if (this.refs > 0) return false
    this.freed = true
    return true
  }

  /** Whoever touches the object says so: a freed one may not be touched. */
  use(who: string): void {
    touch(0, this.name, AccessMode.read)
    if (this.freed) violate('I-UAF', `use after free: ${who} uses ${this.name}, which was freed`)
  }
}
