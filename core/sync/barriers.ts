/**
 * Loads, stores and barriers of code that shares fields without a lock, in the kernel's words.
 *
 * Where memory is sequentially consistent (`k.memory` is null: always in the clock gear, and in the step gear unless a litmus test
 * names another model) all of it is nothing: fields are read and written as they stand. Elsewhere weak_memory.ts decides
 * when a store is seen and how early a load was done.
 *
 * Only fields that the kernel reads without a lock and without an atomic operation go through here: what an area's sequence
 * count covers and the count, and the two sides of "store the PTE, look at the queue". All else is ordered by locks.
 *
 * Source: Documentation/memory-barriers.txt; tools/memory-model.
 * @kernel smp_mb, smp_wmb, smp_rmb, READ_ONCE, WRITE_ONCE
 */
import type { Place, Watched } from '../engine/memory_order.ts'
import { type AccessOp, read, write } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'

/** The object as this CPU sees it: what it reads there may be old, and what it writes there may stay in its store buffer. */
export function seenBy<T extends Watched>(k: Task, target: T): T {
  return k.memory === null ? target : k.memory.view(k, target)
}

/** Announces a load of a field that seenBy or loadOnce reads. Step gear. */
export function loading(k: Task, object: number, label: string): AccessOp {
  return k.memory === null ? read(object, label) : k.memory.loading(k, object, label)
}

/** Announces a store to a field that seenBy or storeOnce writes. Step gear. */
export function storing(k: Task, object: number, label: string): AccessOp {
  return k.memory === null ? write(object, label) : k.memory.storing(k, object, label)
}

/** @kernel READ_ONCE */
export function loadOnce<T>(k: Task, place: Place<T>): T {
  return k.memory === null ? place.get() : k.memory.load(k, place)
}

/** @kernel WRITE_ONCE */
export function storeOnce<T>(k: Task, place: Place<T>, value: T): void {
  if (k.memory === null) place.set(value)
  else k.memory.store(k, place, value)
}

/** The loads that follow may be done in any order from here on. A read barrier ends that. */
export function loadsFollow<T extends Watched>(k: Task, target: T, fields: readonly (keyof T & string)[]): void {
  if (k.memory !== null) k.memory.ahead(k, target, fields)
}

/** Stores before it are seen before loads after it are done. */
export function smpMb(k: Task): void {
  if (k.memory !== null) k.memory.fullBarrier(k)
}

/** Stores before it are seen before stores after it. `name` says which protection this barrier is. */
export function smpWmb(k: Task, name: string): void {
  if (k.memory !== null) k.memory.writeBarrier(k, name)
}

/** Loads before it are done before loads after it. */
export function smpRmb(k: Task): void {
  if (k.memory !== null) k.memory.readBarrier(k)
}
