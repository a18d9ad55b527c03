/**
 * Push only: from the first page to the last, whatever the guest asks for: the forward scan (forward.ts), deaf to requests.
 *
 * What prepaging is compared with in the paper: "active push" without hints.
 */
import { ForwardPolicy } from './forward.ts'

export class PushOnlyPolicy extends ForwardPolicy {
  constructor() {
    super('push-only')
  }

  override requested(): void {}
}
