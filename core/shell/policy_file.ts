/**
 * A user's own prepaging policy: a JavaScript file, run where it can reach nothing.
 *
 *  1. The file is read, and becomes a module of QuickJS, an interpreter in WebAssembly: its code sees JavaScript and the bitmap
 *     that it is handed, and no file, no network and no host, because in there are none. `import` finds nothing.
 *  2. What would make two runs differ is taken away: Date, Math.random, and what tells when memory is collected.
 *  3. It must export next(); start() and requested() it may. See docs/prepaging.md for what they are told and may answer.
 *  4. Each call has so many steps and no more, counted and not timed: so a loop without end is stopped at the same place in
 *     every run. Memory and stack are bounded, too.
 *
 * What it answers is checked elsewhere (migration/prepaging/checked.ts). A mistake becomes one sentence with file and line.
 */
import type { QuickJSContext, QuickJSHandle } from 'quickjs-emscripten-core'
import type { ForeignPolicy } from '../migration/prepaging/checked.ts'
import { PrepagingError, type Unsent } from '../migration/prepaging/policy.ts'
import { CommandError } from './command.ts'
import { readText } from './commands/text_file.ts'
import type { Host } from './host.ts'

const MOST_BYTES = 2 ** 20
const MEMORY_BYTES = 16 * 2 ** 20
const STACK_BYTES = 2 ** 18
/** QuickJS asks whether to go on after so many of its steps; a call may be asked so often. */
const STEPS_A_QUESTION = 10_000
const MOST_QUESTIONS = 500

/** Its name inside, for the lines of errors. */
const MODULE = 'policy'

const TAKE_AWAY =
  'delete globalThis.Date; delete Math.random; delete globalThis.WeakRef; delete globalThis.FinalizationRegistry; delete globalThis.SharedArrayBuffer'

/** Throws CommandError or PrepagingError. */
export async function loadPolicyFile(path: string, host: Host): Promise<ForeignPolicy> {
  // 1.
  const text = await readText(path, host, MOST_BYTES)
  if (text === null) throw new CommandError(`there is no file ${path}; check the path, or name a policy that is built in`)
  const { newQuickJSWASMModuleFromVariant } = await import('quickjs-emscripten-core')
  const { default: variant } = await import('@jitl/quickjs-singlefile-mjs-release-sync')
  const runtime = (await newQuickJSWASMModuleFromVariant(variant)).newRuntime()
  runtime.setMemoryLimit(MEMORY_BYTES)
  runtime.setMaxStackSize(STACK_BYTES)
  return new PolicyFile(path, text, runtime.newContext())
}

class PolicyFile implements ForeignPolicy {
  readonly #vm: QuickJSContext
  readonly #exports: QuickJSHandle
  readonly #start: QuickJSHandle | null
  readonly #requested: QuickJSHandle | null
  readonly #next: QuickJSHandle
  readonly #bitmap: QuickJSHandle
  /** What `#bitmap` tells of, during a call of next(). */
  #unsent: Unsent | null = null
  #questions = 0

  constructor(
    readonly name: string,
    text: string,
    vm: QuickJSContext,
  ) {
    this.#vm = vm
    // 4.
    vm.runtime.setInterruptHandler(() => ++this.#questions > MOST_QUESTIONS)
    // 2.
    vm.unwrapResult(vm.evalCode(TAKE_AWAY)).dispose()
    this.#exports = this.#value(vm.evalCode(text, MODULE, { type: 'module' }), 'be loaded')
    // 3.
    const next = this.#exported('next')
    if (next === null)
      throw new PrepagingError(
        `the prepaging policy ${name} has no next(); export function next(unsent, most), as docs/prepaging.md tells`,
      )
    this.#next = next
    this.#start = this.#exported('start')
    this.#requested = this.#exported('requested')
    this.#bitmap = this.#makeBitmap()
  }

  start(pages: number): void {
    this.#vm.setProp(this.#bitmap, 'length', this.#vm.newNumber(pages))
    if (this.#start !== null) this.#call(this.#start, 'start()', this.#vm.newNumber(pages)).dispose()
  }

  requested(page: number): void {
    if (this.#requested !== null) this.#call(this.#requested, 'requested()', this.#vm.newNumber(page)).dispose()
  }

  next(unsent: Unsent, most: number): unknown {
    this.#unsent = unsent
    const answer = this.#call(this.#next, 'next()', this.#bitmap, this.#vm.newNumber(most))
    this.#unsent = null
    const value: unknown = this.#vm.typeof(answer) === 'number' ? this.#vm.getNumber(answer) : this.#vm.dump(answer)
    answer.dispose()
    return value
  }

  #exported(name: string): QuickJSHandle | null {
    const handle = this.#vm.getProp(this.#exports, name)
    const type = this.#vm.typeof(handle)
    if (type === 'function') return handle
    handle.dispose()
    if (type === 'undefined') return null
    throw new PrepagingError(`the prepaging policy ${this.name} exports ${name}, which is no function; make it one`)
  }

  /** What the file sees as `unsent`. */
  #makeBitmap(): QuickJSHandle {
    const vm = this.#vm
    const bitmap = vm.newObject()
    const tell = (name: string, answer: (unsent: Unsent, page: number, most: number) => number | boolean) => {
      const told = vm.newFunction(name, (page, most) => {
        const value = this.#unsent === null ? 0 : answer(this.#unsent, whole(vm, page), whole(vm, most))
        return typeof value === 'number' ? vm.newNumber(value) : value ? vm.true : vm.false
      })
      vm.setProp(bitmap, name, told)
      told.dispose()
    }
    tell('has', (unsent, page) => unsent.has(page))
    tell('nextSet', (unsent, from) => unsent.nextSet(Math.max(0, from)))
    tell('prevSet', (unsent, from) => unsent.prevSet(from))
    tell('run', (unsent, from, most) => (from < 0 ? 0 : unsent.run(from, most)))
    return bitmap
  }

  #call(what: QuickJSHandle, name: string, ...given: readonly QuickJSHandle[]): QuickJSHandle {
    this.#questions = 0
    const answer = this.#value(this.#vm.callFunction(what, this.#vm.undefined, ...given), `go on in ${name}`)
    for (const handle of given) if (handle !== this.#bitmap) handle.dispose()
    return answer
  }

  #value(result: ReturnType<QuickJSContext['callFunction']>, what: string): QuickJSHandle {
    if (result.error === undefined) return result.value
    const error: unknown = this.#vm.dump(result.error)
    result.error.dispose()
    throw new PrepagingError(`the prepaging policy ${this.name} cannot ${what}: ${reasonOf(error)}`)
  }
}

/** A page number as the file gave it; -1 if it is none. */
function whole(vm: QuickJSContext, handle: QuickJSHandle | undefined): number {
  const value = handle === undefined ? -1 : vm.getNumber(handle)
  return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? value : -1
}

/** `line 3: cannot read property 'c' of undefined (TypeError); mend it there`. */
function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return `it throws ${String(error)}; throw nothing`
  const { name, message, stack } = { name: '', message: '', stack: '', ...error }
  const line = /policy:(\d+)/.exec(String(stack))?.[1]
  const where = line === undefined ? '' : `line ${line}: `
  if (name === 'InternalError' && message === 'interrupted')
    return `${where}stopped after ${(STEPS_A_QUESTION * MOST_QUESTIONS) / 1e6} million steps; end its loop sooner`
  if (name === 'InternalError' && message === 'out of memory')
    return `${where}it takes more than ${MEMORY_BYTES / 2 ** 20} MiB; keep less`
  if (name === 'ReferenceError' && /^could not load module/.test(message))
    return `${message}; a policy is one file, without imports`
  return `${where}${message} (${name}); mend it there`
}
