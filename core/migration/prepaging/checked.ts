/**
 * A policy that is not ours, and is not believed: whatever it answers is checked before a page is sent.
 *
 * It may answer -1, which is no opinion: then the scan goes on behind the last request, as forward does. So such a policy can
 * neither end a migration nor keep it from ending. Pairs with main/sandbox, which runs the file.
 */
import { ForwardPolicy } from './forward.ts'
import { PrepagingError, type PrepagingPolicy, type Unsent } from './policy.ts'

/** What a file of a policy does, once it is loaded. */
export interface ForeignPolicy {
  /** As the user named it. */
  readonly name: string
  /** The migration begins, of a guest of so many pages. */
  start(pages: number): void
  requested(page: number): void
  /** A page, or a page and how many from it on; anything else is refused. */
  next(unsent: Unsent, most: number): unknown
}

export class CheckedPolicy implements PrepagingPolicy {
  readonly waits = false
  count = 0
  readonly #policy: ForeignPolicy
  readonly #rest = new ForwardPolicy()

  constructor(policy: ForeignPolicy, pages: number) {
    this.#policy = policy
    policy.start(pages)
  }

  get name(): string {
    return this.#policy.name
  }

  requested(page: number): void {
    this.#rest.requested(page)
    this.#policy.requested(page)
  }

  next(unsent: Unsent, most: number): number {
    const answer = this.#policy.next(unsent, most)
    if (answer === -1) {
      const page = this.#rest.next(unsent, most)
      this.count = this.#rest.count
      return page
    }
    const [page, count] = Array.isArray(answer) ? answer : [answer, 1]
    if (!Number.isInteger(page) || page < 0 || page >= unsent.length)
      throw this.#refused(answer, `no page: pages are 0 to ${unsent.length - 1}, and -1 is no opinion`)
    if (!unsent.has(page)) throw this.#refused(answer, `but page ${page} was sent already; unsent.has(${page}) tells`)
    if (!Number.isInteger(count) || count < 1) throw this.#refused(answer, 'but a run has one page or more')
    // What is asked for beyond `most`, or beyond the first page that was sent, is asked for again.
    this.count = unsent.run(page, Math.min(count, most))
    return page
  }

  #refused(answer: unknown, why: string): PrepagingError {
    return new PrepagingError(`the prepaging policy ${this.name} answered ${spell(answer)} to next(), ${why}`)
  }
}

function spell(answer: unknown): string {
  if (Array.isArray(answer)) return `[${answer.slice(0, 2).map(spell).join(', ')}]`
  if (typeof answer === 'number' || answer === null || answer === undefined) return String(answer)
  return `a ${typeof answer}`
}
